//! Validation that ConfigMaps and Secrets share: keys, size, what is fixed for good.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

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
    let has = |key: &str| walk::at(object, "data").get(key).is_some();
    let mut needs = |key: &str| {
        if !has(key) {
            errors.push(FieldError::required(&data.key(key), ""));
        }
    };
    match walk::text(object, "type") {
        "kubernetes.io/tls" => {
            needs("tls.crt");
            needs("tls.key");
        }
        "kubernetes.io/dockercfg" => needs(".dockercfg"),
        "kubernetes.io/dockerconfigjson" => needs(".dockerconfigjson"),
        "kubernetes.io/ssh-auth" => needs("ssh-privatekey"),
        "kubernetes.io/basic-auth" if !has("username") => needs("password"),
        "kubernetes.io/service-account-token" if api::meta::annotation(object, "kubernetes.io/service-account.name").is_none_or(str::is_empty) => {
            errors.push(FieldError::required(&Path::new("metadata.annotations").key("kubernetes.io/service-account.name"), ""));
        }
        _ => {}
    }
    errors
}
