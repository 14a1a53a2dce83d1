//! Objects as stored bytes: encoding once, the revision's place, slices for lists, what selectors see.

use api::meta;
use bytes::Bytes;
use catalog::{Resource, walk};
use serde_json::Value;
use store::{Index, Stamped};

/// Encodes an object: kind, apiVersion, metadata with an empty resourceVersion first, then the rest.
///
/// The store puts the revision in; what results is what disk, readers and watchers get.
pub fn encode(object: &Value) -> Stamped {
    let mut out = Vec::with_capacity(1024);
    out.push(b'{');
    for key in ["kind", "apiVersion"] {
        put_key(&mut out, key);
        put_value(&mut out, object.get(key).unwrap_or(&Value::Null));
        out.push(b',');
    }
    out.extend_from_slice(b"\"metadata\":{\"resourceVersion\":\"");
    let at = out.len();
    out.push(b'"');
    for (key, value) in object.get("metadata").and_then(Value::as_object).into_iter().flatten() {
        if key != "resourceVersion" && !value.is_null() {
            out.push(b',');
            put_key(&mut out, key);
            put_value(&mut out, value);
        }
    }
    out.push(b'}');
    for (key, value) in object.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "kind" | "apiVersion" | "metadata") {
            out.push(b',');
            put_key(&mut out, key);
            put_value(&mut out, value);
        }
    }
    out.push(b'}');
    Stamped { bytes: out.into(), at }
}

/// Encodes a custom object: keys in the order of the alphabet, as Go writes maps, and the revision's place among them.
pub fn encode_custom(object: &Value) -> Stamped {
    let mut out = Vec::with_capacity(1024);
    let mut at = 0;
    let mut separator = b'{';
    for (key, value) in object.as_object().into_iter().flatten() {
        out.push(std::mem::replace(&mut separator, b','));
        put_key(&mut out, key);
        match value {
            Value::Object(metadata) if key == "metadata" => at = put_metadata(&mut out, metadata),
            value => put_value(&mut out, value),
        }
    }
    out.push(b'}');
    Stamped { bytes: out.into(), at }
}

/// Writes metadata with an empty resourceVersion; the place within its quotes.
fn put_metadata(out: &mut Vec<u8>, metadata: &serde_json::Map<String, Value>) -> usize {
    let mut at = 0;
    let mut separator = b'{';
    let mut put_revision = |out: &mut Vec<u8>, separator: &mut u8| {
        out.push(std::mem::replace(separator, b','));
        out.extend_from_slice(b"\"resourceVersion\":\"");
        at = out.len();
        out.push(b'"');
    };
    let mut waiting = true;
    for (key, value) in metadata.iter().filter(|(key, value)| *key != "resourceVersion" && !value.is_null()) {
        if waiting && key.as_str() > "resourceVersion" {
            waiting = false;
            put_revision(out, &mut separator);
        }
        out.push(std::mem::replace(&mut separator, b','));
        put_key(out, key);
        put_value(out, value);
    }
    if waiting {
        put_revision(out, &mut separator);
    }
    out.push(b'}');
    at
}

fn put_key(out: &mut Vec<u8>, key: &str) {
    put_value(out, &Value::String(key.to_owned()));
    out.push(b':');
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    if let Err(error) = serde_json::to_writer(out, value) {
        // Writing a Value into memory has no way to fail: keys are strings and the writer is a Vec.
        tracing::error!(%error, "could not encode a value");
    }
}

/// The bytes before `"metadata"` in every stored object of a kind: what an item of a list leaves out.
pub fn head_len(resource: &Resource) -> usize {
    let group = if resource.stored_group == resource.group && resource.stored_version == resource.version {
        resource.api_version()
    } else {
        api::resource::api_version(&resource.stored_group, &resource.stored_version)
    };
    "{\"kind\":\"\",\"apiVersion\":\"\",".len() + resource.kind.len() + group.len()
}

/// Reads stored bytes. They are ours; if they do not parse the object reads as null and the caller answers an error.
pub fn parse(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| {
        tracing::error!(%error, "a stored object did not parse");
        Value::Null
    })
}

/// What selectors see of an object: `metadata.name`, `metadata.namespace`, then the resource's own fields.
pub fn index(resource: &Resource, object: &Value) -> Index {
    let mut labels: Vec<(Box<str>, Box<str>)> =
        walk::map(object, "metadata.labels").into_iter().flatten().map(|(k, v)| (k.as_str().into(), v.as_str().unwrap_or_default().into())).collect();
    labels.sort();
    let own = resource.selectable.iter().map(|path| field(object, path).into_boxed_str());
    let fields = [meta::name(object).into(), meta::namespace(object).into()].into_iter().chain(own).collect();
    Index { labels: labels.into(), fields }
}

/// Which field of the index a selector's name means.
pub fn field_position(resource: &Resource, path: &str) -> Option<usize> {
    match path {
        "metadata.name" => Some(0),
        "metadata.namespace" if resource.namespaced => Some(1),
        _ => resource.selectable.iter().position(|p| p == path).map(|at| at + 2),
    }
}

fn field(object: &Value, path: &str) -> String {
    match (walk::at(object, path), path) {
        (Value::String(text), _) => text.clone(),
        (Value::Bool(flag), _) => flag.to_string(),
        (Value::Number(number), _) => number.to_string(),
        // Upstream: booleans and counts that are unset print as their zero value.
        (Value::Null, "spec.unschedulable" | "spec.hostNetwork") => "false".into(),
        (Value::Null, "status.replicas") => "0".into(),
        (_, "source") => match walk::text(object, "source.component") {
            "" => walk::text(object, "reportingComponent").to_owned(),
            component => component.to_owned(),
        },
        (Value::Array(items), _) => items.iter().map(|i| walk::text(i, "ip")).collect::<Vec<_>>().join(","),
        _ => String::new(),
    }
}

/// The key of an object in its table.
pub fn key(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}

/// A JSON body.
pub fn to_bytes(value: &Value) -> Bytes {
    let mut out = Vec::with_capacity(512);
    put_value(&mut out, value);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_head_of_a_stored_object_is_known() {
        let resource = catalog::builtin().into_iter().find(|r| r.plural == "configmaps").expect("config maps are built in");
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"\"metadata\":{": "x"}, "metadata": {"name": "a", "resourceVersion": "7"}});
        let stamped = encode(&object);
        let text = std::str::from_utf8(&stamped.bytes).expect("text");
        assert!(text[head_len(&resource)..].starts_with("\"metadata\":{\"resourceVersion\":\"\",\"name\":\"a\"}"), "{text}");
        assert_eq!(&text[stamped.at - 1..=stamped.at], "\"\"");
    }

    #[test]
    fn custom_objects_are_written_in_order() {
        let stamped = encode_custom(&json!({"kind": "X", "apiVersion": "g/v1", "Also": 1, "metadata": {"uid": "u", "name": "a", "resourceVersion": "7"}}));
        let text = std::str::from_utf8(&stamped.bytes).expect("text");
        assert_eq!(text, r#"{"Also":1,"apiVersion":"g/v1","kind":"X","metadata":{"name":"a","resourceVersion":"","uid":"u"}}"#);
        assert_eq!(&text[stamped.at - 1..=stamped.at], "\"\"");
    }
}
