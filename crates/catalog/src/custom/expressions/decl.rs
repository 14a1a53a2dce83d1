//! What a schema lets expressions see, with the largest sizes that data of it can have.
//!
//! Upstream: apiserver `pkg/cel/common/schemas.go`.

use std::collections::BTreeMap;
use std::sync::Arc;

use cel::{Decl, DeclKind, FieldDecl, ListDecl, ListSemantics, ObjectDecl, escape};
use serde_json::{Value, json};

use crate::walk;

/// Upstream: the largest request, 3 MiB.
const MAX_REQUEST: u64 = 3 << 20;

/// A declaration and the fewest bytes that JSON of it takes.
type Sized = (Decl, u64);

/// How often data of at least so many bytes can stand in a request, with a comma between.
pub fn most_in_a_request(least: u64) -> u64 {
    MAX_REQUEST / (least + 1)
}

/// The declaration of a schema; none where expressions see nothing. `name` is a type's no other has.
pub fn of_schema(schema: &Value, is_resource: bool, name: &str) -> Option<Sized> {
    let nullable = walk::flag(schema, "nullable");
    let (mut decl, size) = if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        (Decl::new(DeclKind::IntOrString).at_most(MAX_REQUEST - 2), 1)
    } else if is_resource {
        of_type(&with_metadata(schema), name)?
    } else {
        of_type(schema, name)?
    };
    decl.nullable = nullable;
    Some((decl, size))
}

/// What every resource has, whether its schema says so or not.
fn with_metadata(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let text = || json!({"type": "string"});
    if let Some(properties) = walk::object_mut(&mut schema, "properties") {
        properties.insert("kind".into(), text());
        properties.insert("apiVersion".into(), text());
        properties.insert("metadata".into(), json!({"type": "object", "properties": {"name": text(), "generateName": text()}}));
    }
    schema
}

fn below(schema: &Value, name: &str) -> Option<Sized> {
    of_schema(schema, schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true)), name)
}

fn most(schema: &Value, key: &str) -> Option<u64> {
    schema.get(key).and_then(Value::as_i64).map(|n| u64::try_from(n).unwrap_or_default())
}

fn of_type(schema: &Value, name: &str) -> Option<Sized> {
    match walk::text(schema, "type") {
        "array" => {
            let (items, size) = below(schema.get("items").filter(|i| i.is_object())?, &format!("{name}.@idx"))?;
            let max = most(schema, "maxItems").unwrap_or((MAX_REQUEST - 2) / (size + 1));
            Some((Decl::new(DeclKind::List(ListDecl { items: Arc::new(items), semantics: semantics(schema) })).at_most(max), 2))
        }
        "object" => match schema.get("additionalProperties").filter(|a| a.is_object()) {
            Some(values) => {
                let (values, size) = below(values, &format!("{name}.@elem"))?;
                let max = most(schema, "maxProperties").unwrap_or((MAX_REQUEST - 2) / (size + 6));
                Some((Decl::map(values).at_most(max), 2))
            }
            None => Some(object(schema, name)),
        },
        "string" => Some(string(schema)),
        "boolean" => Some((Decl::new(DeclKind::Bool), 4)),
        "number" => Some((Decl::new(DeclKind::Double), 1)),
        "integer" => Some((Decl::new(DeclKind::Int), 1)),
        _ => None,
    }
}

fn semantics(schema: &Value) -> ListSemantics {
    match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
        Some("set") => ListSemantics::Set,
        Some("map") => ListSemantics::Map(schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => ListSemantics::Atomic,
    }
}

fn object(schema: &Value, name: &str) -> Sized {
    let required: Vec<&str> = walk::list(schema, "required").iter().filter_map(Value::as_str).collect();
    let (mut fields, mut size) = (BTreeMap::new(), 2);
    for (key, property) in walk::map(schema, "properties").into_iter().flatten() {
        let Some((decl, least)) = below(property, &format!("{name}.{key}")) else { continue };
        let is_required = required.contains(&key.as_str());
        if is_required && property.get("default").is_none() {
            size += key.len() as u64 + least + 4;
        }
        if let Some(escaped) = escape(key) {
            fields.insert(escaped, FieldDecl { json: key.clone(), decl, required: is_required });
        }
    }
    (Decl::new(DeclKind::Object(Arc::new(ObjectDecl { name: name.into(), fields }))), size)
}

fn string(schema: &Value) -> Sized {
    let max = most(schema, "maxLength");
    match walk::text(schema, "format") {
        "byte" => (Decl::new(DeclKind::Bytes).at_most(max.unwrap_or(MAX_REQUEST - 2)), 2),
        // Upstream: the longest and shortest forms in JSON, quotes and all.
        "duration" => (Decl::new(DeclKind::Duration).at_most(32), 4),
        "date" => (Decl::new(DeclKind::Date).at_most(12), 12),
        "date-time" => (Decl::new(DeclKind::DateTime).at_most(37), 22),
        // A character takes up to four bytes.
        _ => (Decl::new(DeclKind::String).at_most(max.map_or(MAX_REQUEST - 2, |m| m.saturating_mul(4))), 2),
    }
}
