//! Validation of resources of a pod as a whole.
//!
//! Upstream: `validatePodResources` in `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::pod_level::{amounts, is_supported, of_containers};
use super::resources;
use crate::walk;

pub fn validate(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let own = walk::at(spec, "resources");
    if !own.is_object() {
        return;
    }
    if walk::at(own, "claims").is_array() {
        errors.push(FieldError::forbidden(&path.child("claims"), "claims cannot be set for Resources at pod-level"));
    }
    if walk::text(spec, "os.name") == "windows" {
        errors.push(FieldError::forbidden(path, "may not be set for a windows pod"));
    }
    resources::amounts(errors, own, resource_name, path);
    let requests = amounts(walk::at(own, "requests"));
    for (name, sum) in of_containers(spec, "requests") {
        let given = requests.get(&name);
        if given.map_or(sum.sign() > 0, |given| sum > *given) {
            let shown = given.map_or_else(|| "0".to_owned(), ToString::to_string);
            errors.push(FieldError::invalid(&path.child("requests").key(&name), shown, format!("must be greater than or equal to aggregate container requests of {sum}")));
        }
    }
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

fn resource_name(errors: &mut FieldErrors, name: &str, path: &Path) {
    if resources::resource_name(errors, name, path) && !is_supported(name) {
        errors.push(FieldError::not_supported(path, name, &["cpu", "hugepages-", "memory"]));
    }
}
