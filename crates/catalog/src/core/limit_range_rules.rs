//! Validation of LimitRanges: types once each, and bounds that do not contradict each other.

use std::collections::{BTreeSet, HashSet};

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::pod::pod_level::amounts;
use crate::{check, walk};

pub fn validate(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let mut seen = HashSet::new();
    for (i, item) in walk::list(object, "spec.limits").iter().enumerate() {
        let (path, kind) = (Path::new("spec.limits").index(i), walk::text(item, "type"));
        check::syntax(&mut errors, &path.child("type"), kind, api::names::qualified_name(kind));
        if !seen.insert(kind) {
            errors.push(FieldError::duplicate(&path.child("type"), kind));
        }
        if kind == "Pod" {
            for key in ["default", "defaultRequest"] {
                if walk::map(item, key).is_some_and(|m| !m.is_empty()) {
                    errors.push(FieldError::forbidden(&path.child(key), "may not be specified when `type` is 'Pod'"));
                }
            }
        }
        if kind == "PersistentVolumeClaim" && ["min", "max"].iter().all(|key| walk::at(walk::at(item, key), "storage").is_null()) {
            errors.push(FieldError::required(&path.child("limits"), "either minimum or maximum storage value is required, but neither was provided"));
        }
        bounds(&mut errors, item, &path);
    }
    errors
}

fn bounds(errors: &mut FieldErrors, item: &Value, path: &Path) {
    let of = |key: &str| amounts(walk::at(item, key));
    let (least, most, default, request) = (of("min"), of("max"), of("default"), of("defaultRequest"));
    let names: BTreeSet<_> = least.keys().chain(most.keys()).chain(default.keys()).chain(request.keys()).collect();
    for name in names {
        let pairs = [
            ("min", &least, "min value", &most, "max value"),
            ("defaultRequest", &least, "min value", &request, "default request value"),
            ("defaultRequest", &request, "default request value", &most, "max value"),
            ("defaultRequest", &request, "default request value", &default, "default limit value"),
            ("default", &least, "min value", &default, "default value"),
            ("default", &default, "default value", &most, "max value"),
        ];
        for (field, low, low_name, high, high_name) in pairs {
            if let (Some(low), Some(high)) = (low.get(name), high.get(name))
                && low > high
            {
                errors.push(FieldError::invalid(&path.child(field).key(name), low.to_string(), format!("{low_name} {low} is greater than {high_name} {high}")));
            }
        }
    }
}
