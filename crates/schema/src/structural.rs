//! The type of a custom resource, built at run time from its structural OpenAPI v3 schema.
//!
//! Never validates: value rules stay in the schema and are checked elsewhere. What it keeps: every field counts as explicit
//! (Go holds custom resources untyped, so empty values stay), and what the schema does not name is dropped unless it says so.

use std::sync::Arc;

use serde_json::Value;

use crate::types::{Field, List, ListKind, Map, Of, Text, Type, TypeRef, Unknown};

/// Deeper schemas than the API server accepts anyway become "any JSON".
const MAX_DEPTH: usize = 64;

/// The root type of kind `kind`; `None` for the schema means everything is kept.
pub fn custom_type(name: &str, schema: Option<&Value>) -> Type {
    let mut of = match schema {
        Some(schema) => object(schema, 0),
        None => Type { unknown: Unknown::Keep, ..Type::default() },
    };
    of.name = Text::Owned(name.to_owned());
    embedded(&mut of);
    of.sealed()
}

/// What every whole object has, whatever its schema says.
fn embedded(of: &mut Type) {
    of.fields.retain(|f| !matches!(f.name.as_ref(), "apiVersion" | "kind" | "metadata"));
    of.fields.push(Field::new("apiVersion", Of::Str));
    of.fields.push(Field::new("kind", Of::Str));
    let mut metadata = Field::new("metadata", Of::Json);
    if let Some(id) = crate::table::id_of("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta") {
        metadata.of = Of::Object(TypeRef::Static(id));
    }
    of.fields.push(metadata);
}

fn is(schema: &Value, extension: &str) -> bool {
    schema.get(extension) == Some(&Value::Bool(true))
}

fn object(schema: &Value, depth: usize) -> Type {
    let mut of = Type { atomic: schema["x-kubernetes-map-type"] == "atomic", ..Type::default() };
    if is(schema, "x-kubernetes-preserve-unknown-fields") {
        of.unknown = Unknown::Keep;
    }
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let mut field = Field::new(name.clone(), value(property, depth + 1));
        field.required = required.contains(&name.as_str());
        field.pointer = true;
        field.nullable = is(property, "nullable");
        field.atomic = property["x-kubernetes-map-type"] == "atomic";
        field.default = property.get("default").cloned();
        of.fields.push(field);
    }
    if schema["additionalProperties"] == Value::Bool(true) {
        of.unknown = Unknown::Keep;
    }
    if is(schema, "x-kubernetes-embedded-resource") {
        embedded(&mut of);
    }
    of.sealed()
}

fn value(schema: &Value, depth: usize) -> Of {
    if depth > MAX_DEPTH {
        return Of::Json;
    }
    if is(schema, "x-kubernetes-int-or-string") {
        return Of::IntOrString;
    }
    match schema["type"].as_str().unwrap_or_default() {
        "object" => match &schema["additionalProperties"] {
            inner @ Value::Object(_) => Of::Map(Box::new(Map { value: value(inner, depth + 1), atomic: schema["x-kubernetes-map-type"] == "atomic" })),
            _ => Of::Object(TypeRef::Owned(Arc::new(object(schema, depth)))),
        },
        "array" => list(schema, depth),
        "boolean" => Of::Bool,
        "integer" => Of::Int64,
        "number" => Of::Double,
        "string" => Of::Str,
        _ if is(schema, "x-kubernetes-preserve-unknown-fields") => Of::Object(TypeRef::Owned(Arc::new(object(schema, depth)))),
        _ => Of::Json,
    }
}

fn list(schema: &Value, depth: usize) -> Of {
    let kind = match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => ListKind::Set,
        Some("map") => ListKind::Map,
        _ => ListKind::Atomic,
    };
    let keys = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).map(|k| Text::Owned(k.to_owned())).collect();
    Of::List(Box::new(List { item: value(&schema["items"], depth + 1), kind, keys, wrapped: false }))
}
