//! The schema of a version: what of OpenAPI v3 may be said, and whether what is said fits together.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::kept::Kept;
use super::{defaults, shown, structural};
use crate::custom::expressions::{Judged, Tree};
use crate::custom::field_path;
use crate::walk;

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
/// Fields of upstream's type, in its order, that may stand at the root where status is a part of its own.
const AT_ROOT: [&str; 22] = [
    "Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum", "MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems",
    "MultipleOf", "Required", "Items", "Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations",
];

/// What is known of a version beside its schema.
#[derive(Clone, Copy)]
pub struct Given {
    pub has_status: bool,
    /// The definition had the schema before.
    pub is_known: bool,
    pub structural: bool,
    pub kept: Kept,
}

/// What surrounds a place of the schema.
#[derive(Clone, Copy, Default)]
struct Within<'a> {
    is_root: bool,
    /// Inside of metadata, kind or apiVersion of a resource.
    meta: bool,
    no_defaults: Option<&'a str>,
    kept: Kept,
}

/// `of` holds the schema under `openAPIV3Schema`.
pub fn validate(errors: &mut FieldErrors, of: &Value, path: &Path, given: Given) {
    let Some(schema) = of.get("openAPIV3Schema").filter(|s| s.is_object()) else { return };
    let at = path.child("openAPIV3Schema");
    let before = errors.len();
    if given.has_status {
        root(errors, schema, path);
    }
    if walk::flag(schema, "nullable") {
        errors.push(FieldError::forbidden(&path.child("openAPIV3Schema.nullable"), "nullable cannot be true at the root"));
    }
    let unsupported = structural::unsupported(schema).filter(|_| given.structural);
    let judged = errors.len();
    if given.structural && unsupported.is_none() {
        errors.extend(structural::validate(schema, &at));
        if errors.len() == judged {
            defaults::validate(errors, schema, &at, !given.kept.unpruned_defaults);
        }
    }
    let has_rules = given.structural && unsupported.is_none() && errors.len() == judged;
    let mut faults = FieldErrors::new();
    place(&mut faults, schema, &at, Within { is_root: true, kept: given.kept, ..Within::default() });
    errors.extend_from_slice(&faults);
    if has_rules {
        let _ = Tree::compile(schema, &at, Judged::new(given.is_known).with_faults(&faults), errors);
    }
    if let Some(why) = unsupported.filter(|_| errors.len() == before) {
        errors.push(FieldError::invalid(&at, "", why));
    }
}

fn root(errors: &mut FieldErrors, schema: &Value, path: &Path) {
    let kind = walk::text(schema, "type");
    // Upstream: the first field that may not be there is told.
    let odd = shown::fields_set(schema).find(|(key, name)| if *key == "type" { kind != "object" } else { !AT_ROOT.contains(name) });
    match odd {
        None => {}
        Some(("type", _)) => {
            let why = "only \"object\" is allowed as the type at the root of the schema if the status subresource is enabled";
            errors.push(FieldError::invalid(&path.child("openAPIV3Schema.type"), kind, why));
        }
        Some(_) => {
            let why = format!("only [{}] fields are allowed at the root of the schema if the status subresource is enabled", AT_ROOT.join(" "));
            errors.push(FieldError::invalid(&path.child("openAPIV3Schema"), Value::Null, why).shown_as(shown::schema(schema)));
        }
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
        place(errors, property, &path.child("properties").key(name), Within { meta: within.meta || is_meta, no_defaults, ..deeper });
    }
    if let Some(not) = inner(schema, "not") {
        place(errors, not, &path.child("not"), deeper);
    }
    for key in ["allOf", "oneOf", "anyOf"] {
        for (i, of) in walk::list(schema, key).iter().enumerate() {
            place(errors, of, &path.child(key).index(i), deeper);
        }
    }
    for (name, of) in walk::map(schema, "definitions").into_iter().flatten() {
        place(errors, of, &path.child("definitions").key(name), deeper);
    }
    if let Some(items) = inner(schema, "items") {
        place(errors, items, &path.child("items"), deeper);
    }
    for (i, of) in walk::list(schema, "items").iter().enumerate() {
        place(errors, of, &path.child("items").index(i), deeper);
    }
    for (name, of) in walk::map(schema, "dependencies").into_iter().flatten().filter(|(_, of)| of.is_object()) {
        place(errors, of, &path.child("dependencies").key(name), deeper);
    }
    extensions(errors, schema, path, within.kept);
    rules(errors, schema, &path.child("x-kubernetes-validations"));
}

pub fn has_odd_type(schema: &Value) -> bool {
    let kind = walk::text(schema, "type");
    !kind.is_empty() && !TYPES.contains(&kind)
}

/// Whether a place says anything that only structural schemas can say.
pub fn has_extensions(schema: &Value) -> bool {
    let on = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    let some = |key: &str| schema.get(key).is_some_and(|v| !v.is_null() && v.as_array().is_none_or(|a| !a.is_empty()));
    on("x-kubernetes-embedded-resource") || on("x-kubernetes-int-or-string") || ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-validations"].into_iter().any(some)
}

