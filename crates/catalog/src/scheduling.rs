//! The `scheduling.k8s.io` group.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::check;
use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let mut class = Resource::new("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", false).short(&["pc"]).rules(|rules| {
        rules.validate = validate;
        // Upstream: `pkg/registry/scheduling/priorityclass/strategy.go`, where nothing counts it up.
        rules.prepare = |object, old| {
            if old.is_none() {
                api::meta::set(object, "generation", 1);
            }
        };
        rules.default = |object| {
            if let Some(class) = object.as_object_mut() {
                walk::fill(class, "preemptionPolicy", "PreemptLowerPriority");
            }
        };
    }).columns(
        columns(&["Name", "Value#", "Global-Default", "Age", "PreemptionPolicy"]),
        |object, now| vec![name(object), walk::int(object, "value").into(), walk::flag(object, "globalDefault").into(), age(object, now), walk::text(object, "preemptionPolicy").into()],
    );
    class.table = "/registry/priorityclasses".into();
    vec![class]
}

/// Classes of the system's own, which alone may go above what users may.
const SYSTEM: [(&str, i64); 2] = [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];
const HIGHEST_OF_USERS: i64 = 1_000_000_000;

/// Upstream: `pkg/apis/scheduling/validation/validation.go`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (name, value) = (api::meta::name(object), walk::int(object, "value"));
    if let Some(old) = old {
        if value != walk::int(old, "value") {
            errors.push(FieldError::forbidden(&Path::new("value"), "may not be changed in an update."));
        }
        check::immutable(&mut errors, &Path::new("preemptionPolicy"), walk::at(object, "preemptionPolicy"), walk::at(old, "preemptionPolicy"));
        return errors;
    }
    if name.starts_with("system-") {
        if let Some(why) = system_fault(name, value, walk::flag(object, "globalDefault")) {
            errors.push(FieldError::forbidden(&Path::new("metadata.name"), format!("priority class names with 'system-' prefix are reserved for system use only. error: {why}")));
        }
    } else if value > HIGHEST_OF_USERS {
        errors.push(FieldError::forbidden(&Path::new("value"), format!("maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}")));
    }
    check::maybe_one_of(&mut errors, &Path::new("preemptionPolicy"), walk::text(object, "preemptionPolicy"), &["PreemptLowerPriority", "Never"]);
    errors
}

/// Upstream: `IsKnownSystemPriorityClass`.
fn system_fault(name: &str, value: i64, is_default: bool) -> Option<String> {
    match SYSTEM.iter().find(|(known, _)| *known == name) {
        None => Some(format!("{name} is not a known system priority class")),
        Some((_, known)) if *known != value => Some(format!("value of {name} PriorityClass must be {known}")),
        Some(_) => is_default.then(|| format!("globalDefault of {name} PriorityClass must be false")),
    }
}
