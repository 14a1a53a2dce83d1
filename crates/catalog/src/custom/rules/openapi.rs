//! The schema of a version: what of OpenAPI v3 may be said, and whether what is said fits together.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::{defaults, structural};
use crate::custom::expressions::Tree;
use crate::walk;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
/// Fields of upstream's type, in its order, that may stand at the root where status is a part of its own.
const AT_ROOT: [(&str, &str); 22] = [
    ("description", "Description"), ("type", "Type"), ("format", "Format"), ("title", "Title"), ("maximum", "Maximum"), ("exclusiveMaximum", "ExclusiveMaximum"), ("minimum", "Minimum"),
    ("exclusiveMinimum", "ExclusiveMinimum"), ("maxLength", "MaxLength"), ("minLength", "MinLength"), ("pattern", "Pattern"), ("maxItems", "MaxItems"), ("minItems", "MinItems"),
    ("uniqueItems", "UniqueItems"), ("multipleOf", "MultipleOf"), ("required", "Required"), ("items", "Items"), ("properties", "Properties"), ("externalDocs", "ExternalDocs"),
    ("example", "Example"), ("x-kubernetes-preserve-unknown-fields", "XPreserveUnknownFields"), ("x-kubernetes-validations", "XValidations"),
];

/// What surrounds a place of the schema.
#[derive(Clone, Copy, Default)]
struct Within<'a> {
    is_root: bool,
    /// Inside of metadata, kind or apiVersion of a resource.
    meta: bool,
    no_defaults: Option<&'a str>,
}

/// `of` holds the schema under `openAPIV3Schema`; `is_known` where the definition had it before.
pub fn validate(errors: &mut FieldErrors, of: &Value, path: &Path, has_status: bool, is_known: bool) {
    let Some(schema) = of.get("openAPIV3Schema").filter(|s| s.is_object()) else { return };
    let at = path.child("openAPIV3Schema");
    if has_status {
        root(errors, schema, path);
    }
    if walk::flag(schema, "nullable") {
        errors.push(FieldError::forbidden(&path.child("openAPIV3Schema.nullable"), "nullable cannot be true at the root"));
    }
    let before = errors.len();
    let faults = structural::validate(schema, &at);
    if faults.is_empty() {
        defaults::validate(errors, schema, &at);
    }
    errors.extend(faults);
    place(errors, schema, &at, Within { is_root: true, ..Within::default() });
    // Expressions are judged where the schema they speak of is good.
    if errors.len() == before {
        let _ = Tree::compile(schema, &at, is_known, errors);
    }
}

fn root(errors: &mut FieldErrors, schema: &Value, path: &Path) {
    let kind = walk::text(schema, "type");
    if !kind.is_empty() && kind != "object" {
        let why = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
        errors.push(FieldError::invalid(&path.child("openAPIV3Schema.type"), kind, why));
    }
    let zero = |value: &Value| matches!(value, Value::Null | Value::Bool(false));
    if schema.as_object().into_iter().flatten().any(|(key, value)| !zero(value) && !AT_ROOT.iter().any(|(k, _)| k == key)) {
        let names: Vec<&str> = AT_ROOT.iter().map(|(_, name)| *name).collect();
        let why = format!("only [{}] fields are allowed at the root of the schema if the status subresource is enabled", names.join(" "));
        errors.push(FieldError::invalid(&path.child("openAPIV3Schema"), schema.clone(), why));
    }
}

fn inner<'a>(schema: &'a Value, key: &str) -> Option<&'a Value> {
    schema.get(key).filter(|v| v.is_object())
}

fn place(errors: &mut FieldErrors, schema: &Value, path: &Path, within: Within<'_>) {
    words(errors, schema, path, within);
    let deeper = Within { is_root: false, ..within };
    if walk::flag(schema, "uniqueItems") {
        errors.push(FieldError::forbidden(&path.child("uniqueItems"), "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"));
    }
    let has_properties = walk::map(schema, "properties").is_some_and(|p| !p.is_empty());
    if let Some(additional) = schema.get("additionalProperties").filter(|a| !a.is_null()) {
        if has_properties && *additional != Value::Bool(true) {
            errors.push(FieldError::forbidden(&path.child("additionalProperties"), "additionalProperties and properties are mutual exclusive"));
        }
        if additional.is_object() {
            let no_defaults = if within.meta { Some("inside additionalProperties applying to object metadata") } else { within.no_defaults };
            place(errors, additional, &path.child("additionalProperties"), Within { no_defaults, ..deeper });
        }
    }
    for (name, property) in walk::map(schema, "properties").into_iter().flatten() {
        let is_meta = (within.is_root || schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true))) && matches!(name.as_str(), "metadata" | "kind" | "apiVersion");
        let reason = format!("in top-level {name}");
        let no_defaults = if is_meta && within.is_root { Some(reason.as_str()) } else { within.no_defaults };
        place(errors, property, &path.child("properties").key(name), Within { meta: within.meta || is_meta, no_defaults, is_root: false });
    }
    if let Some(not) = inner(schema, "not") {
        place(errors, not, &path.child("not"), deeper);
    }
    for key in ["allOf", "oneOf", "anyOf"] {
        for (i, of) in walk::list(schema, key).iter().enumerate() {
            place(errors, of, &path.child(key).index(i), deeper);
        }
    }
    if let Some(items) = inner(schema, "items") {
        place(errors, items, &path.child("items"), deeper);
    }
    extensions(errors, schema, path);
    rules(errors, schema, &path.child("x-kubernetes-validations"));
}

