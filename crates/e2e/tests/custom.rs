//! Custom resources as people use them, with upstream's kubectl and raw requests.
//!
//! The cases of upstream's `field_validation.go` and `aggregated_discovery.go` that are about definitions stand here too.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use e2e::{Cluster, Ran, Running};
use serde_json::{Value, json};

/// A definition of group `NAME.knarr.example` with the kind `Thing`, its only version's parts given.
fn definition(name: &str, scope: &str, version: Value) -> String {
    let mut version = version;
    for (key, value) in [("name", json!("v1")), ("served", json!(true)), ("storage", json!(true))] {
        if version.get(key).is_none() {
            version[key] = value;
        }
    }
    with_versions(name, scope, json!([version]))
}

fn with_versions(name: &str, scope: &str, versions: Value) -> String {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("things.{name}.knarr.example")},
        "spec": {"group": format!("{name}.knarr.example"), "scope": scope, "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList", "shortNames": [format!("th-{name}")], "categories": ["all"]}, "versions": versions}})
    .to_string()
}

/// A definition that goes with the test.
struct Defined<'a> {
    cluster: &'a Cluster,
    group: String,
}

impl Drop for Defined<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.cluster.kubectl(&format!("delete crd things.{} --wait=true --timeout=60s --ignore-not-found", self.group)).ok();
        }
    }
}

fn define<'a>(cluster: &'a Cluster, name: &str, manifest: &str) -> Defined<'a> {
    let group = format!("{name}.knarr.example");
    cluster.kubectl(&format!("delete crd things.{group} --ignore-not-found --wait=true --timeout=60s")).ok();
    cluster.kubectl_with("create -f -", manifest).ok();
    Defined { cluster, group }
}

fn thing(name: &str, object: Value) -> String {
    let mut object = object;
    object["apiVersion"] = format!("{name}.knarr.example/v1").into();
    object["kind"] = "Thing".into();
    object.to_string()
}

#[track_caller]
fn fails_with(ran: &Ran, text: &str) {
    assert!(ran.code != Some(0) && ran.err.contains(text), "expected {text:?} in {ran:?}");
}

