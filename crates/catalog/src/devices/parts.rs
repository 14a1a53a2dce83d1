//! What claims and slices share: taints, tolerations, conditions of binding, configuration.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::lists::{each, texts};
use crate::core::persistent_volume_rules::driver_name;
use crate::{check, walk};

const EFFECTS: [&str; 3] = ["NoExecute", "NoSchedule", "None"];
const MOST_CONDITIONS: usize = 4;
const LONGEST_PARAMETERS: usize = 10 << 10;

pub fn taint(errors: &mut FieldErrors, taint: &Value, path: &Path) {
    let key = walk::text(taint, "key");
    check::syntax(errors, &path.child("key"), key, names::qualified_name(key));
    check::optional_name(errors, &path.child("value"), walk::text(taint, "value"), names::label_value);
    check::one_of(errors, &path.child("effect"), walk::text(taint, "effect"), &EFFECTS);
}

pub fn toleration(errors: &mut FieldErrors, toleration: &Value, path: &Path) {
    check::optional_name(errors, &path.child("key"), walk::text(toleration, "key"), names::qualified_name);
    let (value, at) = (walk::text(toleration, "value"), path.child("value"));
    match walk::text(toleration, "operator") {
        "Exists" if !value.is_empty() => errors.push(FieldError::invalid(&at, value, "must be empty for operator `Exists`")),
        "Exists" => {}
        "Equal" => check::syntax(errors, &at, value, names::label_value(value)),
        other => check::one_of(errors, &path.child("operator"), other, &["Equal", "Exists"]),
    }
    check::maybe_one_of(errors, &path.child("effect"), walk::text(toleration, "effect"), &EFFECTS);
}

/// Conditions that a device must reach, or must not, before its pod is bound.
pub fn binding_conditions(errors: &mut FieldErrors, owner: &Value, path: &Path) {
    const KEYS: [&str; 2] = ["bindingConditions", "bindingFailureConditions"];
    let lists = KEYS.map(|key| walk::list(owner, key));
    for (key, list) in KEYS.into_iter().zip(lists) {
        each(errors, list, MOST_CONDITIONS, &path.child(key), |errors, item, path| {
            let name = item.as_str().unwrap_or_default();
            check::syntax(errors, path, name, names::qualified_name(name));
        });
    }
    let [good, bad] = lists;
    for (key, list) in KEYS.into_iter().zip(lists) {
        for (i, item) in list.iter().enumerate() {
            let path = path.child(key).index(i);
            if list[..i].contains(item) {
                errors.push(FieldError::duplicate(&path, item.clone()));
            }
            if key == KEYS[1] && good.contains(item) {
                errors.push(FieldError::invalid(&path, item.clone(), "bindingFailureConditions must not overlap with bindingConditions"));
            }
        }
    }
    let missing = match (good.is_empty(), bad.is_empty()) {
        (true, false) => KEYS,
        (false, true) => [KEYS[1], KEYS[0]],
        _ => return,
    };
    errors.push(FieldError::invalid(&path.child(missing[0]), walk::at(owner, missing[0]).clone(), format!("{} are required to use {}", missing[0], missing[1])));
}

/// What a driver is told that nobody else understands.
pub fn opaque(errors: &mut FieldErrors, config: &Value, path: &Path) {
    let (opaque, path) = (walk::at(config, "opaque"), path.child("opaque"));
    if !opaque.is_object() {
        return errors.push(FieldError::required(&path, ""));
    }
    driver_name(errors, walk::text(opaque, "driver"), &path.child("driver"));
    json_object(errors, walk::at(opaque, "parameters"), &path.child("parameters"));
}

/// An object of JSON, of bounded size.
pub fn json_object(errors: &mut FieldErrors, value: &Value, path: &Path) {
    match value {
        Value::Null => errors.push(FieldError::required(path, "")),
        value if value.to_string().len() > LONGEST_PARAMETERS => errors.push(FieldError::too_long(path, LONGEST_PARAMETERS)),
        Value::Object(_) => {}
        _ => errors.push(FieldError::invalid(path, "<value omitted>", "must be a valid JSON object")),
    }
}

/// A share of a device, as RFC 4122 writes it.
pub fn share(errors: &mut FieldErrors, owner: &Value, path: &Path) {
    let Some(uid) = walk::at(owner, "shareID").as_str() else { return };
    let groups: Vec<_> = uid.split('-').map(str::len).collect();
    let is_normal = groups == [8, 4, 4, 4, 12] && uid.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !is_normal {
        let fault = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters";
        errors.push(FieldError::invalid(&path.child("shareID"), uid, fault));
    }
}

/// Addresses of a network device.
pub fn network(errors: &mut FieldErrors, data: &Value, path: &Path) {
    for (key, most) in [("interfaceName", 256), ("hardwareAddress", 128)] {
        if walk::text(data, key).len() > most {
            errors.push(FieldError::too_long(&path.child(key), most));
        }
    }
    texts(errors, walk::list(data, "ips"), 16, &path.child("ips"), |errors, address, path| crate::ip::interface_address(errors, path, address));
}