/// Words of OpenAPI that definitions may not use.
fn words(errors: &mut FieldErrors, schema: &Value, path: &Path, within: Within<'_>) {
    let kind = walk::text(schema, "type");
    if !kind.is_empty() && !TYPES.contains(&kind) {
        errors.push(FieldError::not_supported(&path.child("type"), kind, &TYPES));
    }
    if let Some(reason) = within.no_defaults
        && schema.get("default").is_some_and(|d| !d.is_null())
    {
        errors.push(FieldError::forbidden(&path.child("default"), format!("must not be set {reason}")));
    }
    let present = |key: &str| match schema.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(map)) => key == "dependencies" || key == "additionalItems" || !map.is_empty(),
        Some(_) => true,
    };
    for key in ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"] {
        if present(key) {
            errors.push(FieldError::forbidden(&path.child(key), format!("{key} is not supported")));
        }
    }
    if kind == "null" {
        errors.push(FieldError::forbidden(&path.child("type"), "type cannot be set to null, use nullable as an alternative"));
    }
    if !walk::list(schema, "items").is_empty() {
        errors.push(FieldError::forbidden(&path.child("items"), "items must be a schema object and not an array"));
    }
    if within.meta && schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true)) {
        errors.push(FieldError::forbidden(&path.child("x-kubernetes-embedded-resource"), "must not be used inside of resource meta"));
    }
}

fn extensions(errors: &mut FieldErrors, schema: &Value, path: &Path) {
    let preserve = "x-kubernetes-preserve-unknown-fields";
    if schema.get(preserve) == Some(&Value::Bool(false)) {
        errors.push(FieldError::invalid(&path.child(preserve), false, "must be true or undefined"));
    }
    let kind = walk::text(schema, "type");
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    let mut wants = |extension: &str, wanted: &str| {
        let why = format!("must be {wanted} if {extension} is specified");
        let at = path.child("type");
        errors.push(if kind.is_empty() { FieldError::required(&at, why) } else { FieldError::invalid(&at, kind, why) });
    };
    let (map_type, list_type) = (text("x-kubernetes-map-type"), text("x-kubernetes-list-type"));
    if map_type.is_some() && kind != "object" {
        wants("x-kubernetes-map-type", "object");
    }
    if list_type.is_some() && kind != "array" {
        wants("x-kubernetes-list-type", "array");
    }
    if let Some(given) = map_type.filter(|t| !matches!(*t, "atomic" | "granular")) {
        errors.push(FieldError::not_supported(&path.child("x-kubernetes-map-type"), given, &["atomic", "granular"]));
    }
    if list_type == Some("set") && kind == "array" {
        set_items(errors, schema, path);
    }
    if let Some(given) = list_type.filter(|t| !matches!(*t, "atomic" | "set" | "map")) {
        errors.push(FieldError::not_supported(&path.child("x-kubernetes-list-type"), given, &["atomic", "set", "map"]));
    }
    list_map(errors, schema, list_type, path);
}

fn set_items(errors: &mut FieldErrors, schema: &Value, path: &Path) {
    let Some(items) = inner(schema, "items") else { return };
    let why = "must be atomic as item of a list with x-kubernetes-list-type=set";
    let text = |key: &str| items.get(key).cloned().unwrap_or_default();
    match walk::text(items, "type") {
        "array" if !matches!(text("x-kubernetes-list-type").as_str(), None | Some("atomic")) => {
            errors.push(FieldError::invalid(&path.child("items").child("x-kubernetes-list-type"), text("x-kubernetes-list-type"), why));
        }
        "object" if text("x-kubernetes-map-type") != "atomic" => {
            errors.push(FieldError::invalid(&path.child("items").child("x-kubernetes-map-type"), text("x-kubernetes-list-type"), why));
        }
        _ => {}
    }
}

