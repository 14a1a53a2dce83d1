//! Validation of nodes.
//!
//! Upstream: `ValidateNode` and `ValidateNodeUpdate` in `pkg/apis/core/validation/validation.go`.

use std::cmp::Ordering;
use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::{Map, Value, json};

use super::pod::resources::resource_amount;
use crate::ip::{self, Range};
use crate::{check, walk};

const LONGEST_FEATURE: usize = 253;

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    annotations(&mut errors, object);
    taints(&mut errors, walk::at(object, "spec"), &Path::new("metadata.taints"));
    amounts(&mut errors, object);
    swap(&mut errors, object);
    features(&mut errors, object);
    pod_ranges(&mut errors, object);
    if let Some(old) = old {
        update(&mut errors, object, old);
    }
    errors
}

pub fn validate_status(object: &Value, _: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    annotations(&mut errors, object);
    amounts(&mut errors, object);
    features(&mut errors, object);
    addresses(&mut errors, object);
    taints(&mut errors, walk::at(object, "spec"), &Path::new("metadata.taints"));
    errors
}

fn swap(errors: &mut FieldErrors, object: &Value) {
    if let Some(capacity) = walk::at(object, "status.nodeInfo.swap.capacity").as_i64().filter(|n| *n <= 0) {
        // Upstream: the path begins at the metadata here too.
        errors.push(FieldError::invalid(&Path::new("metadata.nodeSwapStatus.capacity"), capacity, "must be greater than zero"));
    }
}

/// What a node once said in annotations. Upstream: `ValidateNodeSpecificAnnotations`.
fn annotations(errors: &mut FieldErrors, object: &Value) {
    const TAINTS: &str = "scheduler.alpha.kubernetes.io/taints";
    const AVOID: &str = "scheduler.alpha.kubernetes.io/preferAvoidPods";
    let path = Path::new("metadata.annotations");
    let of = |key| api::meta::annotation(object, key).filter(|text| !text.is_empty());
    match of(TAINTS).map(serde_json::from_str::<Vec<Value>>) {
        Some(Ok(list)) => taints(errors, &json!({"taints": list}), &path.child(TAINTS)),
        Some(Err(fault)) => errors.push(FieldError::invalid(&path, TAINTS, fault.to_string())),
        None => {}
    }
    match of(AVOID).map(serde_json::from_str::<Map<String, Value>>) {
        Some(Ok(pods)) => avoided(errors, &Value::Object(pods), &path.child(AVOID)),
        Some(Err(fault)) => errors.push(FieldError::invalid(&path.child("AvoidPods"), AVOID, fault.to_string())),
        None => {}
    }
}

fn avoided(errors: &mut FieldErrors, pods: &Value, path: &Path) {
    for (i, entry) in walk::list(pods, "preferAvoidPods").iter().enumerate() {
        let (owner, path) = (walk::at(entry, "podSignature.podController"), path.index(i).child("PodSignature"));
        if !owner.is_object() {
            errors.push(FieldError::required(&path, ""));
        } else if !walk::flag(owner, "controller") {
            errors.push(FieldError::invalid(&path.child("PodController").child("Controller"), false, "must point to a controller"));
        }
    }
}

/// Upstream: also of the spec the path begins at the metadata.
fn taints(errors: &mut FieldErrors, of: &Value, list: &Path) {
    let mut seen = HashSet::new();
    for (i, taint) in walk::list(of, "taints").iter().enumerate() {
        let path = list.index(i);
        let (key, value, effect) = (walk::text(taint, "key"), walk::text(taint, "value"), walk::text(taint, "effect"));
        check::syntax(errors, &path.child("key"), key, names::qualified_name(key));
        let faults = names::label_value(value);
        if !faults.is_empty() {
            errors.push(FieldError::invalid(&path.child("value"), value, faults.join(";")));
        }
        if effect.is_empty() {
            errors.push(FieldError::required(&path.child("effect"), ""));
        } else if !matches!(effect, "NoSchedule" | "PreferNoSchedule" | "NoExecute") {
            errors.push(FieldError::not_supported(&path.child("effect"), effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]));
        }
        if !seen.insert((effect, key)) {
            errors.push(FieldError { detail: "taints must be unique by key and effect pair".into(), ..FieldError::duplicate(&path, taint.clone()) });
        }
    }
}

