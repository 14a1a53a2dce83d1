//! Live cases of what upstream's later conformance tests ask of the API's machinery, of accounts and of events.
//!
//! Each test names the upstream file under `test/e2e` whose requirement it holds.

use e2e::target::Target;
use e2e::{ApiServer, Cluster, Kind};
use serde_json::{Value, json};

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn names(list: &Value) -> Vec<String> {
    list["items"].as_array().into_iter().flatten().filter_map(|item| item["metadata"]["name"].as_str().map(str::to_owned)).collect()
}

const TEMPLATES: usize = 40;

fn templates() -> String {
    let template = |n| json!({"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": format!("t-{n:04}")}, "template": {"spec": {"containers": [{"name": "a", "image": "x"}]}}});
    json!({"apiVersion": "v1", "kind": "List", "items": (0..TEMPLATES).map(template).collect::<Vec<_>>()}).to_string()
}

/// Upstream: `apimachinery/chunking.go`.
#[test]
fn lists_come_in_pages_of_one_moment_and_go_on_after_it_is_forgotten() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = ApiServer::start(folder.path(), &[]) else { return };
    server.kubectl_with("create -f -", &templates()).ok();
    let (certificate, key) = (server.pki("admin.crt"), server.pki("admin.key"));
    let ask = |path: &str, args: &[&str], body: &str| server.curl(&format!("/api/v1/namespaces/default/podtemplates{path}"), &[&["--cert", &certificate, "--key", &key], args].concat(), body);
    let page = |limit: usize, next: &str| {
        let (code, body) = ask(&format!("?limit={limit}&continue={next}"), &[], "");
        (code, read(&body))
    };
    let (mut seen, mut next, mut moment) = (Vec::new(), String::new(), Value::Null);
    for limit in [7, 1, 20, 5, 50] {
        let (code, list) = page(limit, &next);
        assert_eq!(code, 200, "{list}");
        let metadata = &list["metadata"];
        seen.extend(names(&list));
        assert!(names(&list).len() <= limit);
        assert_eq!(metadata["remainingItemCount"].as_u64().unwrap_or(0) as usize, TEMPLATES - seen.len());
        assert!(moment.is_null() || moment == metadata["resourceVersion"]);
        moment = metadata["resourceVersion"].clone();
        next = metadata["continue"].as_str().unwrap_or_default().to_owned();
        // What is written meanwhile is not of that moment.
        server.kubectl("delete podtemplate t-0039 --ignore-not-found").ok();
    }
    assert_eq!((seen.len(), next.as_str()), (TEMPLATES, ""));
    assert_eq!(seen, (0..TEMPLATES).map(|n| format!("t-{n:04}")).collect::<Vec<_>>());

    let (_, first) = page(10, "");
    let token = first["metadata"]["continue"].as_str().expect("a token").to_owned();
    server.kubectl("delete podtemplate t-0012").ok();
    // History is bounded in bytes: this is more than it holds.
    for n in 0..24 {
        let patch = json!({"metadata": {"annotations": {"long": format!("{n}").repeat(200_000 / (1 + usize::from(n > 9)))}}}).to_string();
        assert_eq!(ask("/t-0000", &["-X", "PATCH", "-H", "Content-Type: application/merge-patch+json", "--data-binary", "@-"], &patch).0, 200);
    }
    let (code, expired) = page(10, &token);
    assert_eq!((code, &expired["reason"]), (410, &json!("Expired")));
    let token = expired["metadata"]["continue"].as_str().expect("a token to go on with");
    let (code, part) = page(10, token);
    assert_eq!((code, names(&part).len(), &part["metadata"]["remainingItemCount"]), (200, 10, &json!(TEMPLATES - 22)));
    let (code, rest) = page(100, part["metadata"]["continue"].as_str().expect("there is more"));
    assert_eq!((code, names(&rest).len()), (200, TEMPLATES - 22));
    assert_eq!(rest["metadata"]["resourceVersion"], part["metadata"]["resourceVersion"]);
    assert_ne!(rest["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert!(names(&part).first().is_some_and(|name| name == "t-0010") && !names(&part).contains(&"t-0012".to_owned()));
}

/// Upstream: `apimachinery/discovery.go`, `apimachinery/aggregated_discovery.go`.
#[test]
fn what_is_served_is_found_both_ways() {
    let Some(target) = Target::new() else { return };
    let ask = |path: &str| {
        let (code, body) = target.ask(path, &[]);
        assert_eq!(code, 200, "{path}: {body}");
        read(&body)
    };
    let media = "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let aggregated = read(&target.ask("/apis", &["-H", media]).1);
    let together = |group: &str, version: &str| {
        let groups = aggregated["items"].as_array().into_iter().flatten();
        let versions = groups.filter(|g| g["metadata"]["name"] == group).flat_map(|g| g["versions"].as_array().into_iter().flatten());
        let found = versions.filter(|v| v["version"] == version).flat_map(|v| v["resources"].as_array().into_iter().flatten());
        let mut found: Vec<String> = found.filter_map(|r| r["resource"].as_str().map(str::to_owned)).collect();
        found.sort();
        found
    };
    let groups = ask("/apis")["groups"].as_array().cloned().unwrap_or_default();
    assert!(groups.len() > 15, "{groups:?}");
    for group in groups {
        let name = group["name"].as_str().expect("a name");
        assert_eq!(ask(&format!("/apis/{name}"))["preferredVersion"], group["preferredVersion"]);
        for version in group["versions"].as_array().into_iter().flatten() {
            let (at, short) = (version["groupVersion"].as_str().expect("a version"), version["version"].as_str().unwrap_or_default());
            let list = ask(&format!("/apis/{at}"));
            assert_eq!((&list["kind"], &list["groupVersion"]), (&json!("APIResourceList"), &json!(at)));
            let resources = list["resources"].as_array().into_iter().flatten();
            let mut found: Vec<String> = resources.filter_map(|r| r["name"].as_str().filter(|n| !n.contains('/')).map(str::to_owned)).collect();
            found.sort();
            assert!(!found.is_empty(), "{at}");
            assert_eq!(found, together(name, short), "{at}");
        }
    }
}

#[test]
fn kinds_that_end_say_so() {
    let Some(cluster) = Cluster::of_environment() else { return };
    for (kind, wanted) in [("endpoints", "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\n"), ("componentstatuses", "Warning: v1 ComponentStatus is deprecated in v1.19+\n"), ("endpointslices", "")] {
        let told = cluster.kubectl(&format!("get {kind}"));
        assert!(told.err.starts_with(wanted) && told.err.contains("Warning") != wanted.is_empty(), "{kind}: {}", told.err);
        told.ok();
    }
    let counted = cluster.kubectl("get --raw /metrics").ok();
    assert!(counted.contains("apiserver_requested_deprecated_apis{group=\"\",removed_release=\"\",resource=\"endpoints\",subresource=\"\",version=\"v1\"} 1"), "endpoints were not counted");
}

/// What kubectl tells after `Warning: `.
fn warnings(ran: &e2e::Ran) -> Vec<String> {
    ran.err.lines().filter_map(|line| line.strip_prefix("Warning: ")).map(str::to_owned).collect()
}

/// Upstream: the strategies' `WarningsOnCreate` and `WarningsOnUpdate`, and what their recorder makes of them.
#[test]
fn writers_of_odd_objects_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = ApiServer::start(folder.path(), &["--disable-admission-plugins", "ServiceAccount"]) else { return };
    let odd = [
        (
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a.b"}, "spec": {"containers": [{"name": "a", "image": "x", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}], "nodeSelector": {"beta.kubernetes.io/os": "linux"}}}),
            vec![
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
                "spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead",
                "spec.containers[0].env[1]: hides previous definition of \"A\", which may be dropped when using apply",
            ],
        ),
        (
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"clusterIP": "None", "sessionAffinity": "ClientIP", "ports": [{"port": 80}]}}),
            vec!["spec.SessionAffinity is ignored for headless services"],
        ),
        (
            json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "a", "annotations": {"kubernetes.io/ingress.class": "nginx"}}, "spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}}),
            vec!["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"],
        ),
        (
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "type": "kubernetes.io/tls", "stringData": {"tls.crt": "x", "tls.key": "x"}}),
            vec!["tls: failed to find any PEM data in certificate input"],
        ),
        (
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "a"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1500m"}}}}),
            vec!["spec.resources.requests[storage]: fractional byte value \"1500m\" is invalid, must be an integer"],
        ),
        (json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "unknown": 1}), vec![]),
    ];
    for (object, wanted) in &odd {
        for line in ["create --validate=false --dry-run=server -f -", "create --validate=false -f -"] {
            let ran = server.kubectl_with(line, &object.to_string());
            assert_eq!(warnings(&ran), *wanted, "{line} {object}");
            ran.ok();
        }
    }
    // A profile in an annotation becomes the field.
    let confined = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "confined", "annotations": {"container.apparmor.security.beta.kubernetes.io/a": "unconfined"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    assert_eq!(warnings(&server.kubectl_with("create -f -", &confined.to_string())), ["metadata.annotations[container.apparmor.security.beta.kubernetes.io/a]: deprecated since v1.30; use the \"appArmorProfile\" field instead"]);
    assert_eq!(server.kubectl("get pod confined -o jsonpath={.spec.containers[0].securityContext}").ok(), "{\"appArmorProfile\":{\"type\":\"Unconfined\"}}");
    let balanced = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}, "spec": {"type": "LoadBalancer", "loadBalancerClass": "example.com/none", "ports": [{"port": 80}]}});
    assert_eq!(warnings(&server.kubectl_with("create -f -", &balanced.to_string())), [""; 0]);
    let ran = server.kubectl("patch service b --subresource=status --type=merge -p {\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"2001:DB8::1\"}]}}}");
    assert_eq!(warnings(&ran), ["status.loadBalancer.ingress[0]: IPv6 address \"2001:DB8::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")"]);

    let label = "spec.template.spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use \"kubernetes.io/arch\" instead";
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"nodeSelector": {"beta.kubernetes.io/arch": "x"}, "containers": [{"name": "a", "image": "x"}]}}}}).to_string();
    let told = |line: &str, wanted: &[&str]| assert_eq!(warnings(&server.kubectl_with(line, &deployment)), wanted, "{line}");
    told("apply --server-side -f -", &[label]);
    // Nothing changes, nothing is told.
    told("apply --server-side -f -", &[]);
    told("replace -f -", &[]);
    told("label deployment a c=d", &[]);
    told("scale deployment a --replicas=1", &[label]);
    told("patch deployment a --type=json -p [{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":0}]", &[label]);
    let failed = server.kubectl("scale deployment a --replicas=2 --warnings-as-errors").fails();
    assert!(failed.contains("1 warning received"), "{failed}");
    assert_eq!(server.kubectl("get deployment a -o jsonpath={.spec.replicas}").ok(), "2");
}

