//! What extends the API: custom resource definitions and aggregated services.

use serde_json::Value;

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    vec![crd(), api_service()]
}

fn crd() -> Resource {
    Resource::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false)
        .short(&["crd", "crds"])
        .status()
        .rules(|rules| rules.default = default_crd)
        .columns(columns(&["Name", "Created At"]), crate::columns::name_and_age_cells)
}

fn api_service() -> Resource {
    Resource::new("apiregistration.k8s.io", "v1", "APIService", "apiservices", false).status_only().rules(|rules| rules.default = |object| {
        if let Some(service) = walk::existing_mut(object, "spec.service") {
            walk::fill(service, "port", 443);
        }
    }).columns(columns(&["Name", "Service", "Available", "Age"]), |object, now| {
        let service = match walk::text(object, "spec.service.name") {
            "" => "Local".to_owned(),
            service => format!("{}/{service}", walk::text(object, "spec.service.namespace")),
        };
        vec![name(object), service.into(), available(object).into(), age(object, now)]
    })
}

fn available(object: &Value) -> String {
    let condition = walk::list(object, "status.conditions").iter().find(|c| walk::text(c, "type") == "Available");
    match condition.map(|c| (walk::text(c, "status"), walk::text(c, "reason"))) {
        Some(("True", _)) => "True".into(),
        Some((status, reason)) => format!("{status} ({reason})"),
        None => "Unknown".into(),
    }
}

/// Upstream: apiextensions `pkg/apis/apiextensions/v1/defaults.go`.
fn default_crd(object: &mut Value) {
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    if let Some(names) = walk::child(spec, "names") {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !kind.is_empty() {
            walk::fill_text(names, "singular", &kind.to_lowercase());
            walk::fill_text(names, "listKind", &format!("{kind}List"));
        }
    }
    walk::fill(spec, "conversion", serde_json::json!({"strategy": "None"}));
    if let Some(service) = walk::child(spec, "conversion").and_then(|c| walk::child(c, "webhook")).and_then(|w| walk::child(w, "clientConfig")).and_then(|c| walk::child(c, "service")) {
        walk::fill(service, "port", 443);
    }
}