fn amounts(errors: &mut FieldErrors, object: &Value) {
    for list in ["capacity", "allocatable"] {
        for (name, value) in walk::map(walk::at(object, "status"), list).into_iter().flatten() {
            resource_amount(errors, name, value, &Path::new("status").child(list).child(name));
        }
    }
}

fn addresses(errors: &mut FieldErrors, object: &Value) {
    let mut seen = Vec::new();
    for (i, address) in walk::list(object, "status.addresses").iter().enumerate() {
        if seen.contains(&address) {
            errors.push(FieldError::duplicate(&Path::new("status.addresses").index(i), address.clone()));
        }
        seen.push(address);
    }
}

fn pod_ranges(errors: &mut FieldErrors, object: &Value) {
    let path = Path::new("spec.podCIDRs");
    let ranges: Vec<&str> = walk::list(object, "spec.podCIDRs").iter().filter_map(Value::as_str).collect();
    for (i, range) in ranges.iter().enumerate() {
        ip::legacy_range(errors, &path.index(i), range, |_| false);
    }
    let of = |is_v4: bool| ranges.iter().any(|range| Range::parse(range).is_some_and(|range| range.address.is_ipv4() == is_v4));
    if ranges.len() > 2 || (ranges.len() == 2 && !(of(true) && of(false))) {
        errors.push(FieldError::invalid(&path, walk::at(object, "spec.podCIDRs").clone(), "may specify no more than one CIDR for each IP family"));
    }
}

fn update(errors: &mut FieldErrors, object: &Value, old: &Value) {
    addresses(errors, object);
    let (new, old) = (walk::at(object, "spec"), walk::at(old, "spec"));
    let (ranges, before) = (walk::list(new, "podCIDRs"), walk::list(old, "podCIDRs"));
    let path = Path::new("spec");
    if !before.is_empty() {
        let changed = if before.len() == ranges.len() { before.iter().zip(ranges).filter(|(a, b)| a != b).count() } else { 1 };
        for _ in 0..changed {
            errors.push(FieldError::forbidden(&path.child("podCIDRs"), "node updates may not change podCIDR except from \"\" to valid"));
        }
    }
    let provider = walk::text(old, "providerID");
    if !provider.is_empty() && provider != walk::text(new, "providerID") {
        errors.push(FieldError::forbidden(&path.child("providerID"), "node updates may not change providerID except from \"\" to valid"));
    }
    if walk::text(new, "externalID") != walk::text(old, "externalID") {
        errors.push(FieldError::forbidden(&path.child("externalID"), "may not be updated"));
    }
}

/// Upstream: `validateNodeDeclaredFeatures`: such as `MyFeature/myPart`, in order, each once.
fn features(errors: &mut FieldErrors, object: &Value) {
    let (all, path) = (walk::list(object, "status.declaredFeatures"), Path::new("status.declaredFeatures"));
    let text = |i: usize| all[i].as_str().unwrap_or_default();
    for i in 0..all.len() {
        let name = text(i);
        if name.len() > LONGEST_FEATURE {
            errors.push(FieldError::invalid(&path.index(i), name, format!("invalid feature name {name:?}: must be no more than {LONGEST_FEATURE} characters")));
        } else if !is_feature(name) {
            let rule = "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes";
            errors.push(FieldError::invalid(&path.index(i), name, format!("invalid feature name {name:?}: {rule}")));
        }
        if i + 1 < all.len() {
            match name.cmp(text(i + 1)) {
                Ordering::Equal => errors.push(FieldError::duplicate(&path.index(i + 1), name)),
                Ordering::Greater => errors.push(FieldError::invalid(&path.index(i + 1), text(i + 1), "list must be sorted alphabetically")),
                Ordering::Less => {}
            }
        }
    }
}

fn is_feature(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.split('/').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}
