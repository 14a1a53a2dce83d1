//! Custom resource definitions.

use serde_json::Value;

use crate::columns::columns;
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    vec![crd()]
}

fn crd() -> Resource {
    Resource::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", false)
        .short(&["crd", "crds"])
        .category("api-extensions")
        .status()
        .rules(|rules| {
            rules.default = default_crd;
            rules.prepare = prepare_crd;
            rules.validate = crate::custom::rules::validate;
            rules.warn = crate::custom::definition_warnings;
            rules.validate_status = crate::custom::rules::validate_status;
            rules.before_delete = |object| crate::custom::status::mark_deleted(object, jiff::Timestamp::now());
            rules.unconditional_update = false;
        })
        .columns(columns(&["Name", "Created At"]), crate::columns::name_and_age_cells)
}

/// A definition starts without accepted names; the version that is stored from now on is noted for good.
// Upstream: apiextensions `pkg/registry/customresourcedefinition/strategy.go`.
fn prepare_crd(object: &mut Value, old: Option<&Value>) {
    if old.is_none() {
        object["status"] = serde_json::json!({"acceptedNames": {"kind": "", "plural": ""}, "conditions": null, "storedVersions": []});
    }
    let stored = walk::list(object, "spec.versions").iter().find(|v| walk::flag(v, "storage")).map(|v| walk::text(v, "name").to_owned());
    let (Some(stored), Some(status)) = (stored, walk::object_mut(object, "status")) else { return };
    if let Some(list) = status.entry("storedVersions").or_insert_with(|| serde_json::json!([])).as_array_mut()
        && !list.iter().any(|v| *v == stored)
    {
        list.push(stored.into());
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
