//! Validation of ResourceQuotas.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::pod::resources::{is_standard_for_quota, resource_amount, resource_name};
use crate::{check, walk};

const SCOPES: [&str; 7] = ["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating", "VolumeAttributesClass"];

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("spec");
    amounts(&mut errors, walk::at(object, "spec.hard"), &path.child("hard"));
    let scopes = walk::at(object, "spec.scopes");
    let has = |name: &str| walk::list(object, "spec.scopes").iter().any(|s| s == name);
    for _ in walk::list(object, "spec.scopes").iter().filter_map(Value::as_str).filter(|s| !SCOPES.contains(s)) {
        errors.push(FieldError::invalid(&path.child("scopes"), scopes.clone(), "unsupported scope"));
    }
    if (has("BestEffort") && has("NotBestEffort")) || (has("Terminating") && has("NotTerminating")) {
        errors.push(FieldError::invalid(&path.child("scopes"), scopes.clone(), "conflicting scopes"));
    }
    if let Some(old) = old {
        check::immutable(&mut errors, &path.child("scopes"), scopes, walk::at(old, "spec.scopes"));
    }
    errors
}

pub fn validate_status(object: &Value, _: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for key in ["hard", "used"] {
        amounts(&mut errors, walk::at(walk::at(object, "status"), key), &Path::new("status").child(key));
    }
    errors
}

fn amounts(errors: &mut FieldErrors, list: &Value, path: &Path) {
    for (name, value) in list.as_object().into_iter().flatten() {
        let path = path.key(name);
        if resource_name(errors, name, &path) && !name.contains('/') && !is_standard_for_quota(name) {
            errors.push(FieldError::invalid(&path, name.as_str(), "must be a standard resource for quota"));
        }
        resource_amount(errors, name, value, &path);
    }
}
