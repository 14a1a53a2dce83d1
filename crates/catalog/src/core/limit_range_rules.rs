//! Validation of LimitRanges: types once each, names of resources, and bounds that do not contradict each other.
//!
//! Upstream: `ValidateLimitRange` in `pkg/apis/core/validation/validation.go`.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use api::field::{FieldError, FieldErrors, Path};
use quantity::Quantity;
use serde_json::Value;

use super::pod::pod_level::amounts;
use super::pod::resources::{container_resource_name, may_overcommit, resource_name};
use crate::{check, walk};

/// Above so many an amount is compared whole. Upstream: `resource.MaxMilliValue`.
const MOST_IN_THOUSANDTHS: i64 = i64::MAX / 1000;

pub fn validate(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let mut seen = HashSet::new();
    for (i, item) in walk::list(object, "spec.limits").iter().enumerate() {
        let (path, kind) = (Path::new("spec.limits").index(i), walk::text(item, "type"));
        kind_name(&mut errors, kind, &path.child("type"));
        if !seen.insert(kind) {
            errors.push(FieldError::duplicate(&path.child("type"), kind));
        }
        resource_names(&mut errors, item, &["max", "min"], &path);
        if kind == "Pod" {
            for key in ["default", "defaultRequest"] {
                if walk::map(item, key).is_some_and(|m| !m.is_empty()) {
                    errors.push(FieldError::forbidden(&path.child(key), "may not be specified when `type` is 'Pod'"));
                }
            }
        } else {
            resource_names(&mut errors, item, &["default", "defaultRequest"], &path);
        }
        if kind == "PersistentVolumeClaim" && ["min", "max"].iter().all(|key| walk::at(walk::at(item, key), "storage").is_null()) {
            errors.push(FieldError::required(&path.child("limits"), "either minimum or maximum storage value is required, but neither was provided"));
        }
        resource_names(&mut errors, item, &["maxLimitRequestRatio"], &path);
        bounds(&mut errors, item, &path);
    }
    errors
}

fn kind_name(errors: &mut FieldErrors, kind: &str, path: &Path) {
    let faults = api::names::qualified_name(kind);
    if faults.is_empty() && !kind.contains('/') && !matches!(kind, "Container" | "PersistentVolumeClaim" | "Pod") {
        errors.push(FieldError::invalid(path, kind, "must be a standard limit type or fully qualified"));
    }
    check::syntax(errors, path, kind, faults);
}

/// Pods and containers are bounded in what containers use, other kinds in anything.
fn resource_names(errors: &mut FieldErrors, item: &Value, lists: &[&str], path: &Path) {
    let of_containers = matches!(walk::text(item, "type"), "Container" | "Pod");
    for list in lists {
        for (name, _) in walk::map(item, list).into_iter().flatten() {
            let path = path.child(list).key(name);
            if of_containers {
                container_resource_name(errors, name, &path);
            } else {
                resource_name(errors, name, &path);
            }
        }
    }
}

fn bounds(errors: &mut FieldErrors, item: &Value, path: &Path) {
    let of = |key: &str| amounts(walk::at(item, key));
    let (least, most, ratio) = (of("min"), of("max"), of("maxLimitRequestRatio"));
    // Upstream: what a pod may not say is not compared either.
    let given = |key: &str| if walk::text(item, "type") == "Pod" { BTreeMap::new() } else { of(key) };
    let (default, request) = (given("default"), given("defaultRequest"));
    let names: BTreeSet<_> = [&least, &most, &default, &request, &ratio].into_iter().flat_map(BTreeMap::keys).collect();
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
                // Upstream shows the bound that a default breaks, but for the least of a default.
                let shown = if high_name == "default request value" || low_name == "default value" { high } else { low };
                errors.push(FieldError::invalid(&path.child(field).key(name), shown.to_string(), format!("{low_name} {low} is greater than {high_name} {high}")));
            }
        }
        if let Some(ratio) = ratio.get(name) {
            self::ratio(errors, *ratio, least.get(name), most.get(name), &path.child("maxLimitRequestRatio").key(name));
        }
        if let (Some(default), Some(request)) = (default.get(name), request.get(name))
            && !may_overcommit(name)
            && default != request
        {
            errors.push(FieldError::invalid(&path.child("defaultRequest").key(name), request.to_string(), format!("default value {default} must equal to defaultRequest value {request} in {name}")));
        }
    }
}

/// How many times its request a limit may be: at least once, and no more often than the bounds allow.
fn ratio(errors: &mut FieldErrors, ratio: Quantity, least: Option<&Quantity>, most: Option<&Quantity>, path: &Path) {
    if ratio.milli_value() < 1000 {
        errors.push(FieldError::invalid(path, ratio.to_string(), format!("ratio {ratio} is less than 1")));
    }
    let (Some(least), Some(most)) = (least, most) else { return };
    let small = [&ratio, least, most].iter().all(|amount| amount.value() < MOST_IN_THOUSANDTHS);
    let number = |amount: &Quantity| if small { amount.milli_value() as f64 } else { amount.value() as f64 };
    let (given, bound) = (if small { ratio.milli_value() as f64 / 1000.0 } else { ratio.value() as f64 }, number(most) / number(least));
    if given > bound {
        errors.push(FieldError::invalid(path, ratio.to_string(), format!("ratio {ratio} is greater than max/min = {bound:.6}")));
    }
}
