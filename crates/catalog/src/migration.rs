//! The `storagemigration.k8s.io` group.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::{Value, json};

use crate::resource::Resource;
use crate::{check, walk};

pub fn resources() -> Vec<Resource> {
    vec![Resource::new("storagemigration.k8s.io", "v1", "StorageVersionMigration", "storageversionmigrations", false).status().rules(|rules| {
        rules.validate = validate;
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
