//! Whether a schema is structural: types stand outside of alternatives, and alternatives only restrict.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/schema/{validation,complete}.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use crate::walk;

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Root,
    Item,
    Field,
}

/// Keys that an alternative must not hold, with what they must be.
const FORBIDDEN: [(&str, &str); 10] = [
    ("type", "must be empty to be structural"),
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
];

/// Whether a schema is structural at all.
pub fn is_structural(schema: &Value) -> bool {
    unsupported(schema).is_none() && validate(schema, &Path::default()).is_empty()
}

/// The first word that structural schemas do not have. Upstream: `NewStructural` of `pkg/apiserver/schema/convert.go`.
pub fn unsupported(schema: &Value) -> Option<String> {
    let given = |key: &&str| schema.get(*key).is_some_and(|v| !v.is_null() && v != "" && v.as_object().is_none_or(|m| !m.is_empty() || *key == "additionalItems"));
    if let Some(key) = ["id", "$schema", "$ref", "patternProperties", "dependencies", "additionalItems", "definitions"].iter().find(|key| given(key)) {
        return Some(format!("OpenAPIV3Schema '{}' is not supported", if *key == "$schema" { "schema" } else { key }));
    }
    if !walk::list(schema, "items").is_empty() {
        return Some("OpenAPIV3Schema 'items' must be a schema, but is an array".into());
    }
    if schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(false)) {
        return Some("internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined".into());
    }
    let alternatives = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|key| walk::list(schema, key));
    let single = ["not", "additionalProperties", "items"].into_iter().filter_map(|key| inner(schema, key));
    alternatives.chain(single).chain(children(schema, "properties").map(|(_, of)| of)).find_map(unsupported)
}

/// All faults, sorted by their text.
pub fn validate(schema: &Value, path: &Path) -> FieldErrors {
    let mut errors = FieldErrors::new();
    node(&mut errors, schema, Level::Root, path);
    complete(&mut errors, schema, schema, path, path);
    errors.sort_by_key(ToString::to_string);
    errors
}

fn set(schema: &Value, key: &str) -> bool {
    match schema.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(items)) => !items.is_empty(),
        Some(_) => true,
    }
}

fn children<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    schema.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn inner<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    schema.get(key).filter(|v| v.is_object())
}

fn node(errors: &mut FieldErrors, schema: &Value, level: Level, path: &Path) {
    let kind = walk::text(schema, "type");
    let (preserves, embedded, either) = (set(schema, "x-kubernetes-preserve-unknown-fields"), set(schema, "x-kubernetes-embedded-resource"), set(schema, "x-kubernetes-int-or-string"));
    if kind == "array" && inner(schema, "items").is_none() {
        errors.push(FieldError::required(&path.child("items"), "must be specified"));
    }
    if let Some(items) = inner(schema, "items") {
        node(errors, items, Level::Item, &path.child("items"));
    }
    for (name, property) in children(schema, "properties") {
        node(errors, property, Level::Field, &path.child("properties").key(name));
    }
    let has_additional = schema.get("additionalProperties").is_some_and(|a| !a.is_null());
    if has_additional && level == Level::Root {
        errors.push(FieldError::forbidden(&path.child("additionalProperties"), "must not be used at the root"));
    }
    if let Some(values) = inner(schema, "additionalProperties") {
        node(errors, values, Level::Field, &path.child("additionalProperties"));
    }
    for (other, key) in [(preserves, "x-kubernetes-preserve-unknown-fields"), (embedded, "x-kubernetes-embedded-resource")] {
        if either && other {
            errors.push(FieldError::invalid(&path.child(key), true, "must be false if x-kubernetes-int-or-string is true"));
        }
    }
    restrictions(errors, schema, int_or_string_pattern(schema), path);
    let at = path.child("type");
    if embedded && kind != "object" {
        let why = "must be object if x-kubernetes-embedded-resource is true";
        errors.push(if kind.is_empty() { FieldError::required(&at, why) } else { FieldError::invalid(&at, kind, why) });
    } else if kind.is_empty() && !either && !preserves {
        let why = match level {
            Level::Root => "must not be empty at the root",
            Level::Item => "must not be empty for specified array items",
            Level::Field => "must not be empty for specified object fields",
        };
        errors.push(FieldError::required(&at, why));
    }
    if embedded && has_additional {
        errors.push(FieldError::forbidden(&path.child("additionalProperties"), "must not be used if x-kubernetes-embedded-resource is set"));
    }
    if level == Level::Root && !kind.is_empty() && kind != "object" {
        errors.push(FieldError::invalid(&at, kind, "must be object at the root"));
    }
    metadata(errors, schema, level == Level::Root, embedded, path);
    if embedded && !preserves && children(schema, "properties").next().is_none() {
        let why = "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields";
        errors.push(FieldError::required(&path.child("properties"), why));
    }
}

