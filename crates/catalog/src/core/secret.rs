//! Secrets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "Secret", "secrets", true).select(&["type"]).rules(|rules| {
        rules.default = default;
        rules.validate = super::config_data::secret;
        rules.warn = warn;
    }).columns(columns(&["Name", "Type", "Data#", "Age"]), |object, now| {
        let count = walk::map(object, "data").map_or(0, serde_json::Map::len);
        vec![name(object), walk::text(object, "type").into(), count.into(), age(object, now)]
    })
}

/// Upstream: `stringData` is for writing only: it goes over `data` and is never kept.
fn default(object: &mut Value) {
    let Some(map) = object.as_object_mut() else { return };
    walk::fill_text(map, "type", "Opaque");
    let Some(Value::Object(plain)) = map.remove("stringData") else { return };
    if plain.is_empty() {
        return;
    }
    if let Some(data) = walk::made(map, "data") {
        for (key, value) in plain {
            data.insert(key, STANDARD.encode(value.as_str().unwrap_or_default()).into());
        }
    }
}

/// A certificate and a key that are no pair. Upstream: `pkg/registry/core/secret/strategy.go`.
fn warn(object: &Value, _: Option<&Value>) -> Vec<String> {
    if walk::text(object, "type") != "kubernetes.io/tls" {
        return Vec::new();
    }
    let part = |key| object["data"][key].as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    super::key_pair::fault(&part("tls.crt"), &part("tls.key")).into_iter().collect()
}
