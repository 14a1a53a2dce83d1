//! What drivers offer, and the taints that keep devices from being used.
//!
//! Upstream: `pkg/apis/resource/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::device;
use super::lists::{pool_name, set};
use super::parts::taint;
use crate::core::persistent_volume_rules::driver_name;
use crate::core::pod::placement::node_selector;
use crate::{check, walk};

const MOST_DEVICES: usize = 128;
/// When devices have taints, counters or lists.
const MOST_ADVANCED: usize = 64;
const MOST_COUNTER_SETS: usize = 8;
const MOST_COUNTERS: usize = 32;
const MOST_CONDITIONS: usize = 8;
const PLACES: &str = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    driver_name(&mut errors, walk::text(spec, "driver"), &path.child("driver"));
    let pool = path.child("pool");
    pool_name(&mut errors, walk::text(spec, "pool.name"), &pool.child("name"));
    let (count, generation) = (walk::int(spec, "pool.resourceSliceCount"), walk::int(spec, "pool.generation"));
    if count <= 0 {
        errors.push(FieldError::invalid(&pool.child("resourceSliceCount"), count, "must be greater than zero"));
    }
    if generation < 0 {
        errors.push(FieldError::invalid(&pool.child("generation"), generation, "must be greater than or equal to zero"));
    }
    if let Some(old) = old.map(|old| walk::at(old, "spec")) {
        for key in ["pool.name", "driver", "nodeName"] {
            check::immutable(&mut errors, &path.child(key), walk::at(spec, key), walk::at(old, key));
        }
    }
    place(&mut errors, spec, &path);
    if !walk::at(spec, "sharedCounters").is_null() && !walk::at(spec, "devices").is_null() {
        errors.push(FieldError::invalid(&path, "", "only one of `sharedCounters` or `devices` is allowed"));
    }
    let before = old.map(|old| walk::at(old, "spec")).unwrap_or(&Value::Null);
    devices(&mut errors, spec, before, &path.child("devices"));
    set(&mut errors, walk::list(spec, "sharedCounters"), MOST_COUNTER_SETS, &path.child("sharedCounters"), counter_set, |set| walk::text(set, "name"));
    errors
}

fn counter_set(errors: &mut FieldErrors, set: &Value, path: &Path) {
    check::required_name(errors, &path.child("name"), walk::text(set, "name"), names::dns1123_label);
    counters(errors, set, path);
}

/// Counters by name. Any amount will do.
pub fn counters(errors: &mut FieldErrors, owner: &Value, path: &Path) {
    let path = path.child("counters");
    let all = walk::map(owner, "counters").filter(|all| !all.is_empty());
    let Some(all) = all else { return errors.push(FieldError::required(&path, "")) };
    if all.len() > MOST_COUNTERS {
        return errors.push(FieldError::too_many(&path, all.len(), MOST_COUNTERS));
    }
    for name in all.keys() {
        check::syntax(errors, &path, name, names::dns1123_label(name));
    }
}

fn place(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let mut given = Vec::new();
    if let Some(node) = walk::at(spec, "nodeName").as_str() {
        match node {
            "" => errors.push(FieldError::invalid(&path.child("nodeName"), node, "must be either unset or set to a non-empty string")),
            node => {
                given.push("`nodeName`");
                check::syntax(errors, &path.child("nodeName"), node, names::dns1123_subdomain(node));
            }
        }
    }
    let selector = walk::at(spec, "nodeSelector");
    if selector.is_object() {
        given.push("`nodeSelector`");
        let path = path.child("nodeSelector");
        node_selector(errors, selector, &path);
        if walk::list(selector, "nodeSelectorTerms").len() != 1 {
            errors.push(FieldError::invalid(&path.child("nodeSelectorTerms"), walk::at(selector, "nodeSelectorTerms").clone(), "must have exactly one node selector term"));
        }
    }
    for (key, shown) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")] {
        match walk::at(spec, key).as_bool() {
            Some(true) => given.push(shown),
            Some(false) => errors.push(FieldError::invalid(&path.child(key), false, "must be either unset or set to true")),
            None => {}
        }
    }
    match given.len() {
        0 => errors.push(FieldError::required(path, PLACES)),
        1 => {}
        _ => errors.push(FieldError::invalid(path, format!("{{{}}}", given.join(", ")), format!("{PLACES}, but multiple fields are set"))),
    }
}

fn devices(errors: &mut FieldErrors, spec: &Value, old: &Value, list: &Path) {
    let all = walk::list(spec, "devices");
    let advanced = all.iter().any(|d| !walk::list(d, "taints").is_empty() || !walk::list(d, "consumesCounters").is_empty() || device::has_list(d));
    let most = if advanced { MOST_ADVANCED } else { MOST_DEVICES };
    let per_device = walk::flag(spec, "perDeviceNodeSelection");
    let one = |errors: &mut FieldErrors, device: &Value, path: &Path| {
        let name = walk::text(device, "name");
        let before = walk::list(old, "devices").iter().find(|before| walk::text(before, "name") == name);
        device::validate(errors, device, before, per_device, path);
    };
    set(errors, all, most, list, one, |device| walk::text(device, "name"));
}

pub fn taint_rule(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    let (selector, at) = (walk::at(spec, "deviceSelector"), path.child("deviceSelector"));
    if let Some(driver) = walk::at(selector, "driver").as_str() {
        driver_name(&mut errors, driver, &at.child("driver"));
    }
    if let Some(pool) = walk::at(selector, "pool").as_str() {
        pool_name(&mut errors, pool, &at.child("pool"));
    }
    if let Some(device) = walk::at(selector, "device").as_str() {
        check::syntax(&mut errors, &at.child("device"), device, names::dns1123_label(device));
    }
    taint(&mut errors, walk::at(spec, "taint"), &path.child("taint"));
    errors
}

pub fn taint_rule_status(object: &Value, _: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (conditions, path) = (walk::list(object, "status.conditions"), Path::new("status.conditions"));
    check::conditions(&mut errors, conditions, &path);
    if conditions.len() > MOST_CONDITIONS {
        errors.push(FieldError::too_many(&path, conditions.len(), MOST_CONDITIONS));
    }
    errors
}