/// What every resource has is of its known types, and at the root says nothing of metadata but names.
fn metadata(errors: &mut FieldErrors, schema: &Value, is_root: bool, embedded: bool, path: &Path) {
    let property = |name: &str| schema.get("properties").and_then(|p| p.get(name));
    let at = |name: &str| path.child("properties").key(name);
    if is_root || embedded {
        for (name, kind) in [("kind", "string"), ("apiVersion", "string"), ("metadata", "object")] {
            if let Some(found) = property(name).map(|p| walk::text(p, "type")).filter(|found| *found != kind) {
                errors.push(FieldError::invalid(&at(name).child("type"), found, format!("must be {kind}")));
            }
        }
    }
    if let Some(found) = property("metadata").filter(|_| is_root) {
        let only_names = children(found, "properties").all(|(name, _)| matches!(name.as_str(), "name" | "generateName"));
        let nothing_else = found.as_object().into_iter().flatten().all(|(key, _)| matches!(key.as_str(), "type" | "properties" | "default") || !set(found, key));
        if !only_names || !nothing_else {
            errors.push(FieldError::forbidden(&at("metadata"), "must not specify anything other than name and generateName, but metadata is implicitly specified"));
        }
    }
}

/// Alternatives "integer" and "string" are allowed where a place is either: at once, or first of all that hold.
fn int_or_string_pattern(schema: &Value) -> (bool, bool) {
    let both = json!([{"type": "integer"}, {"type": "string"}]);
    (schema.get("anyOf") == Some(&both), walk::list(schema, "allOf").first().is_some_and(|first| first.get("anyOf") == Some(&both)))
}

fn restrictions(errors: &mut FieldErrors, schema: &Value, (skip_any, skip_first): (bool, bool), path: &Path) {
    for (i, of) in walk::list(schema, "anyOf").iter().enumerate().filter(|_| !skip_any) {
        nested(errors, of, false, &path.child("anyOf").index(i));
    }
    for (i, of) in walk::list(schema, "allOf").iter().enumerate() {
        nested(errors, of, skip_first && i == 0, &path.child("allOf").index(i));
    }
    for (i, of) in walk::list(schema, "oneOf").iter().enumerate() {
        nested(errors, of, false, &path.child("oneOf").index(i));
    }
    if let Some(not) = inner(schema, "not") {
        nested(errors, not, false, &path.child("not"));
    }
    let pattern = walk::text(schema, "pattern");
    if let Err(error) = sprig::regex::compile(pattern.as_bytes()) {
        errors.push(FieldError::invalid(&path.child("pattern"), pattern, format!("must be a valid regular expression, but isn't: {error}")));
    }
}

fn nested(errors: &mut FieldErrors, schema: &Value, skip_any: bool, path: &Path) {
    restrictions(errors, schema, (skip_any, false), path);
    if let Some(items) = inner(schema, "items") {
        nested(errors, items, false, &path.child("items"));
    }
    for (name, property) in children(schema, "properties") {
        nested(errors, property, false, &path.child("properties").key(name));
    }
    for (key, why) in FORBIDDEN.iter().filter(|(key, _)| set(schema, key)) {
        errors.push(FieldError::forbidden(&path.child(key), *why));
    }
    for (key, why) in [("additionalProperties", "must be undefined to be structural"), ("default", "must be undefined to be structural")] {
        if schema.get(key).is_some_and(|v| !v.is_null()) {
            errors.push(FieldError::forbidden(&path.child(key), why));
        }
    }
    if set(schema, "nullable") {
        errors.push(FieldError::forbidden(&path.child("nullable"), "must be false to be structural"));
    }
    if schema.get("properties").and_then(|p| p.get("metadata")).is_some() {
        errors.push(FieldError::forbidden(&path.child("properties").key("metadata"), "must not be specified in a nested context"));
    }
}

/// What alternatives speak of must be there outside of them.
fn complete(errors: &mut FieldErrors, restriction: &Value, schema: &Value, at: &Path, from: &Path) {
    if let Some(not) = inner(restriction, "not") {
        complete_nested(errors, not, schema, at, &from.child("not"));
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        for (i, of) in walk::list(restriction, key).iter().enumerate() {
            complete_nested(errors, of, schema, at, &from.child(key).index(i));
        }
    }
}

fn complete_nested(errors: &mut FieldErrors, restriction: &Value, schema: &Value, at: &Path, from: &Path) {
    complete(errors, restriction, schema, at, from);
    let mut below = |found: Option<&Value>, restriction: &Value, at: Path, from: Path| match found {
        Some(found) => complete_nested(errors, restriction, found, &at, &from),
        None => errors.push(FieldError::required(&at, format!("because it is defined in {from}"))),
    };
    if let Some(items) = inner(restriction, "items") {
        below(inner(schema, "items"), items, at.child("items"), from.child("items"));
    }
    for (name, property) in children(restriction, "properties") {
        let found = schema.get("properties").and_then(|p| p.get(name));
        below(found, property, at.child("properties").key(name), from.child("properties").key(name));
    }
}