/// Upstream: the strategies' `DefaultGarbageCollectionPolicy`; `pkg/registry/batch/job/storage/storage.go`.
#[test]
fn pods_of_deleted_jobs_stay_unless_told_otherwise() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = ApiServer::start(folder.path(), &[]) else { return };
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "x"}]}});
    let job = |name: &str| json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"suspend": true, "template": template}}).to_string();
    for name in ["kept", "gone", "many"] {
        server.kubectl_with("create -f -", &job(name)).ok();
    }
    let stay = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning";
    let jobs = "/apis/batch/v1/namespaces/default/jobs";
    let told = |path: &str, wanted: &[&str]| assert_eq!(warnings(&server.kubectl(&format!("delete --raw {jobs}{path}"))), wanted, "{path}");
    // Nobody collects garbage here: what waits for that stays to be seen.
    let finalizers = |what: &str| server.kubectl(&format!("get {what} -o jsonpath={{.metadata.finalizers}} --ignore-not-found")).ok();
    told("/kept", &[stay]);
    assert_eq!(finalizers("job kept"), "[\"orphan\"]");
    told("/gone?propagationPolicy=Background", &[]);
    assert_eq!(finalizers("job gone"), "");
    told("?fieldSelector=metadata.name%3Dmany", &[stay]);
    assert_eq!(finalizers("job many"), "[\"orphan\"]");
    let controller = json!({"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "a"}, "spec": {"replicas": 0, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}}}});
    server.kubectl_with("create -f -", &controller.to_string()).ok();
    assert_eq!(warnings(&server.kubectl("delete --raw /api/v1/namespaces/default/replicationcontrollers/a")), [""; 0]);
    assert_eq!(finalizers("rc a"), "[\"orphan\"]");
    // Events have no dependents, whoever waits for them.
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"kind": "Job", "name": "kept", "namespace": "default"}});
    server.kubectl_with("create -f -", &event.to_string()).ok();
    server.kubectl("delete --raw /api/v1/namespaces/default/events/e?propagationPolicy=Foreground").ok();
    assert_eq!(finalizers("event e"), "");
    assert_eq!(server.kubectl("get event e --ignore-not-found").ok(), "");
}

