//! What drivers offer, and the taints that keep devices from being used.
//!
//! Upstream: `pkg/apis/resource/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::core::persistent_volume_rules::driver_name;
use crate::core::pod::placement::node_selector;
use crate::{check, walk};

const MOST_DEVICES: usize = 128;
/// When devices have taints, counters or lists.
const MOST_ADVANCED: usize = 64;
const MOST_PROPERTIES: usize = 32;
const LONGEST_POOL: usize = 253;
const PLACES: &str = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";

pub fn pool_name(errors: &mut FieldErrors, name: &str, path: &Path) {
    if name.is_empty() {
        return errors.push(FieldError::required(path, ""));
    }
    if name.len() > LONGEST_POOL {
        errors.push(FieldError::too_long(path, LONGEST_POOL));
    }
    for part in name.split('/') {
        check::syntax(errors, path, part, names::dns1123_subdomain(part));
    }
}

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
    devices(&mut errors, spec, &path.child("devices"));
    errors
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

fn devices(errors: &mut FieldErrors, spec: &Value, list: &Path) {
    let all = walk::list(spec, "devices");
    let lists = ["bools", "ints", "strings", "versions"];
    let has_list = |device: &Value| walk::map(device, "attributes").into_iter().flatten().any(|(_, value)| lists.iter().any(|key| !walk::at(value, key).is_null()));
    let advanced = all.iter().any(|d| !walk::list(d, "taints").is_empty() || !walk::list(d, "consumesCounters").is_empty() || has_list(d));
    let most = if advanced { MOST_ADVANCED } else { MOST_DEVICES };
    if all.len() > most {
        errors.push(FieldError::too_many(list, all.len(), most));
    }
    for (i, device) in all.iter().enumerate() {
        let (path, name) = (list.index(i), walk::text(device, "name"));
        check::syntax(errors, &path.child("name"), name, names::dns1123_label(name));
        let properties = ["attributes", "capacity"].iter().filter_map(|key| walk::map(device, key)).map(serde_json::Map::len).sum::<usize>();
        if properties > MOST_PROPERTIES {
            errors.push(FieldError::invalid(&path, properties, format!("the total number of attributes and capacities must not exceed {MOST_PROPERTIES}")));
        }
        for (j, taint) in walk::list(device, "taints").iter().enumerate() {
            self::taint(errors, taint, &path.child("taints").index(j));
        }
    }
    check::unique(errors, all.iter().enumerate().map(|(i, d)| (list.index(i).child("name"), walk::text(d, "name"))));
}

fn taint(errors: &mut FieldErrors, taint: &Value, path: &Path) {
    check::required_name(errors, &path.child("key"), walk::text(taint, "key"), names::qualified_name);
    check::optional_name(errors, &path.child("value"), walk::text(taint, "value"), names::label_value);
    check::one_of(errors, &path.child("effect"), walk::text(taint, "effect"), &["NoExecute", "NoSchedule", "None"]);
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
    check::optional_name(&mut errors, &at.child("device"), walk::text(selector, "device"), names::dns1123_label);
    taint(&mut errors, walk::at(spec, "taint"), &path.child("taint"));
    errors
}