fn list_map(errors: &mut FieldErrors, schema: &Value, list_type: Option<&str>, path: &Path) {
    let keys: Vec<&str> = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let at = path.child("x-kubernetes-list-type");
    match list_type {
        None if !keys.is_empty() => errors.push(FieldError::required(&at, "must be map if x-kubernetes-list-map-keys is non-empty")),
        Some(other) if !keys.is_empty() && other != "map" => errors.push(FieldError::invalid(&at, other, "must be map if x-kubernetes-list-map-keys is non-empty")),
        _ => {}
    }
    let items = inner(schema, "items");
    let items_path = path.child("items");
    if let (Some(kind @ ("set" | "map")), Some(items)) = (list_type, items)
        && walk::flag(items, "nullable")
    {
        errors.push(FieldError::forbidden(&items_path.child("nullable"), format!("cannot be nullable when x-kubernetes-list-type is {kind}")));
    }
    if list_type != Some("map") {
        return;
    }
    let keys_path = path.child("x-kubernetes-list-map-keys");
    if keys.is_empty() {
        errors.push(FieldError::required(&keys_path, "must not be empty if x-kubernetes-list-type is map"));
    }
    let Some(items) = items else {
        errors.push(FieldError::required(&items_path, "must have a schema if x-kubernetes-list-type is map"));
        return;
    };
    let kind = walk::text(items, "type");
    if kind != "object" {
        errors.push(FieldError::invalid(&items_path.child("type"), kind, "must be object if parent array's x-kubernetes-list-type is map"));
        return;
    }
    let required: Vec<&str> = walk::list(items, "required").iter().filter_map(Value::as_str).collect();
    for (i, key) in keys.iter().enumerate() {
        let property = items.get("properties").and_then(|p| p.get(*key));
        let at = items_path.child("properties").key(key);
        match property.map(|p| walk::text(p, "type")) {
            None => errors.push(FieldError::invalid(&keys_path, serde_json::json!(keys), "entries must all be names of item properties")),
            Some("array" | "object") => errors.push(FieldError::invalid(&at.child("type"), kind, "must be a scalar type if parent array's x-kubernetes-list-type is map")),
            Some(_) => {}
        }
        if keys[..i].contains(key) {
            errors.push(FieldError::invalid(&keys_path, serde_json::json!(keys), "must not contain duplicate entries"));
        }
        let Some(property) = property else { continue };
        if !required.contains(key) && property.get("default").is_none_or(Value::is_null) {
            errors.push(FieldError::required(&at.child("default"), "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"));
        }
        if walk::flag(property, "nullable") {
            errors.push(FieldError::forbidden(&at.child("nullable"), "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"));
        }
    }
}

/// The form of rules in CEL; what they say is the compiler's business.
fn rules(errors: &mut FieldErrors, schema: &Value, path: &Path) {
    let breaks = |text: &str| text.contains(['\n', '\r']);
    for (i, rule) in schema.get("x-kubernetes-validations").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let at = path.index(i);
        let text = |key: &str| walk::text(rule, key);
        let (body, message) = (text("rule").trim(), text("message").trim());
        if body.is_empty() {
            errors.push(FieldError::required(&at.child("rule"), "rule is not specified"));
        } else if !text("message").is_empty() && message.is_empty() {
            errors.push(FieldError::invalid(&at.child("message"), text("message"), "message must be non-empty if specified"));
        } else if breaks(message) {
            errors.push(FieldError::invalid(&at.child("message"), text("message"), "message must not contain line breaks"));
        } else if breaks(body) && message.is_empty() {
            errors.push(FieldError::required(&at.child("message"), "message must be specified if rule contains line breaks"));
        }
        if !text("messageExpression").is_empty() && text("messageExpression").trim().is_empty() {
            errors.push(FieldError::required(&at.child("messageExpression"), "messageExpression must be non-empty if specified"));
        }
        if let Some(reason) = rule.get("reason").and_then(Value::as_str).filter(|r| !REASONS.contains(r)) {
            errors.push(FieldError::not_supported(&at.child("reason"), reason, &REASONS));
        }
        let field = text("fieldPath");
        if !field.is_empty() && field.trim().is_empty() {
            errors.push(FieldError::invalid(&at.child("fieldPath"), field, "fieldPath must be non-empty if specified"));
        }
        if breaks(field) {
            errors.push(FieldError::invalid(&at.child("fieldPath"), field, "fieldPath must not contain line breaks"));
        }
    }
}