/// Upstream: apiextensions-apiserver `pkg/registry/customresourcedefinition/strategy.go` and `pkg/apiserver/schema/cel/validation.go`.
#[test]
fn writers_of_custom_kinds_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(server) = ApiServer::start(folder.path(), &[]) else { return };
    let definition = |rules: Value| {
        let number = json!({"type": "integer", "format": "int16", "x-kubernetes-validations": rules});
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": number, "s": {"type": "string", "format": "date-time"}}}}});
        let version = json!({"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}});
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "odds.knarr.example"}, "spec": {"group": "knarr.example", "scope": "Cluster", "names": {"plural": "odds", "kind": "Odd"}, "versions": [version]}}).to_string()
    };
    let told = |line: &str, manifest: &str, wanted: &[&str]| {
        let ran = server.kubectl_with(line, manifest);
        assert_eq!(warnings(&ran), wanted, "{line}: {ran:?}");
        ran.ok();
    };
    told("create -f -", &definition(json!([])), &["unrecognized format \"int16\""]);
    server.kubectl("wait --for=condition=Established crd/odds.knarr.example").ok();
    told("create -f -", &json!({"apiVersion": "knarr.example/v1", "kind": "Odd", "metadata": {"name": "a"}, "spec": {"n": 1}}).to_string(), &[]);
    told("apply --server-side --force-conflicts -f -", &definition(json!([{"rule": "self > 5"}])), &[]);
    // What was wrong before may stay, and is told; what is newly wrong is refused.
    told("patch odds a --type=merge -p {\"metadata\":{\"labels\":{\"a\":\"b\"}}}", "", &["spec.n: Invalid value: 1: failed rule: self > 5"]);
    assert!(server.kubectl("patch odds a --type=merge -p {\"spec\":{\"n\":2}}").fails().contains("spec.n: Invalid value: 2: failed rule: self > 5"));
}

