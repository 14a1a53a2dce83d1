//! One device that a driver offers: what it is, how much of it there is, where it may be used.
//!
//! Upstream: `validateDevice` in `pkg/apis/resource/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use quantity::Quantity;
use serde_json::Value;

use super::lists::{each, qualified_name, set};
use super::parts::{binding_conditions, taint};
use super::slice::counters;
use crate::core::pod::placement::node_selector;
use crate::{check, walk};

const MOST_PROPERTIES: usize = 32;
const MOST_TAINTS: usize = 16;
const MOST_CONSUMPTIONS: usize = 2;
const MOST_VALUES: usize = 10;
const LONGEST_VALUE: usize = 64;
const LISTS: [&str; 4] = ["bools", "ints", "strings", "versions"];
const PLACE: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";

/// Whether a device has an attribute of many values.
pub fn has_list(device: &Value) -> bool {
    walk::map(device, "attributes").into_iter().flatten().any(|(_, value)| LISTS.iter().any(|key| !walk::at(value, key).is_null()))
}

/// `old` is the device of this name before; what stays of it is not judged anew.
pub fn validate(errors: &mut FieldErrors, device: &Value, old: Option<&Value>, per_device: bool, path: &Path) {
    let name = walk::text(device, "name");
    check::syntax(errors, &path.child("name"), name, names::dns1123_label(name));
    let properties = ["attributes", "capacity"].iter().filter_map(|key| walk::map(device, key)).map(serde_json::Map::len).sum::<usize>();
    if properties > MOST_PROPERTIES {
        errors.push(FieldError::invalid(path, properties, format!("the total number of attributes and capacities must not exceed {MOST_PROPERTIES}")));
    }
    for (name, value) in walk::map(device, "attributes").into_iter().flatten() {
        let path = path.child("attributes");
        qualified_name(errors, name, &path);
        attribute(errors, value, &path.key(name));
    }
    let changed = |key: &str| old.is_none_or(|old| walk::at(old, key) != walk::at(device, key));
    if changed("capacity") {
        let shared = walk::flag(device, "allowMultipleAllocations");
        for (name, value) in walk::map(device, "capacity").into_iter().flatten() {
            let path = path.child("capacity");
            qualified_name(errors, name, &path);
            capacity(errors, value, shared, &path.key(name));
        }
    }
    if changed("taints") {
        each(errors, walk::list(device, "taints"), MOST_TAINTS, &path.child("taints"), taint);
    }
    set(errors, walk::list(device, "consumesCounters"), MOST_CONSUMPTIONS, &path.child("consumesCounters"), consumption, |one| walk::text(one, "counterSet"));
    place(errors, device, per_device, path);
    binding_conditions(errors, device, path);
}

fn consumption(errors: &mut FieldErrors, consumption: &Value, path: &Path) {
    check::required_name(errors, &path.child("counterSet"), walk::text(consumption, "counterSet"), names::dns1123_label);
    counters(errors, consumption, path);
}

fn attribute(errors: &mut FieldErrors, attribute: &Value, path: &Path) {
    for (one, many) in [("string", "strings"), ("version", "versions")] {
        if let Some(text) = walk::at(attribute, one).as_str() {
            value(errors, one, text, &path.child(one));
        }
        for (i, text) in walk::list(attribute, many).iter().filter_map(Value::as_str).enumerate() {
            value(errors, one, text, &path.child(many).index(i));
        }
    }
    for key in LISTS {
        if walk::at(attribute, key).as_array().is_some_and(Vec::is_empty) {
            errors.push(FieldError::invalid(&path.child(key), walk::at(attribute, key).clone(), "must not be empty if specified"));
        }
    }
    let kinds = ["bool", "int", "string", "version"].iter().chain(&LISTS);
    match kinds.filter(|key| !walk::at(attribute, key).is_null()).count() {
        1 => {}
        0 => errors.push(FieldError::invalid(path, "", "exactly one value must be specified")),
        _ => errors.push(FieldError::invalid(path, attribute.clone(), "exactly one value must be specified")),
    }
}

fn value(errors: &mut FieldErrors, kind: &str, text: &str, path: &Path) {
    if kind == "version" && !is_version(text) {
        errors.push(FieldError::invalid(path, text, "must be a string compatible with semver.org spec 2.0.0"));
    }
    if text.len() > LONGEST_VALUE {
        errors.push(FieldError::too_long(path, LONGEST_VALUE));
    }
}

/// By semver.org 2.0.0: numbers without zeros in front, then what comes before a release, then the build.
fn is_version(text: &str) -> bool {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, before) = rest.split_once('-').map_or((rest, None), |(core, before)| (core, Some(before)));
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
    let numbers: Vec<_> = core.split('.').collect();
    numbers.len() == 3
        && numbers.iter().all(|part| number(part))
        && before.is_none_or(|before| before.split('.').all(|part| word(part) && (number(part) || !part.bytes().all(|b| b.is_ascii_digit()))))
        && build.is_none_or(|build| build.split('.').all(word))
}