fn spec_schema() -> Value {
    json!({"openAPIV3Schema": {"type": "object", "description": "A thing", "properties": {
        "spec": {"type": "object", "description": "What is wanted", "required": ["size"], "properties": {
            "size": {"type": "string", "enum": ["small", "large"], "description": "How large"}, "replicas": {"type": "integer", "minimum": 0, "maximum": 10, "default": 1}, "port": {"x-kubernetes-int-or-string": true},
            "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "value": {"type": "string"}}}}},
            "x-kubernetes-validations": [{"rule": "self.size != 'small' || self.replicas <= 3", "message": "small things come in threes at most"}, {"rule": "self.size == oldSelf.size", "message": "size is fixed"}]},
        "status": {"type": "object", "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}, "phase": {"type": "string"}}}}}})
}

#[test]
fn a_definition_is_served_to_the_very_next_request() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let version = json!({"schema": spec_schema(), "selectableFields": [{"jsonPath": ".spec.size"}], "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}},
        "additionalPrinterColumns": [{"name": "Size", "type": "string", "jsonPath": ".spec.size"}, {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas"}, {"name": "Phase", "type": "string", "jsonPath": ".status.phase", "priority": 1}, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]});
    let defined = define(&cluster, "next", &definition("next", "Namespaced", version));
    cluster.kubectl_with("apply -f -", &thing("next", json!({"metadata": {"name": "a"}, "spec": {"size": "small", "port": "http"}}))).ok();
    let table = cluster.kubectl("get th-next").ok();
    let head: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(head, ["NAME", "SIZE", "REPLICAS", "AGE"]);
    assert!(cluster.kubectl("get th-next -o wide").ok().contains("PHASE"));
    assert!(cluster.kubectl("get all").ok().contains("thing.next.knarr.example/a"));
    assert!(cluster.kubectl("explain th-next.spec.size").ok().contains("How large"));
    validates(&cluster);
    parts_of_their_own(&cluster);
    applies(&cluster);
    let watch = cluster.start("get th-next a -w");
    drop(defined);
    drop(watch);
    fails_with(&cluster.kubectl("get --raw /apis/next.knarr.example/v1/things"), "the server could not find the requested resource");
}

fn validates(cluster: &Cluster) {
    let create = |spec: Value| cluster.kubectl_with("create -f -", &thing("next", json!({"metadata": {"name": "b"}, "spec": spec})));
    fails_with(&create(json!({"size": "huge", "replicas": 99})), "spec.size: Unsupported value: \"huge\": supported values: \"small\", \"large\"");
    fails_with(&create(json!({"size": "large", "replicas": 99})), "spec.replicas: Invalid value: 99: spec.replicas in body should be less than or equal to 10");
    fails_with(&create(json!({"replicas": 1})), "spec.size: Required value");
    fails_with(&create(json!({"size": "large", "parts": [{"name": "x"}, {"name": "x"}]})), "spec.parts[1]: Duplicate value: {\"name\":\"x\"}");
    fails_with(&create(json!({"size": "small", "replicas": 5})), "spec: Invalid value: small things come in threes at most");
    fails_with(&create(json!({"size": "large", "more": 1})), "unknown field \"spec.more\"");
    fails_with(&cluster.kubectl("patch th-next a --type=merge -p '{\"spec\":{\"size\":\"large\"}}'"), "size is fixed");
    fails_with(&cluster.kubectl("patch th-next a --type=strategic -p '{}'"), "is not supported");
}

fn parts_of_their_own(cluster: &Cluster) {
    cluster.kubectl("scale th-next a --replicas=3").ok();
    cluster.kubectl("patch th-next a --subresource=status --type=merge -p '{\"spec\":{\"replicas\":9},\"status\":{\"phase\":\"Fine\",\"replicas\":3,\"selector\":\"x=y\"}}'").ok();
    let object = cluster.object("get th-next a");
    assert_eq!((&object["spec"]["replicas"], &object["status"]["phase"], &object["metadata"]["generation"]), (&json!(3), &json!("Fine"), &json!(2)));
    let scale: Value = serde_json::from_str(&cluster.kubectl("get --raw /apis/next.knarr.example/v1/namespaces/default/things/a/scale").ok()).expect("JSON");
    assert_eq!((&scale["spec"]["replicas"], &scale["status"]), (&json!(3), &json!({"replicas": 3, "selector": "x=y"})));
    assert!(cluster.kubectl("get th-next --field-selector spec.size=small").ok().contains('a'));
    assert!(cluster.kubectl("get th-next --field-selector spec.size=large").err.contains("No resources found"));
}

fn applies(cluster: &Cluster) {
    let part = |value: &str| thing("next", json!({"metadata": {"name": "s"}, "spec": {"size": "large", "parts": [{"name": "one", "value": value}]}}));
    cluster.kubectl_with("apply --server-side --field-manager=first -f -", &part("1")).ok();
    fails_with(&cluster.kubectl_with("apply --server-side --field-manager=second -f -", &part("2")), ".spec.parts[name=\"one\"].value");
    cluster.kubectl_with("apply --server-side --field-manager=second --force-conflicts -f -", &part("2")).ok();
    let object = cluster.object("get th-next s --show-managed-fields");
    assert_eq!(object["spec"]["parts"], json!([{"name": "one", "value": "2"}]));
    assert!(object["metadata"]["managedFields"].as_array().is_some_and(|m| m.iter().any(|e| e["manager"] == "second" && e["operation"] == "Apply")));
}

#[test]
fn definitions_are_validated_in_upstreams_words() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let create = |version: Value| cluster.kubectl_with("create --dry-run=server -f -", &definition("bad", "Namespaced", version));
    fails_with(&create(json!({})), "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required");
    fails_with(&create(json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {}}}}})), "spec.validation.openAPIV3Schema.properties[a].type: Required value: must not be empty for specified object fields");
    let default = json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "integer", "default": "x"}}}}});
    fails_with(&create(default), "spec.validation.openAPIV3Schema.properties[a].default: Invalid value: \"string\"");
    let rule = json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "integer", "x-kubernetes-validations": [{"rule": "self.b"}]}}}}});
    let told = create(rule);
    fails_with(&told, "x-kubernetes-validations[0].rule: Invalid value: {\"Rule\":\"self.b\",\"Message\":\"\",\"MessageExpression\":\"\",\"Reason\":null,\"FieldPath\":\"\",\"OptionalOldSelf\":null}: compilation failed: ERROR: <input>:1:5: type 'int' does not support field selection");
    let path = json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string", "pattern": "^\\d+$", "default": "x"}}, "x-kubernetes-validations": [{"rule": "true", "fieldPath": ".b"}]}}});
    let told = create(path);
    fails_with(&told, "spec.validation.openAPIV3Schema.properties[a].default: Invalid value: \"x\":  in body should match '^\\d+$'");
    fails_with(&told, "spec.validation.openAPIV3Schema.x-kubernetes-validations[0].fieldPath: Invalid value: \".b\": fieldPath must be a valid path");
    let kept = json!({"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}, "storage": false});
    fails_with(&create(kept), "must have exactly one version marked as storage version");
}

#[test]
fn names_are_given_once() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let version = json!({"schema": {"openAPIV3Schema": {"type": "object"}}});
    let _first = define(&cluster, "names", &definition("names", "Cluster", version.clone()));
    let other = definition("names", "Cluster", version).replace("things.names", "others.names").replace("\"plural\":\"things\"", "\"plural\":\"others\"").replace("\"singular\":\"thing\"", "\"singular\":\"other\"");
    cluster.kubectl_with("create -f -", &other).ok();
    let second = cluster.object("get crd others.names.knarr.example");
    let condition = |kind: &str| second["status"]["conditions"].as_array().and_then(|c| c.iter().find(|c| c["type"] == kind)).cloned().unwrap_or_default();
    assert_eq!((&condition("NamesAccepted")["reason"], &condition("Established")["reason"]), (&json!("ListKindConflict"), &json!("NotAccepted")));
    cluster.kubectl("delete crd things.names.knarr.example --wait=true --timeout=60s").ok();
    cluster.kubectl("wait crd/others.names.knarr.example --for=condition=Established --timeout=30s").ok();
    cluster.kubectl("delete crd others.names.knarr.example --wait=true --timeout=60s").ok();
}

