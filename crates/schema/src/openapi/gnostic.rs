//! The protobuf form of a version 2 document, which kubectl up to 1.2x asks for.
//!
//! Writes the messages of `openapi.v2` by field number out of the JSON form; never reads any.
// Upstream: googleapis/gnostic openapiv2/OpenAPIv2.proto

use std::collections::BTreeMap;

use serde_json::Value;

type Out = Vec<u8>;

fn varint(out: &mut Out, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Out, number: u64, body: &[u8]) {
    varint(out, number << 3 | 2);
    varint(out, body.len() as u64);
    out.extend_from_slice(body);
}

fn text(out: &mut Out, number: u64, value: Option<&Value>) {
    if let Some(text) = value.and_then(Value::as_str) {
        bytes(out, number, text.as_bytes());
    }
}

fn texts(out: &mut Out, number: u64, value: Option<&Value>) {
    for item in value.and_then(Value::as_array).into_iter().flatten() {
        text(out, number, Some(item));
    }
}

fn flag(out: &mut Out, number: u64, value: Option<&Value>) {
    if value == Some(&Value::Bool(true)) {
        varint(out, number << 3);
        out.push(1);
    }
}

fn message(out: &mut Out, number: u64, body: impl FnOnce(&mut Out)) {
    let mut inner = Out::new();
    body(&mut inner);
    bytes(out, number, &inner);
}

/// `Any` carries YAML, and JSON is YAML.
fn any(out: &mut Out, number: u64, value: &Value) {
    message(out, number, |out| bytes(out, 2, format!("{value}\n").as_bytes()));
}

fn extensions(out: &mut Out, number: u64, from: &Value) {
    for (name, value) in from.as_object().into_iter().flatten().filter(|(n, _)| n.starts_with("x-")) {
        message(out, number, |out| {
            bytes(out, 1, name.as_bytes());
            any(out, 2, value);
        });
    }
}

/// The whole document; definitions are rendered one at a time.
pub(super) fn document(title: &str, version: &str, paths: impl Iterator<Item = (String, Value)>, definitions: impl Iterator<Item = (String, Value)>, shared: &BTreeMap<String, Value>) -> Out {
    let mut out = Out::new();
    bytes(&mut out, 1, b"2.0");
    message(&mut out, 2, |out| {
        bytes(out, 1, title.as_bytes());
        bytes(out, 2, version.as_bytes());
    });
    message(&mut out, 8, |out| {
        for (path, item) in paths {
            message(out, 2, |out| {
                bytes(out, 1, path.as_bytes());
                message(out, 2, |out| path_item(out, &item));
            });
        }
    });
    message(&mut out, 9, |out| {
        for (name, value) in definitions {
            named_schema(out, 1, &name, &value);
        }
    });
    if !shared.is_empty() {
        message(&mut out, 10, |out| {
            for (name, value) in shared {
                message(out, 1, |out| {
                    bytes(out, 1, name.as_bytes());
                    message(out, 2, |out| parameter(out, value));
                });
            }
        });
    }
    out
}

fn named_schema(out: &mut Out, number: u64, name: &str, value: &Value) {
    message(out, number, |out| {
        bytes(out, 1, name.as_bytes());
        message(out, 2, |out| schema(out, value));
    });
}

fn whole(out: &mut Out, number: u64, value: Option<&Value>) {
    if let Some(whole) = value.and_then(Value::as_i64) {
        varint(out, number << 3);
        varint(out, whole.cast_unsigned());
    }
}

fn real(out: &mut Out, number: u64, value: Option<&Value>) {
    if let Some(real) = value.and_then(Value::as_f64) {
        varint(out, number << 3 | 1);
        out.extend_from_slice(&real.to_le_bytes());
    }
}