/// Upstream: `instrumentation/core_events.go`.
#[test]
fn events_are_written_and_found() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-events");
    let name = &space.name;
    let event = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "seen", "labels": {"e2e-event": "yes"}}, "message": "first", "reason": "Tested", "type": "Normal", "count": 1,
        "source": {"component": "e2e"}, "involvedObject": {"namespace": name, "kind": "Pod", "name": "p"}});
    cluster.kubectl_with(&format!("create -n {name} -f -"), &event.to_string()).ok();
    let listed = || cluster.object("get events -A -l e2e-event=yes");
    assert_eq!(names(&listed()), ["seen"]);
    cluster.kubectl(&format!("patch event seen -n {name} --type=merge -p '{{\"message\":\"second\"}}'")).ok();
    let mut stored = cluster.object(&format!("get event seen -n {name}"));
    assert_eq!(stored["message"], "second");
    stored["series"] = json!({"count": 100, "lastObservedTime": "2026-01-01T00:00:00.000000Z"});
    cluster.kubectl_with("replace -f -", &stored.to_string()).ok();
    assert_eq!(listed()["items"][0]["series"], stored["series"]);
    // The same event under its newer group.
    let newer = cluster.object(&format!("get events.v1.events.k8s.io seen -n {name}"));
    assert_eq!((&newer["note"], &newer["regarding"]["name"], &newer["deprecatedCount"]), (&json!("second"), &json!("p"), &json!(1)));
    cluster.kubectl(&format!("delete event seen -n {name}")).ok();
    assert!(names(&listed()).is_empty());
}