#[test]
fn versions_change_and_instances_go_first() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let schema = |field: &str| json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {field: {"type": "string"}, "kept": {"type": "string", "default": "yes"}}}}}});
    let one = json!({"name": "v1", "served": true, "storage": true, "schema": schema("old"), "deprecated": true});
    let two = json!({"name": "v2", "served": true, "storage": false, "schema": schema("new")});
    let _defined = define(&cluster, "versions", &with_versions("versions", "Namespaced", json!([one, two])));
    let created = cluster.kubectl_with("create -f -", &thing("versions", json!({"metadata": {"name": "a", "finalizers": ["knarr.example/wait"]}, "spec": {"old": "x"}})));
    assert!(created.err.contains("Warning: versions.knarr.example/v1 Thing is deprecated; use versions.knarr.example/v2 Thing"), "{created:?}");
    let other = cluster.object("get things.v2.versions.knarr.example a");
    assert_eq!((&other["apiVersion"], &other["spec"]), (&json!("versions.knarr.example/v2"), &json!({"kept": "yes"})));
    // The storage version moves: what was stored before is still there, and so is the note of it.
    let moved = with_versions("versions", "Namespaced", json!([{"name": "v1", "served": false, "storage": false, "schema": schema("old")}, {"name": "v2", "served": true, "storage": true, "schema": schema("new")}]));
    cluster.kubectl_with("replace -f -", &with_revision(&cluster, &moved)).ok();
    assert_eq!(cluster.object("get crd things.versions.knarr.example")["status"]["storedVersions"], json!(["v1", "v2"]));
    assert_eq!(cluster.object("get th-versions a")["apiVersion"], "versions.knarr.example/v2");
    cluster.kubectl("delete crd things.versions.knarr.example --wait=false").ok();
    cluster.kubectl("wait crd/things.versions.knarr.example --for=condition=Terminating --timeout=30s").ok();
    let second = thing("versions", json!({"metadata": {"name": "b"}})).replace("/v1", "/v2");
    fails_with(&cluster.kubectl_with("create -f -", &second), "create not allowed while custom resource definition is terminating");
    cluster.kubectl("patch th-versions a --type=merge -p '{\"metadata\":{\"finalizers\":null}}'").ok();
    cluster.kubectl("wait crd/things.versions.knarr.example --for=delete --timeout=30s").ok();
}

