//! Validation of nodes.
//!
//! Upstream: `ValidateNode` and `ValidateNodeUpdate` in `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;
use std::net::IpAddr;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::pod::resources::resource_amount;
use crate::{check, walk};

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    match old {
        None => {
            taints(&mut errors, object);
            amounts(&mut errors, object);
            pod_ranges(&mut errors, object);
        }
        Some(old) => update(&mut errors, object, old),
    }
    errors
}

pub fn validate_status(object: &Value, _: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    amounts(&mut errors, object);
    addresses(&mut errors, object);
    errors
}

fn taints(errors: &mut FieldErrors, object: &Value) {
    let mut seen = HashSet::new();
    for (i, taint) in walk::list(object, "spec.taints").iter().enumerate() {
        // Upstream: the path begins at the metadata.
        let path = Path::new("metadata.taints").index(i);
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
    let (all, path) = (walk::at(object, "spec.podCIDRs"), Path::new("spec.podCIDRs"));
    let ranges: Vec<&str> = walk::list(object, "spec.podCIDRs").iter().filter_map(Value::as_str).collect();
    let address = |range: &str| range.split_once('/').and_then(|(ip, _)| ip.parse::<IpAddr>().ok());
    for (i, range) in ranges.iter().enumerate() {
        if !check::is_cidr(range) {
            errors.push(FieldError::invalid(&path.index(i), all.clone(), "must be valid CIDR"));
        }
    }
    if ranges.len() < 2 {
        return;
    }
    let dual = [IpAddr::is_ipv4 as fn(&IpAddr) -> bool, IpAddr::is_ipv6].iter().all(|of| ranges.iter().any(|r| address(r).as_ref().is_some_and(of)));
    if !dual || ranges.len() > 2 {
        errors.push(FieldError::invalid(&path, all.clone(), "may specify no more than one CIDR for each IP family"));
    }
    check::unique(errors, ranges.iter().enumerate().map(|(i, range)| (path.index(i), *range)));
}

fn update(errors: &mut FieldErrors, object: &Value, old: &Value) {
    amounts(errors, object);
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
    taints(errors, object);
    // The rest of a spec is fixed; ranges and the provider's name may be given once.
    let rest = |spec: &Value| {
        let free = ["taints", "unschedulable", "providerID", "podCIDRs", "podCIDR", "configSource"];
        spec.as_object().into_iter().flatten().filter(|(key, value)| !free.contains(&key.as_str()) && !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>()
    };
    if rest(new) != rest(old) {
        errors.push(FieldError::forbidden(&check::nameless(), "node updates may only change labels, taints, or capacity"));
    }
}
