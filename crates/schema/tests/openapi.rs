//! The documents hang together: every reference resolves, the facts clients lean on are there, protobuf says the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use schema::openapi::{Documents, Resource, Subresource};
use serde_json::{Value, json};

fn words(list: &str) -> Vec<String> {
    list.split(' ').map(str::to_owned).collect()
}

fn resource(group: &str, version: &str, kind: &str, plural: &str, namespaced: bool) -> Resource {
    Resource {
        group: group.into(),
        version: version.into(),
        kind: kind.into(),
        plural: plural.into(),
        namespaced,
        verbs: words("create delete deletecollection get list patch update watch"),
        subresources: vec![Subresource { name: "status".into(), group: group.into(), version: version.into(), kind: kind.into(), verbs: words("get patch update") }],
        list_kind: String::new(),
        gives_deleted: plural == "pods",
        custom: None,
    }
}

fn documents() -> Documents {
    let mut custom = resource("stable.example.com", "v1", "CronTab", "crontabs", true);
    custom.custom = Some(schema::openapi::Custom { schema: Some(json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"n": {"type": "integer", "nullable": true}}}}}).into()), preserves: false });
    let mut pods = resource("", "v1", "Pod", "pods", true);
    let part = |name: &str, kind: &str, verbs: &str| Subresource { name: name.into(), group: String::new(), version: "v1".into(), kind: kind.into(), verbs: words(verbs) };
    pods.subresources.extend([part("exec", "PodExecOptions", "create get"), part("proxy", "PodProxyOptions", "create delete get patch update"), part("log", "Pod", "get")]);
    let all = [pods, resource("", "v1", "Node", "nodes", false), resource("apps", "v1", "Deployment", "deployments", true), custom];
    Documents::new(all.into_iter().map(|r| Arc::new(r.into())).collect())
}

fn references(value: &Value, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            out.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|v| references(v, out));
        }
        Value::Array(items) => items.iter().for_each(|v| references(v, out)),
        _ => {}
    }
}

fn check(document: &Value, prefix: &str, definitions: &Value) {
    let mut found = BTreeSet::new();
    references(document, &mut found);
    assert!(found.len() > 50, "{}", found.len());
    for reference in found {
        let name = reference.strip_prefix(prefix).unwrap_or_else(|| panic!("{reference}"));
        assert!(definitions.get(name).is_some(), "{name} is missing");
    }
}