#[test]
fn updates_that_change_nothing_move_what_is_stored() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let version = |name: &str, stored: bool| json!({"name": name, "served": true, "storage": stored, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string"}}}}});
    let versions = |stored: &str| with_versions("moved", "Cluster", json!([version("v1", stored == "v1"), version("v2", stored == "v2")]));
    let _defined = define(&cluster, "moved", &versions("v1"));
    cluster.kubectl_with("create -f -", &thing("moved", json!({"metadata": {"name": "a"}, "a": "x"}))).ok();
    let touch = || {
        let object = cluster.object("get th-moved a");
        cluster.kubectl_with("replace -f -", &object.to_string()).ok();
        (object["metadata"]["resourceVersion"].clone(), cluster.object("get th-moved a")["metadata"]["resourceVersion"].clone())
    };
    let (before, after) = touch();
    assert_eq!(before, after);
    cluster.kubectl_with("replace -f -", &with_revision(&cluster, &versions("v2"))).ok();
    let (before, after) = touch();
    assert_ne!(before, after, "the object is stored anew in the new version");
    let (before, after) = touch();
    assert_eq!(before, after);
    let only = with_versions("moved", "Cluster", json!([version("v2", true)]));
    fails_with(&cluster.kubectl_with("replace -f -", &with_revision(&cluster, &only)), "v1 was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in v1");
    cluster.kubectl("patch crd things.moved.knarr.example --subresource=status --type=merge -p '{\"status\":{\"storedVersions\":[\"v2\"]}}'").ok();
    cluster.kubectl_with("replace -f -", &with_revision(&cluster, &only)).ok();
    assert_eq!(cluster.object("get th-moved a")["a"], "x");
}

/// An API server of its own, killed rather than ended.
fn server_alone(data: &Path) -> Running {
    let knarr = std::env::var_os("KNARR_BIN").expect("KNARR_BIN is set");
    let mut command = Command::new(knarr);
    command.arg("--data-dir").arg(data.join("data")).args(["apiserver", "--port", "17643", "--service-cidr", "10.184.0.0/16"]).env("HOME", data).env_remove("KUBECONFIG");
    let mut server = Running::start(&mut command);
    server.until("API serves at");
    server
}

#[test]
fn definitions_are_served_at_once_after_a_kill() {
    let Some(_cluster) = Cluster::of_environment() else { return };
    let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
    let kubectl = |line: &str, input: &str| e2e::run(Command::new("kubectl").args(line.split(' ')).env("KUBECONFIG", folder.path().join("data/kubeconfig")), input);
    let server = server_alone(folder.path());
    let schema = json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}}}});
    kubectl("create -f -", &definition("killed", "Cluster", schema)).ok();
    kubectl("create -f -", &thing("killed", json!({"metadata": {"name": "a"}}))).ok();
    drop(server);
    let server = server_alone(folder.path());
    let read = kubectl("get --raw /apis/killed.knarr.example/v1/things/a", "").ok();
    assert!(read.contains("\"a\":\"x\""), "{read}");
    // Without controllers too, the definition takes its objects along, even over a kill.
    kubectl("delete crd things.killed.knarr.example --wait=false", "").ok();
    drop(server);
    let _server = server_alone(folder.path());
    kubectl("wait crd/things.killed.knarr.example --for=delete --timeout=30s", "").ok();
    assert!(kubectl("get --raw /apis/killed.knarr.example/v1/things", "").err.contains("could not find the requested resource"));
}