/// How much there is, and in which parts it is given out where many share it.
fn capacity(errors: &mut FieldErrors, capacity: &Value, shared: bool, path: &Path) {
    let (policy, path) = (walk::at(capacity, "requestPolicy"), path.child("requestPolicy"));
    if !policy.is_object() {
        return;
    }
    if !shared {
        return errors.push(FieldError::forbidden(&path, "allowMultipleAllocations must be true"));
    }
    let (values, range) = (walk::list(policy, "validValues"), walk::at(policy, "validRange"));
    if !values.is_empty() && range.is_object() {
        return errors.push(FieldError::forbidden(&path, "exactly one policy can be specified, cannot specify \"validValues\" and \"validRange\" at the same time"));
    }
    let key = if values.is_empty() { "validRange" } else { "validValues" };
    if values.is_empty() && !range.is_object() {
        return;
    }
    let Some(default) = check::amount(walk::at(policy, "default")) else {
        return errors.push(FieldError::required(&path.child("default"), format!("required when {key} is defined")));
    };
    let most = check::amount(walk::at(capacity, "value")).unwrap_or_default();
    if values.is_empty() {
        valid_range(errors, range, default, most, &path.child(key));
    } else {
        valid_values(errors, values, default, most, &path.child(key));
    }
}

fn valid_values(errors: &mut FieldErrors, values: &[Value], default: Quantity, most: Quantity, list: &Path) {
    let amounts: Vec<Quantity> = values.iter().filter_map(check::amount).collect();
    for (i, pair) in amounts.windows(2).enumerate().filter(|(_, pair)| pair[0] > pair[1]) {
        errors.push(FieldError::invalid(&list.index(i + 1), pair[1].to_string(), "values must be sorted in ascending order"));
    }
    let fits = each(errors, values, MOST_VALUES, list, |errors, value, path| {
        if let Some(amount) = check::amount(value).filter(|amount| *amount > most) {
            errors.push(FieldError::invalid(path, amount.to_string(), format!("option is larger than capacity value: {most}")));
        }
    });
    for (i, amount) in amounts.iter().enumerate().filter(|(i, amount)| fits && amounts[..*i].contains(amount)) {
        errors.push(FieldError::duplicate(&list.index(i), amount.value().to_string()));
    }
    if !amounts.contains(&default) || !fits {
        errors.push(FieldError::invalid(list, default.to_string(), "default value is not valid according to the requestPolicy"));
    }
}

fn valid_range(errors: &mut FieldErrors, range: &Value, default: Quantity, most: Quantity, path: &Path) {
    let bound = |key: &str| check::amount(walk::at(range, key));
    let Some(least) = bound("min") else { return errors.push(FieldError::required(&path.child("min"), "required when validRange is defined")) };
    let mut say = |key: &str, shown: Quantity, fault: String| errors.push(FieldError::invalid(&path.child(key), shown.to_string(), fault));
    if least > most {
        say("min", least, format!("min is larger than capacity value: {most}"));
    }
    if default < least {
        say("default", default, format!("default is less than min: {least}"));
    }
    if let Some(largest) = bound("max") {
        if least > largest {
            say("max", least, format!("min is larger than max: {largest}"));
        }
        if largest > most {
            say("max", largest, format!("max is larger than capacity value: {most}"));
        }
        if default > largest {
            say("default", default, format!("default is more than max: {largest}"));
        }
    }
    let Some(step) = bound("step").map(|step| step.value()).filter(|step| *step > 0) else { return };
    for value in [Some(default), bound("max")].into_iter().flatten() {
        if value.value().saturating_sub(least.value()) % step != 0 {
            say("step", value, format!("value is not a multiple of a given step ({}) from ({least})", walk::text(range, "step")));
        }
    }
}

fn place(errors: &mut FieldErrors, device: &Value, per_device: bool, path: &Path) {
    let given = |key: &str| !walk::at(device, key).is_null();
    if !per_device {
        if ["nodeName", "nodeSelector", "allNodes"].into_iter().any(given) {
            errors.push(FieldError::invalid(path, Value::Null, "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec"));
        }
        return;
    }
    let mut places = Vec::new();
    match walk::at(device, "nodeName").as_str() {
        None => {}
        Some("") => errors.push(FieldError::invalid(&path.child("nodeName"), "", "must not be empty")),
        Some(node) => {
            places.push("`nodeName`");
            check::syntax(errors, &path.child("nodeName"), node, names::dns1123_subdomain(node));
        }
    }
    if given("nodeSelector") {
        places.push("`nodeSelector`");
        node_selector(errors, walk::at(device, "nodeSelector"), &path.child("nodeSelector"));
    }
    match walk::at(device, "allNodes").as_bool() {
        None => {}
        Some(true) => places.push("`allNodes`"),
        Some(false) => errors.push(FieldError::invalid(&path.child("allNodes"), false, "must be either unset or set to true")),
    }
    match places.len() {
        0 => errors.push(FieldError::required(path, PLACE)),
        1 => {}
        _ => errors.push(FieldError::invalid(path, format!("{{{}}}", places.join(", ")), PLACE)),
    }
}