#[test]
fn version_2_hangs_together() {
    let packed = documents().v2(&[]).expect("renders");
    let document: Value = serde_json::from_slice(&packed.plain().expect("gzip")).expect("JSON");
    check(&document, "#/definitions/", &document["definitions"]);
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(patch["operationId"], "patchAppsV1NamespacedDeployment");
    assert_eq!(patch["x-kubernetes-group-version-kind"], json!({"group": "apps", "version": "v1", "kind": "Deployment"}));
    assert!(patch["parameters"].as_array().is_some_and(|p| p.iter().any(|p| p["name"] == "fieldValidation")));
    let watch = &document["paths"]["/apis/apps/v1/watch/namespaces/{namespace}/deployments/{name}"];
    assert_eq!((&watch["get"]["operationId"], &watch["get"]["x-kubernetes-action"]), (&json!("watchAppsV1NamespacedDeployment"), &json!("watch")));
    assert_eq!(document["paths"]["/apis/apps/v1/watch/deployments"]["get"]["operationId"], "watchAppsV1DeploymentListForAllNamespaces");
    assert!(document["paths"].as_object().is_some_and(|paths| !paths.keys().any(|path| path.starts_with("/apis/stable.example.com/v1/watch"))));
    assert_eq!(document["paths"]["/apis/apps/v1/"]["get"]["operationId"], "getAppsV1APIResources");
    assert!(document["paths"]["/apis/stable.example.com/v1/"].is_null() && document["definitions"]["io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList"]["properties"].is_object());
    let all = &document["paths"]["/api/v1/namespaces/{namespace}/pods"]["delete"];
    assert_eq!((&all["operationId"], &all["description"]), (&json!("deleteCoreV1CollectionNamespacedPod"), &json!("delete collection of Pod")));
    assert!(all["parameters"].as_array().is_some_and(|p| p.iter().any(|p| p["name"] == "propagationPolicy") && !p.iter().any(|p| p["name"] == "watch")));
    let deleted = &document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["delete"]["responses"]["200"]["schema"]["$ref"];
    assert_eq!(deleted, "#/definitions/io.k8s.api.core.v1.Pod");
    let exec = &document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/exec"];
    assert_eq!((&exec["post"]["operationId"], &exec["post"]["x-kubernetes-action"], &exec["post"]["responses"]["200"]["schema"]), (&json!("connectCoreV1PostNamespacedPodExec"), &json!("connect"), &json!({"type": "string"})));
    assert!(exec["put"].is_null() && exec["parameters"].as_array().is_some_and(|p| p.iter().any(|p| p["name"] == "stdin" && p["type"] == "boolean")));
    assert_eq!(document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/proxy/{path}"]["head"]["operationId"], "connectCoreV1HeadNamespacedPodProxyWithPath");
    assert!(document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}/log"]["parameters"].as_array().is_some_and(|p| p.iter().any(|p| p["name"] == "tailLines" && p["type"] == "integer")));
    let containers = &document["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert!(document["definitions"]["com.example.stable.v1.CronTab"]["properties"]["spec"]["properties"]["n"].get("type").is_none());
}

#[test]
fn version_3_has_one_document_for_each_group_version() {
    let documents = documents();
    let index = documents.v3_index();
    assert_eq!(index["paths"].as_object().map(|p| p.keys().cloned().collect::<Vec<_>>()), Some([".well-known/openid-configuration", "api", "api/v1", "apis", "apis/apps", "apis/apps/v1", "apis/stable.example.com/v1", "openid/v1/jwks", "version"].map(str::to_owned).into()));
    let packed = documents.v3("apis/apps").expect("renders").expect("exists");
    let group: Value = serde_json::from_slice(&packed.plain().expect("gzip")).expect("JSON");
    assert_eq!((&group["paths"]["/apis/apps/"]["get"]["operationId"], group["paths"].as_object().map(serde_json::Map::len)), (&json!("getAppsAPIGroup"), Some(1)));
    let packed = documents.v3("apis/apps/v1").expect("renders").expect("exists");
    assert!(index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().is_some_and(|u| u.ends_with(&packed.etag)));
    let document: Value = serde_json::from_slice(&packed.plain().expect("gzip")).expect("JSON");
    check(&document, "#/components/schemas/", &document["components"]["schemas"]);
    let spec = &document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(spec["properties"]["spec"]["allOf"][0]["$ref"], "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec");
    assert!(document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"]["requestBody"]["content"].get("application/strategic-merge-patch+json").is_some());
    assert!(documents.v3("apis/none/v1").expect("renders").is_none());
}

#[test]
fn the_protobuf_form_holds_every_definition() {
    let documents = documents();
    let json: Value = serde_json::from_slice(&documents.v2(&[]).expect("renders").plain().expect("gzip")).expect("JSON");
    let wire = documents.v2_proto(&[]).expect("renders").plain().expect("gzip");
    for name in json["definitions"].as_object().expect("definitions").keys() {
        assert!(wire.windows(name.len()).any(|w| w == name.as_bytes()), "{name}");
    }
    assert_eq!(&wire[..5], b"\x0a\x032.0");
}

/// Upstream: what Go leaves out when it is empty is not required, and lists in the third version tell their elements' zero.
#[test]
fn what_is_required_is_what_upstream_requires() {
    let packed = documents().v2(&[]).expect("renders");
    let document: Value = serde_json::from_slice(&packed.plain().expect("gzip")).expect("JSON");
    let required = |name: &str| document["definitions"][format!("io.k8s.api.{name}")]["required"].clone();
    assert_eq!((required("core.v1.Pod"), required("core.v1.PodList"), required("apps.v1.Deployment")), (Value::Null, json!(["items"]), json!(["spec"])));
}