#[test]
fn rules_in_cel_hold() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let list = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [{"rule": "self.all(x, self.exists_one(y, x == y))"}]});
    let dear = json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"l": list}}}});
    fails_with(&cluster.kubectl_with("create -f -", &definition("dear", "Cluster", dear)), "Forbidden: estimated rule cost exceeds budget by factor of more than 100x");
    let spec = json!({"type": "object", "properties": {"low": {"type": "integer"}, "high": {"type": "integer"}, "mode": {"type": "string", "maxLength": 9,
            "x-kubernetes-validations": [{"rule": "self.startsWith('m')", "message": "a mode starts with m"}]}},
        "x-kubernetes-validations": [
            {"rule": "self.low <= self.high", "messageExpression": "'low %d is above high %d'.format([self.low, self.high])", "fieldPath": ".low"},
            {"rule": "!oldSelf.hasValue() || oldSelf.value().mode == self.mode", "optionalOldSelf": true, "reason": "FieldValueForbidden", "message": "the mode stays"}]});
    let with = |spec: &Value| json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}});
    let mut loose = spec.clone();
    loose["properties"]["mode"].as_object_mut().expect("an object").remove("x-kubernetes-validations");
    let _defined = define(&cluster, "cel", &definition("cel", "Cluster", with(&loose)));
    let create = |name: &str, spec: Value| cluster.kubectl_with("create -f -", &thing("cel", json!({"metadata": {"name": name}, "spec": spec})));
    fails_with(&create("a", json!({"low": 2, "high": 1, "mode": "m"})), "The Thing \"a\" is invalid: spec.low: Invalid value: low 2 is above high 1");
    create("a", json!({"low": 1, "high": 2, "mode": "x"})).ok();
    fails_with(&cluster.kubectl("patch th-cel a --type=merge -p '{\"spec\":{\"mode\":\"y\"}}'"), "spec: Forbidden: the mode stays");
    // A new rule does not stand in the way of what was there before.
    cluster.kubectl_with("replace -f -", &with_revision(&cluster, &definition("cel", "Cluster", with(&spec)))).ok();
    fails_with(&create("b", json!({"low": 1, "high": 2, "mode": "x"})), "spec.mode: Invalid value: \"x\": a mode starts with m");
    cluster.kubectl("patch th-cel a --type=merge -p '{\"spec\":{\"high\":5}}'").ok();
}

fn with_revision(cluster: &Cluster, manifest: &str) -> String {
    let mut object: Value = serde_json::from_str(manifest).expect("JSON");
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    object["metadata"]["resourceVersion"] = cluster.object(&format!("get crd {name}"))["metadata"]["resourceVersion"].clone();
    object.to_string()
}

#[test]
fn a_namespace_takes_its_custom_resources_along() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let _defined = define(&cluster, "space", &definition("space", "Namespaced", json!({"schema": {"openAPIV3Schema": {"type": "object"}}})));
    let namespace = cluster.namespace("custom-space");
    cluster.kubectl_with("create -n custom-space -f -", &thing("space", json!({"metadata": {"name": "owner"}}))).ok();
    let uid = cluster.object("get th-space owner -n custom-space")["metadata"]["uid"].clone();
    let owned = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "ownerReferences": [{"apiVersion": "space.knarr.example/v1", "kind": "Thing", "name": "owner", "uid": uid}]}});
    cluster.kubectl_with("create -n custom-space -f -", &owned.to_string()).ok();
    cluster.kubectl("delete th-space owner -n custom-space").ok();
    cluster.kubectl("wait configmap/owned -n custom-space --for=delete --timeout=30s").ok();
    cluster.kubectl_with("create -n custom-space -f -", &thing("space", json!({"metadata": {"name": "left"}}))).ok();
    cluster.kubectl("delete namespace custom-space --wait=true --timeout=60s").ok();
    assert!(cluster.kubectl("get th-space -A").err.contains("No resources found"));
    std::mem::forget(namespace);
}

