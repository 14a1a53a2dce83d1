//! Validation of resources of a pod as a whole.
//!
//! Upstream: `validatePodResources` in `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::pod_level::{amounts, is_huge_page, is_supported, of_containers};
use super::resources;
use crate::walk;

pub fn validate(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let own = walk::at(spec, "resources");
    if !own.is_object() {
        return;
    }
    if walk::text(spec, "os.name") == "windows" {
        return errors.push(FieldError::forbidden(path, "may not be set for a windows pod"));
    }
    if walk::at(own, "claims").is_array() {
        errors.push(FieldError::forbidden(&path.child("claims"), "claims may not be set for Resources at pod-level"));
    }
    resources::amounts(errors, own, resource_name, path);
    covers(errors, spec, own, "requests", |_| true, path);
    covers(errors, spec, own, "limits", is_huge_page, path);
    let limits = amounts(walk::at(own, "limits"));
    for (i, container) in walk::list(spec, "containers").iter().enumerate() {
        for (name, limit) in amounts(walk::at(container, "resources.limits")) {
            if let Some(most) = limits.get(&name).filter(|most| limit > **most) {
                // Upstream names the place so.
                let path = path.child("containers").index(i).key(&name).child("limits");
                errors.push(FieldError::invalid(&path, limit.to_string(), format!("must be less than or equal to pod limits of {most}")));
            }
        }
    }
}

/// What the pod says of a resource is enough for its containers. Upstream: of limits only those of huge pages, which
/// nobody overcommits.
fn covers(errors: &mut FieldErrors, spec: &Value, own: &Value, list: &str, judged: fn(&str) -> bool, path: &Path) {
    let whole = amounts(walk::at(own, list));
    for (name, sum) in of_containers(spec, list).into_iter().filter(|(name, _)| judged(name)) {
        if let Some(given) = whole.get(&name).filter(|given| sum > **given) {
            errors.push(FieldError::invalid(&path.child(list).key(&name), given.to_string(), format!("must be greater than or equal to aggregate container {list} of {sum}")));
        }
    }
}

fn resource_name(errors: &mut FieldErrors, name: &str, path: &Path) {
    if resources::resource_name(errors, name, path) && !is_supported(name) {
        errors.push(FieldError::not_supported(path, name, &["cpu", "hugepages-", "memory"]));
    }
}
