//! Validation that ConfigMaps and Secrets share: keys, size, what is fixed for good.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gotemplate::Kind;
use serde_json::Value;
use sprig::json::decode_as;

use crate::{check, walk};

/// Upstream: `MaxSecretSize`.
const MAX: usize = 1 << 20;

/// Checks the keys of one map and returns the bytes that its values hold.
fn keys(errors: &mut FieldErrors, object: &Value, field: &str, encoded: bool) -> usize {
    let mut size = 0;
    for (key, value) in walk::map(object, field).into_iter().flatten() {
        check::syntax(errors, &Path::new(field).key(key), key, names::config_map_key(key));
        let text = value.as_str().unwrap_or_default();
        size += if encoded { text.trim_end_matches('=').len() * 3 / 4 } else { text.len() };
    }
    size
}

fn fixed(errors: &mut FieldErrors, object: &Value, old: Option<&Value>, fields: &[&str]) {
    let Some(old) = old.filter(|old| walk::flag(old, "immutable")) else { return };
    let detail = "field is immutable when `immutable` is set";
    if !walk::flag(object, "immutable") {
        errors.push(FieldError::forbidden(&Path::new("immutable"), detail));
    }
    for field in fields {
        if object.get(*field) != old.get(*field) {
            errors.push(FieldError::forbidden(&Path::new(field), detail));
        }
    }
}

pub fn config_map(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    fixed(&mut errors, object, old, &["data", "binaryData"]);
    for key in walk::map(object, "data").into_iter().flatten().map(|(key, _)| key) {
        if walk::at(object, "binaryData").get(key).is_some() {
            errors.push(FieldError::invalid(&Path::new("data").key(key), key.as_str(), "duplicate of key present in binaryData"));
        }
    }
    if keys(&mut errors, object, "data", false) + keys(&mut errors, object, "binaryData", true) > MAX {
        errors.push(FieldError::too_long(&check::nameless(), MAX));
    }
    errors
}

/// Values of a secret never reach a message.
pub fn secret(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if let Some(old) = old {
        check::immutable(&mut errors, &Path::new("type"), walk::at(object, "type"), walk::at(old, "type"));
    }
    fixed(&mut errors, object, old, &["data"]);
    let data = Path::new("data");
    if keys(&mut errors, object, "data", true) > MAX {
        errors.push(FieldError::too_long(&data, MAX));
    }
    kind(&mut errors, object, &data);
    errors
}

/// What each type of secret must hold.
fn kind(errors: &mut FieldErrors, object: &Value, data: &Path) {
    let value = |key: &str| walk::at(object, "data").get(key);
    let mut needs = |keys: &[&str], has: &dyn Fn(&str) -> bool| {
        for key in keys.iter().filter(|key| !has(key)) {
            errors.push(FieldError::required(&data.key(key), ""));
        }
    };
    let has = |key: &str| value(key).is_some();
    match walk::text(object, "type") {
        "kubernetes.io/tls" => needs(&["tls.crt", "tls.key"], &has),
        "kubernetes.io/dockercfg" => registries(errors, value(".dockercfg"), &data.key(".dockercfg")),
        "kubernetes.io/dockerconfigjson" => registries(errors, value(".dockerconfigjson"), &data.key(".dockerconfigjson")),
        "kubernetes.io/ssh-auth" => needs(&["ssh-privatekey"], &|key| value(key).is_some_and(|v| v != "" && !v.is_null())),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => needs(&["username", "password"], &has),
        "kubernetes.io/service-account-token" if api::meta::annotation(object, "kubernetes.io/service-account.name").is_none_or(str::is_empty) => {
            errors.push(FieldError::required(&Path::new("metadata.annotations").key("kubernetes.io/service-account.name"), ""));
        }
        _ => {}
    }
}

/// Credentials for registries are an object of JSON.
fn registries(errors: &mut FieldErrors, value: Option<&Value>, path: &Path) {
    let Some(text) = value.and_then(Value::as_str) else { return errors.push(FieldError::required(path, "")) };
    let bytes = STANDARD.decode(text).unwrap_or_default();
    if let Some(fault) = decode_as(&bytes, Kind::Map).error {
        errors.push(FieldError::invalid(path, "<secret contents redacted>", fault));
    }
}
