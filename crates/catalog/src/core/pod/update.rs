//! What of a pod may change once it is made.
//!
//! Upstream: `ValidatePodUpdate` in `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::gated;
use crate::walk;

const ONLY: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// `new` and `old` are specs. Ephemeral containers and amounts are written by way of their own parts only.
pub fn check(errors: &mut FieldErrors, new: &Value, old: &Value, path: &Path) {
    if new == old {
        return;
    }
    for list in ["containers", "initContainers"] {
        if walk::list(new, list).len() != walk::list(old, list).len() {
            return errors.push(FieldError::forbidden(&path.child(list), "pod updates may not add or remove containers"));
        }
    }
    if deadline(errors, new, old, path) {
        return;
    }
    tolerations(errors, new, old, path);
    gated::gates(errors, new, old, path);
    let mut munged = new.clone();
    for list in ["containers", "initContainers"] {
        let before = walk::list(old, list);
        for (container, before) in walk::list_mut(&mut munged, list).iter_mut().zip(before) {
            walk::keep(container, Some(before), "image");
        }
    }
    let mut keys = vec!["activeDeadlineSeconds", "tolerations", "schedulingGates"];
    if walk::int(old, "terminationGracePeriodSeconds") < 0 && walk::int(new, "terminationGracePeriodSeconds") == 1 {
        keys.push("terminationGracePeriodSeconds");
    }
    if !walk::list(old, "schedulingGates").is_empty() {
        gated::check(errors, &mut munged, new, old, path);
    }
    for key in keys {
        walk::keep(&mut munged, Some(old), key);
    }
    if munged != *old {
        errors.push(FieldError::forbidden(path, format!("{ONLY}\n{}", difference(&munged, old))));
    }
}

/// Whether nothing else is judged: upstream goes no further once a deadline is wrong.
fn deadline(errors: &mut FieldErrors, new: &Value, old: &Value, path: &Path) -> bool {
    let path = path.child("activeDeadlineSeconds");
    let fault = match (walk::at(new, "activeDeadlineSeconds").as_i64(), walk::at(old, "activeDeadlineSeconds").as_i64()) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => FieldError::invalid(&path, new, "must be between 0 and 2147483647, inclusive"),
        (Some(new), Some(old)) if old < new => FieldError::invalid(&path, new, "must be less than or equal to previous value"),
        (None, Some(_)) => {
            errors.push(FieldError::invalid(&path, Value::Null, "must not update from a positive integer to nil value"));
            return false;
        }
        _ => return false,
    };
    errors.push(fault);
    true
}

fn tolerations(errors: &mut FieldErrors, new: &Value, old: &Value, path: &Path) {
    let bare = |toleration: &Value| {
        let mut bare = toleration.clone();
        walk::keep(&mut bare, None, "tolerationSeconds");
        bare
    };
    let after: Vec<_> = walk::list(new, "tolerations").iter().map(bare).collect();
    if walk::list(old, "tolerations").iter().any(|t| !after.contains(&bare(t))) {
        errors.push(FieldError::forbidden(&path.child("tolerations"), "existing toleration can not be modified except its tolerationSeconds"));
    }
}

/// The keys that differ, old and new, one a line.
pub fn difference(new: &Value, old: &Value) -> String {
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else { return String::new() };
    let keys: std::collections::BTreeSet<_> = new.keys().chain(old.keys()).collect();
    let shown = |value: Option<&Value>| value.map_or_else(|| "<none>".to_owned(), Value::to_string);
    keys.into_iter().filter(|k| new.get(*k) != old.get(*k)).map(|k| format!("  {k}:\n- {}\n+ {}\n", shown(old.get(k)), shown(new.get(k)))).collect()
}