/// Upstream: `apimachinery/namespace.go`.
#[test]
fn namespaces_take_finalizers_updates_and_a_status() {
    let Some(target) = Target::new() else { return };
    let cluster = &target.cluster;
    let space = cluster.namespace("e2e-finalized");
    let name = &space.name;
    let get = || cluster.object(&format!("get namespace {name}"));
    let finalize = |finalizers: Value| {
        let mut object = get();
        object["spec"]["finalizers"] = finalizers;
        target.send("PUT", "application/json", &format!("/api/v1/namespaces/{name}/finalize"), &object.to_string())
    };
    assert_eq!(finalize(json!(["kubernetes", "e2e.example/wait"])).0, 200);
    assert_eq!(get()["spec"]["finalizers"], json!(["kubernetes", "e2e.example/wait"]));
    assert_eq!(finalize(json!(["kubernetes"])).0, 200);
    assert_eq!(get()["spec"]["finalizers"], json!(["kubernetes"]));
    let mut object = get();
    object["metadata"]["labels"]["updated"] = "yes".into();
    cluster.kubectl_with("replace -f -", &object.to_string()).ok();
    assert_eq!(get()["metadata"]["labels"]["updated"], "yes");
    let status = || read(&cluster.kubectl(&format!("get namespace {name} --subresource=status -o json")).ok());
    assert_eq!(status()["status"]["phase"], "Active");
    let told = json!({"type": "E2E", "status": "True", "reason": "Tested", "message": "patched"});
    cluster.kubectl(&format!("patch namespace {name} --subresource=status --type=merge -p '{}'", json!({"status": {"conditions": [told]}}))).ok();
    let mut object = status();
    assert_eq!(object["status"]["conditions"][0]["message"], "patched");
    object["status"]["conditions"][0]["message"] = "put".into();
    cluster.kubectl_with("replace --subresource=status -f -", &object.to_string()).ok();
    assert_eq!(status()["status"]["conditions"][0]["message"], "put");
}

/// Upstream: `apimachinery/resource_quota.go`.
#[test]
fn quotas_live_and_their_status_follows_what_they_ask() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-quota-life");
    let name = &space.name;
    let manifest = json!({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "5", "configmaps": "9"}}});
    Kind::new(&cluster, Some(name), "resourcequotas", manifest.clone()).lives();
    let mut quota = manifest;
    quota["metadata"] = json!({"name": "q"});
    cluster.kubectl_with(&format!("create -n {name} -f -"), &quota.to_string()).ok();
    let settled = |pods: &str| cluster.kubectl(&format!("wait resourcequota q -n {name} --for=jsonpath={{.status.hard.pods}}={pods} --timeout=30s")).ok();
    settled("5");
    let written = read(&cluster.kubectl(&format!("patch resourcequota q -n {name} --subresource=status --type=merge -o json -p '{}'", json!({"status": {"hard": {"pods": "77"}}}))).ok());
    assert_eq!(written["status"]["hard"]["pods"], "77");
    settled("5");
    cluster.kubectl(&format!("patch resourcequota q -n {name} --type=merge -p '{}'", json!({"spec": {"hard": {"pods": "6"}}}))).ok();
    settled("6");
    assert_eq!(cluster.object(&format!("get resourcequota q -n {name} --subresource=status"))["status"]["used"]["pods"], "0");
}