/// The schema of upstream's `field_validation.go`.
fn noxu(spec: Value) -> Value {
    let mut spec = spec;
    spec["type"] = "object".into();
    let properties = json!({"foo": {"type": "string"}, "cronSpec": {"type": "string", "pattern": r"^(\d+|\*)(/\d+)?(\s+(\d+|\*)(/\d+)?){4}$"},
        "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["containerPort", "protocol"], "items": {"type": "object", "required": ["containerPort", "protocol"],
            "properties": {"containerPort": {"type": "integer", "format": "int32"}, "name": {"type": "string"}, "protocol": {"type": "string"}}}}});
    for (key, value) in properties.as_object().into_iter().flatten() {
        spec["properties"][key] = value.clone();
    }
    json!({"schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}})
}

/// The API through `kubectl proxy`, for requests that kubectl itself would not send as they are.
struct Raw {
    address: String,
    _proxy: Running,
}

impl Raw {
    fn new(cluster: &Cluster) -> Self {
        let mut proxy = cluster.start("proxy --port=0");
        let line = proxy.until("Starting to serve on");
        let address = line.trim().rsplit(' ').next().unwrap_or_default().to_owned();
        Self { address, _proxy: proxy }
    }

    /// Head and body of the answer.
    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap_or_else(|e| panic!("{}: {e}", self.address));
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()).expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.to_owned(), body.to_owned())
    }

    /// A strict apply, as upstream's test sends it.
    fn apply(&self, group: &str, yaml: &str) -> String {
        let path = format!("/apis/{group}.knarr.example/v1/things/mytest?fieldManager=field_validation_mgr&fieldValidation=Strict");
        self.ask("PATCH", &path, "Content-Type: application/apply-patch+yaml\r\n", yaml).1
    }
}