fn schema(out: &mut Out, from: &Value) {
    text(out, 1, from.get("$ref"));
    text(out, 2, from.get("format"));
    text(out, 3, from.get("title"));
    text(out, 4, from.get("description"));
    if let Some(default) = from.get("default") {
        any(out, 5, default);
    }
    bounds(out, from);
    texts(out, 19, from.get("required"));
    for value in from.get("enum").and_then(Value::as_array).into_iter().flatten() {
        any(out, 20, value);
    }
    match from.get("additionalProperties") {
        Some(Value::Bool(allowed)) => message(out, 21, |out| {
            varint(out, 2 << 3);
            out.push(u8::from(*allowed));
        }),
        Some(value) => message(out, 21, |out| message(out, 1, |out| schema(out, value))),
        None => {}
    }
    match from.get("type") {
        Some(Value::Array(_)) => message(out, 22, |out| texts(out, 1, from.get("type"))),
        Some(kind) => message(out, 22, |out| text(out, 1, Some(kind))),
        None => {}
    }
    if let Some(items) = from.get("items") {
        message(out, 23, |out| message(out, 1, |out| schema(out, items)));
    }
    for value in from.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        message(out, 24, |out| schema(out, value));
    }
    if let Some(Value::Object(properties)) = from.get("properties") {
        message(out, 25, |out| {
            for (name, value) in properties {
                named_schema(out, 1, name, value);
            }
        });
    }
    text(out, 26, from.get("discriminator"));
    flag(out, 27, from.get("readOnly"));
    if let Some(example) = from.get("example") {
        any(out, 30, example);
    }
    extensions(out, 31, from);
}

fn bounds(out: &mut Out, from: &Value) {
    real(out, 6, from.get("multipleOf"));
    real(out, 7, from.get("maximum"));
    flag(out, 8, from.get("exclusiveMaximum"));
    real(out, 9, from.get("minimum"));
    flag(out, 10, from.get("exclusiveMinimum"));
    for (name, number) in [("maxLength", 11), ("minLength", 12), ("maxItems", 14), ("minItems", 15), ("maxProperties", 17), ("minProperties", 18)] {
        whole(out, number, from.get(name));
    }
    text(out, 13, from.get("pattern"));
    flag(out, 16, from.get("uniqueItems"));
}

fn path_item(out: &mut Out, from: &Value) {
    for (method, number) in [("get", 2), ("put", 3), ("post", 4), ("delete", 5), ("patch", 8)] {
        if let Some(value) = from.get(method) {
            message(out, number, |out| operation(out, value));
        }
    }
    parameters(out, 9, from);
    extensions(out, 10, from);
}

fn operation(out: &mut Out, from: &Value) {
    texts(out, 1, from.get("tags"));
    text(out, 2, from.get("summary"));
    text(out, 3, from.get("description"));
    text(out, 5, from.get("operationId"));
    texts(out, 6, from.get("produces"));
    texts(out, 7, from.get("consumes"));
    parameters(out, 8, from);
    message(out, 9, |out| {
        for (code, response) in from["responses"].as_object().into_iter().flatten() {
            message(out, 1, |out| {
                bytes(out, 1, code.as_bytes());
                message(out, 2, |out| {
                    message(out, 1, |out| {
                        text(out, 1, response.get("description"));
                        if let Some(value) = response.get("schema") {
                            message(out, 2, |out| message(out, 1, |out| schema(out, value)));
                        }
                    });
                });
            });
        }
    });
    texts(out, 10, from.get("schemes"));
    extensions(out, 13, from);
}

fn parameters(out: &mut Out, number: u64, from: &Value) {
    for one in from["parameters"].as_array().into_iter().flatten() {
        message(out, number, |out| match one.get("$ref") {
            Some(reference) => message(out, 2, |out| text(out, 1, Some(reference))),
            None => message(out, 1, |out| parameter(out, one)),
        });
    }
}

fn parameter(out: &mut Out, from: &Value) {
    match from["in"].as_str() {
        Some("body") => message(out, 1, |out| {
            text(out, 1, from.get("description"));
            text(out, 2, from.get("name"));
            text(out, 3, from.get("in"));
            flag(out, 4, from.get("required"));
            message(out, 5, |out| schema(out, &from["schema"]));
        }),
        Some("path") => message(out, 2, |out| message(out, 4, |out| plain(out, from, 5, 19))),
        Some("header") => message(out, 2, |out| message(out, 1, |out| plain(out, from, 5, 19))),
        _ => message(out, 2, |out| message(out, 3, |out| plain(out, from, 6, 20))),
    }
}

/// Query and path parameters differ in the numbers of their type and uniqueness only.
fn plain(out: &mut Out, from: &Value, kind: u64, unique: u64) {
    flag(out, 1, from.get("required"));
    text(out, 2, from.get("in"));
    text(out, 3, from.get("description"));
    text(out, 4, from.get("name"));
    text(out, kind, from.get("type"));
    flag(out, unique, from.get("uniqueItems"));
}