/// Words of OpenAPI that definitions may not use.
fn words(errors: &mut FieldErrors, schema: &Value, path: &Path, within: Within<'_>) {
    let kind = walk::text(schema, "type");
    if !within.kept.odd_types && has_odd_type(schema) {
        errors.push(FieldError::not_supported(&path.child("type"), kind, &TYPES));
    }
    if let Some(reason) = within.no_defaults
        && schema.get("default").is_some_and(|d| !d.is_null())
    {
        errors.push(FieldError::forbidden(&path.child("default"), format!("must not be set {reason}")));
    }
    let present = |key: &str| match schema.get(key) {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => key == "$ref" || !text.is_empty(),
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

fn extensions(errors: &mut FieldErrors, schema: &Value, path: &Path, kept: Kept) {
    let preserve = "x-kubernetes-preserve-unknown-fields";
    if schema.get(preserve) == Some(&Value::Bool(false)) {
        errors.push(FieldError::invalid(&path.child(preserve), false, "must be true or undefined"));
    }
    let kind = walk::text(schema, "type");
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    let wants = |extension: &str, wanted: &str| {
        let why = format!("must be {wanted} if {extension} is specified");
        let at = path.child("type");
        if kind.is_empty() { FieldError::required(&at, why) } else { FieldError::invalid(&at, kind, why) }
    };
    let (map_type, list_type) = (text("x-kubernetes-map-type"), text("x-kubernetes-list-type"));
    if map_type.is_some() && kind != "object" {
        errors.push(wants("x-kubernetes-map-type", "object"));
    }
    if let Some(given) = map_type.filter(|t| !matches!(*t, "atomic" | "granular")) {
        errors.push(FieldError::not_supported(&path.child("x-kubernetes-map-type"), given, &["atomic", "granular"]));
    }
    if list_type.is_some() && kind != "array" {
        errors.push(wants("x-kubernetes-list-type", "array"));
    } else if !kept.compound_sets && let Some(key) = compound_set(schema) {
        let given = schema["items"].get("x-kubernetes-list-type").cloned().unwrap_or_default();
        errors.push(FieldError::invalid(&path.child("items").child(key), given, "must be atomic as item of a list with x-kubernetes-list-type=set"));
    }
    if let Some(given) = list_type.filter(|t| !matches!(*t, "atomic" | "set" | "map")) {
        errors.push(FieldError::not_supported(&path.child("x-kubernetes-list-type"), given, &["atomic", "set", "map"]));
    }
    list_map(errors, schema, list_type, path);
    if !kept.loose_keys {
        list_keys(errors, schema, path);
    }
}

/// The word by which a set's items are more than one value each; none where they are not.
pub fn compound_set(schema: &Value) -> Option<&'static str> {
    let items = inner(schema, "items").filter(|_| walk::text(schema, "type") == "array" && schema.get("x-kubernetes-list-type").is_some_and(|t| t == "set"))?;
    let text = |key: &str| items.get(key).and_then(Value::as_str);
    match walk::text(items, "type") {
        "array" if !matches!(text("x-kubernetes-list-type"), None | Some("atomic")) => Some("x-kubernetes-list-type"),
        "object" if text("x-kubernetes-map-type") != Some("atomic") => Some("x-kubernetes-map-type"),
        _ => None,
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
    if list_type != Some("map") {
        return;
    }
    let keys_path = path.child("x-kubernetes-list-map-keys");
    if keys.is_empty() {
        errors.push(FieldError::required(&keys_path, "must not be empty if x-kubernetes-list-type is map"));
    }
    let Some(items) = items else {
        errors.push(match schema.get("items").filter(|i| !i.is_null()) {
            None => FieldError::required(&items_path, "must have a schema if x-kubernetes-list-type is map"),
            Some(several) => FieldError::invalid(&items_path, Value::Null, "must only have a single schema if x-kubernetes-list-type is map").shown_as(shown::items(several)),
        });
        return;
    };
    let kind = walk::text(items, "type");
    if kind != "object" {
        errors.push(FieldError::invalid(&items_path.child("type"), kind, "must be object if parent array's x-kubernetes-list-type is map"));
        return;
    }
    for (i, key) in keys.iter().enumerate() {
        let at = items_path.child("properties").key(key);
        match items.get("properties").and_then(|p| p.get(*key)).map(|p| walk::text(p, "type")) {
            None => errors.push(FieldError::invalid(&keys_path, serde_json::json!(keys), "entries must all be names of item properties")),
            Some("array" | "object") => errors.push(FieldError::invalid(&at.child("type"), kind, "must be a scalar type if parent array's x-kubernetes-list-type is map")),
            Some(_) => {}
        }
        if keys[..i].contains(key) {
            errors.push(FieldError::invalid(&keys_path, serde_json::json!(keys), "must not contain duplicate entries"));
        }
    }
}

/// Items that are told apart are never null, and have what they are told apart by.
pub fn list_keys(errors: &mut FieldErrors, schema: &Value, path: &Path) {
    let kind = schema.get("x-kubernetes-list-type").and_then(Value::as_str).filter(|t| matches!(*t, "set" | "map"));
    let (Some(kind), Some(items)) = (kind, inner(schema, "items")) else { return };
    let at = path.child("items");
    if walk::flag(items, "nullable") {
        errors.push(FieldError::forbidden(&at.child("nullable"), format!("cannot be nullable when x-kubernetes-list-type is {kind}")));
    }
    if kind == "set" {
        return;
    }
    let required = walk::list(items, "required");
    for key in schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        let Some(property) = items.get("properties").and_then(|p| p.get(key)) else { continue };
        let at = at.child("properties").key(key);
        if !required.iter().any(|r| r == key) && property.get("default").is_none_or(Value::is_null) {
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
        if !field.is_empty() && structural::unsupported(schema).is_none() && field_path::follow(field, schema, true).is_err() {
            errors.push(FieldError::invalid(&at.child("fieldPath"), field, "fieldPath must be a valid path"));
        }
    }
}