#[test]
fn fields_are_validated_strictly() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let raw = Raw::new(&cluster);
    let ports = "  cronSpec: \"* * * * */5\"\n  ports:\n  - name: x\n    containerPort: 80\n    protocol: TCP\n";
    let head = |group: &str| format!("\napiVersion: {group}.knarr.example/v1\nkind: Thing\nmetadata:\n  name: mytest\n");
    {
        let _defined = define(&cluster, "noxu", &definition("noxu", "Cluster", noxu(json!({}))));
        let applied = raw.apply("noxu", &format!("{}spec:\n  foo: foo1\n{ports}", head("noxu")));
        assert!(applied.contains("\"kind\":\"Thing\""), "{applied}");
        let refused = raw.apply("noxu", &format!("{}unknownField: unknown\nspec:\n  foo: foo1\n{ports}", head("noxu")));
        assert!(refused.contains(".unknownField: field not declared in schema"), "{refused}");
        let twice = cluster.kubectl_with("create --validate=strict -f -", "{\"apiVersion\":\"noxu.knarr.example/v1\",\"kind\":\"Thing\",\"metadata\":{\"name\":\"x\",\"unknownMeta\":1},\"spec\":{\"foo\":\"a\"}}");
        fails_with(&twice, "unknown field \"metadata.unknownMeta\"");
        let warned = cluster.kubectl_with("create --validate=warn -f -", "{\"apiVersion\":\"noxu.knarr.example/v1\",\"kind\":\"Thing\",\"metadata\":{\"name\":\"warned\"},\"spec\":{\"foo\":\"a\",\"bar\":1}}");
        assert!(warned.code == Some(0) && warned.err.contains("Warning: unknown field \"spec.bar\""), "{warned:?}");
    }
    {
        let open = json!({"schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}});
        let _defined = define(&cluster, "open", &definition("open", "Cluster", open));
        let applied = raw.apply("open", &format!("{}spec:\n  unknown: uk1\n{ports}", head("open")));
        assert!(applied.contains("\"unknown\":\"uk1\""), "{applied}");
    }
    let embedded = json!({"x-kubernetes-preserve-unknown-fields": true, "properties": {"template": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {"metadata": {"type": "object", "properties": {"name": {"type": "string"}}}, "spec": {"type": "object"}}}}});
    let _defined = define(&cluster, "embedded", &definition("embedded", "Cluster", noxu(embedded)));
    let template = "spec:\n  template:\n    apiVersion: foo/v1\n    kind: Sub\n    metadata:\n      unknownSubMeta: unknown\n      name: subobject\n      namespace: default\n";
    let both = format!("{}  unknownMeta: unknown\n{template}  foo: foo1\n{ports}", head("embedded"));
    let refused = raw.apply("embedded", &both);
    assert!(refused.contains(".spec.template.metadata.unknownSubMeta: field not declared in schema") || refused.contains(".metadata.unknownMeta: field not declared in schema"), "{refused}");
    let twice = raw.apply("embedded", &format!("{}spec:\n  unknown: uk1\n  foo: foo1\n  foo: foo2\n{ports}", head("embedded")));
    assert!(twice.contains(r#"line 9: key \"foo\" already set in map"#), "{twice}");
    let posted = cluster.kubectl_with("create --validate=strict -f -", &both);
    assert!(posted.err.contains("unknown field \"metadata.unknownMeta\"") && posted.err.contains("unknown field \"spec.template.metadata.unknownSubMeta\""), "{posted:?}");
}

#[test]
fn typed_objects_are_validated_strictly() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let raw = Raw::new(&cluster);
    let post = |text: &str| raw.ask("POST", "/apis/apps/v1/namespaces/default/deployments?fieldManager=field_validation_mgr&fieldValidation=Strict&dryRun=All", "Content-Type: application/json\r\n", text).1;
    let spec = r#""selector":{"matchLabels":{"app":"nginx"}},"template":{"metadata":{"labels":{"app":"nginx"}},"spec":{"containers":[{"name":"nginx","image":"nginx:latest"}]}}"#;
    let both = post(&format!(r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"my-dep","labels":{{"app":"nginx"}}}},"spec":{{"unknownField":"foo","replicas":2,"replicas":3,{spec}}}}}"#));
    assert!(both.contains(r#"strict decoding error: unknown field \"spec.unknownField\", duplicate field \"spec.replicas\""#), "{both}");
    let meta = post(&format!(r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"my-dep","unknownMeta":"foo","labels":{{"app":"nginx"}}}},"spec":{{{spec}}}}}"#));
    assert!(meta.contains(r#"strict decoding error: unknown field \"metadata.unknownMeta\""#), "{meta}");
}

#[test]
fn aggregated_discovery_shows_definitions() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let version = json!({"schema": {"openAPIV3Schema": {"type": "object"}}, "subresources": {"status": {}}});
    let _defined = define(&cluster, "found", &definition("found", "Namespaced", version));
    let listed = cluster.kubectl("api-resources --api-group=found.knarr.example --no-headers").ok();
    let words: Vec<&str> = listed.split_whitespace().collect();
    assert_eq!(words, ["things", "th-found", "found.knarr.example/v1", "true", "Thing"]);
    let group: Value = serde_json::from_str(&cluster.kubectl("get --raw /apis/found.knarr.example").ok()).expect("JSON");
    assert_eq!(group["preferredVersion"]["groupVersion"], "found.knarr.example/v1");
    let index: Value = serde_json::from_str(&cluster.kubectl("get --raw /openapi/v3").ok()).expect("JSON");
    assert!(index["paths"]["apis/found.knarr.example/v1"]["serverRelativeURL"].is_string());
    let v2 = cluster.kubectl("get --raw /openapi/v2").ok();
    assert!(v2.contains("example.knarr.found.v1.Thing"));
    let raw = Raw::new(&cluster);
    for version in ["v2", "v2beta1"] {
        let media = format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        let (head, body) = raw.ask("GET", "/apis", &format!("Accept: {media}\r\n"), "");
        assert!(head.to_lowercase().contains(&format!("content-type: {media}").to_lowercase()), "{head}");
        let list: Value = serde_json::from_str(&body).expect("JSON");
        let group = list["items"].as_array().and_then(|items| items.iter().find(|g| g["metadata"]["name"] == "found.knarr.example")).cloned().unwrap_or_default();
        let resource = &group["versions"][0]["resources"][0];
        assert_eq!((&resource["resource"], &resource["scope"], &resource["subresources"][0]["subresource"]), (&json!("things"), &json!("Namespaced"), &json!("status")));
        let core: Value = serde_json::from_str(&raw.ask("GET", "/api", &format!("Accept: {media}\r\n"), "").1).expect("JSON");
        assert!(core["items"][0]["versions"][0]["resources"].as_array().is_some_and(|r| r.iter().any(|r| r["resource"] == "pods")));
    }
}
