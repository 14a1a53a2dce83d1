//! The `storagemigration.k8s.io` group.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::{Value, json};

use crate::resource::Resource;
use crate::{check, walk};

pub fn resources() -> Vec<Resource> {
    vec![Resource::new("storagemigration.k8s.io", "v1", "StorageVersionMigration", "storageversionmigrations", false).status().rules(|rules| {
        rules.validate = validate;
        rules.validate_status = validate_status;
        rules.prepare = |object, old| walk::own_status(object, old, json!({}));
    })]
}

/// Upstream: `pkg/apis/storagemigration/validation/validation.go`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (wanted, path) = (walk::at(object, "spec.resource"), Path::new("spec.resource"));
    let (group, plural) = (walk::text(wanted, "group"), walk::text(wanted, "resource"));
    let joined = |errors: &mut FieldErrors, key: &str, value: &str, faults: names::Faults| {
        if !faults.is_empty() {
            errors.push(FieldError::invalid(&path.child(key), value, faults.join(",")));
        }
    };
    if plural.is_empty() {
        errors.push(FieldError::required(&path.child("resource"), "resource is required to be set"));
    } else {
        joined(&mut errors, "resource", plural, names::dns1035_label(plural));
    }
    if !group.is_empty() {
        joined(&mut errors, "group", group, names::dns1123_subdomain(group));
    }
    if let Some(old) = old.map(|old| walk::at(old, "spec.resource")) {
        for key in ["group", "resource"] {
            check::immutable(&mut errors, &path.child(key), walk::at(wanted, key), walk::at(old, key));
        }
    }
    errors
}

/// Upstream: `ValidateStorageVersionMigrationStatusUpdate`. What came to an end stays so, one way.
fn validate_status(object: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (status, path) = (walk::at(object, "status"), Path::new("status"));
    let list = path.child("conditions");
    check::conditions(&mut errors, walk::list(status, "conditions"), &list);
    let (now, before) = (walk::text(status, "resourceVersion"), walk::text(old, "status.resourceVersion"));
    if !before.is_empty() && now != before {
        errors.push(FieldError::invalid(&path.child("resourceVersion"), now, "cannot be updated"));
    }
    let is = |of: &Value, kind: &str| walk::list(of, "status.conditions").iter().any(|c| walk::text(c, "type") == kind && walk::text(c, "status") == "True");
    let [success, failed, running] = ["Succeeded", "Failed", "Running"].map(|kind| is(object, kind));
    let faults = [
        (success && failed, "Both success and failed conditions cannot be true at the same time"),
        (success && running, "Running condition cannot be true when success condition is true"),
        (failed && running, "Running condition cannot be true when failed condition is true"),
        (is(old, "Succeeded") && !success, "Success condition cannot be set to false once it is true"),
        (is(old, "Failed") && !failed, "Failed condition cannot be set to false once it is true"),
    ];
    let told = faults.into_iter().filter(|(is_so, _)| *is_so).map(|(_, fault)| fault);
    errors.extend(told.map(|fault| FieldError::invalid(&list, walk::at(status, "conditions").clone(), fault)));
    errors
}