/// Upstream: `auth/service_accounts.go`.
#[test]
fn accounts_are_updated_and_the_authority_is_always_there() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-accounts");
    let name = &space.name;
    cluster.kubectl(&format!("create serviceaccount robot -n {name}")).ok();
    let mut account = cluster.object(&format!("get serviceaccount robot -n {name}"));
    account["automountServiceAccountToken"] = false.into();
    cluster.kubectl_with("replace -f -", &account.to_string()).ok();
    assert_eq!(cluster.object(&format!("get serviceaccount robot -n {name}"))["automountServiceAccountToken"], false);
    let holds = || cluster.kubectl(&format!("wait configmap kube-root-ca.crt -n {name} --for=jsonpath={{.data.ca\\.crt}} --timeout=30s")).ok();
    cluster.kubectl(&format!("wait configmap kube-root-ca.crt -n {name} --for=create --timeout=30s")).ok();
    holds();
    let read = || cluster.object(&format!("get configmap kube-root-ca.crt -n {name}"));
    let before = read();
    cluster.kubectl(&format!("delete configmap kube-root-ca.crt -n {name}")).ok();
    cluster.kubectl(&format!("wait configmap kube-root-ca.crt -n {name} --for=create --timeout=30s")).ok();
    assert_eq!((&read()["data"], read()["metadata"]["uid"] == before["metadata"]["uid"]), (&before["data"], false));
    cluster.kubectl(&format!("patch configmap kube-root-ca.crt -n {name} --type=merge -p '{}'", json!({"data": {"ca.crt": Value::Null, "other": "x"}}))).ok();
    holds();
    assert_eq!(read()["data"], before["data"]);
}

/// Upstream: `auth/subjectreviews.go`.
#[test]
fn reviews_say_what_holds_for_whoever_acts() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let space = cluster.namespace("e2e-reviews");
    let name = &space.name;
    cluster.kubectl(&format!("create serviceaccount asks -n {name}")).ok();
    cluster.kubectl(&format!("create rolebinding asks -n {name} --clusterrole=view --serviceaccount={name}:asks")).ok();
    let user = format!("system:serviceaccount:{name}:asks");
    for (verb, allowed) in [("list", true), ("delete", false)] {
        let spec = json!({"user": user, "groups": ["system:authenticated"], "resourceAttributes": {"namespace": name, "verb": verb, "resource": "configmaps", "version": "v1"}});
        for (kind, space) in [("SubjectAccessReview", None), ("LocalSubjectAccessReview", Some(name))] {
            let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "metadata": {"namespace": space}, "spec": spec});
            let answer = read(&cluster.kubectl_with("create -o json -f -", &review.to_string()).ok());
            assert_eq!(answer["status"]["allowed"], allowed, "{kind}: {answer}");
        }
        let line = if verb == "list" { "get configmaps" } else { "delete configmap none --ignore-not-found" };
        let acted = cluster.kubectl(&format!("{line} -n {name} --as={user}"));
        assert_eq!(acted.code == Some(0), allowed, "{}", acted.err);
    }
}

/// Upstream: `apimachinery/validatingadmissionpolicy.go`, the API operations.
#[test]
fn policies_and_their_bindings_live() {
    let Some(cluster) = Cluster::of_environment() else { return };
    let group = "admissionregistration.k8s.io/v1";
    let listed = cluster.kubectl(&format!("get --raw /apis/{group}")).ok();
    for resource in ["validatingadmissionpolicies", "validatingadmissionpolicies/status", "validatingadmissionpolicybindings"] {
        assert!(listed.contains(&format!("\"name\":\"{resource}\"")), "{resource}: {listed}");
    }
    let rules = json!([{"apiGroups": ["none.example"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["things"]}]);
    let policy = json!({"apiVersion": group, "kind": "ValidatingAdmissionPolicy", "spec": {"failurePolicy": "Ignore", "matchConstraints": {"resourceRules": rules}, "validations": [{"expression": "true"}]}});
    let policy = Kind::new(&cluster, None, "validatingadmissionpolicies", policy);
    policy.lives();
    policy.has_status(&json!({"status": {"conditions": [{"type": "E2E", "status": "True", "reason": "E2E", "message": "set from e2e", "lastTransitionTime": "2024-01-01T00:00:00Z"}]}}), "/status/conditions/0");
    let binding = json!({"apiVersion": group, "kind": "ValidatingAdmissionPolicyBinding", "spec": {"policyName": "none-of-them", "validationActions": ["Deny"]}});
    Kind::new(&cluster, None, "validatingadmissionpolicybindings", binding).lives();
}
