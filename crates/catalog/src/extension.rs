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
        .columns(columns(&["Name", "Created At"]), crate::columns::name_and_age_cells)
}

fn api_service() -> Resource {
    Resource::new("apiregistration.k8s.io", "v1", "APIService", "apiservices", false).status_only().columns(columns(&["Name", "Service", "Available", "Age"]), |object, now| {
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
