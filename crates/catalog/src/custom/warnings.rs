//! What writers of custom resources and of their definitions are told though nothing is wrong.
//!
//! Upstream: apiextensions-apiserver `pkg/registry/customresource/strategy.go` (`generateWarningsFromObj`) and
//! `pkg/registry/customresourcedefinition/strategy.go`.

use std::collections::BTreeSet;

use api::names;
use serde_json::Value;

use super::formats::Format;
use crate::walk;

/// Finalizers that Kubernetes itself sets.
const STANDARD: [&str; 2] = ["foregroundDeletion", "orphan"];

/// Warnings about finalizers that a write adds.
pub fn warnings(object: &Value, old: Option<&Value>) -> Vec<String> {
    let finalizers = |of: &Value| -> BTreeSet<String> { walk::list(of, "metadata.finalizers").iter().filter_map(Value::as_str).map(str::to_owned).collect() };
    let before = old.map(finalizers).unwrap_or_default();
    finalizers(object).difference(&before).flat_map(|name| about(name)).collect()
}

fn about(name: &str) -> Vec<String> {
    let mut why = names::qualified_name(name);
    if !name.contains('/') && !STANDARD.contains(&name) {
        why.push("prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers".into());
    }
    why.into_iter().map(|why| format!("metadata.finalizers: {name:?}: {why}")).collect()
}

/// Of a definition: formats in its schemas that nothing checks, where the one before had them not yet.
pub fn of_definition(definition: &Value, old: Option<&Value>) -> Vec<String> {
    let (mut found, mut before) = (Vec::new(), Vec::new());
    unknown_formats(definition, &mut found);
    if let Some(old) = old.filter(|_| !found.is_empty()) {
        unknown_formats(old, &mut before);
    }
    found.into_iter().filter(|format| !before.contains(format)).map(|format| format!("unrecognized format {format:?}")).collect()
}

fn unknown_formats<'a>(definition: &'a Value, found: &mut Vec<&'a str>) {
    for version in walk::list(definition, "spec.versions") {
        within(walk::at(version, "schema.openAPIV3Schema"), found);
    }
}

fn within<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
    let format = walk::text(schema, "format");
    if !is_known(walk::text(schema, "type"), format) && !found.contains(&format) {
        found.push(format);
    }
    for key in ["items", "not", "additionalProperties", "additionalItems"] {
        within_each(schema.get(key), found);
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        walk::list(schema, key).iter().for_each(|schema| within(schema, found));
    }
    for key in ["properties", "patternProperties", "definitions", "dependencies"] {
        walk::map(schema, key).into_iter().flatten().for_each(|(_, schema)| within(schema, found));
    }
}

/// A schema, or a list of them.
fn within_each<'a>(value: Option<&'a Value>, found: &mut Vec<&'a str>) {
    match value {
        Some(Value::Array(schemas)) => schemas.iter().for_each(|schema| within(schema, found)),
        Some(schema @ Value::Object(_)) => within(schema, found),
        _ => {}
    }
}

/// Upstream: `GetUnrecognizedFormats` of `pkg/apiserver/validation/formats.go`.
fn is_known(kind: &str, format: &str) -> bool {
    match (kind, format) {
        (_, "") => true,
        ("" | "string", "quantity") => true,
        ("" | "string", format) => Format::of(format).is_some(),
        ("integer", format) => matches!(format, "int32" | "int64"),
        ("number", format) => matches!(format, "float" | "double"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn new_finalizers_without_a_path_are_told() {
        let object = |names: Value| json!({"metadata": {"finalizers": names}});
        let told = ["metadata.finalizers: \"b.example.com\": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers"];
        assert_eq!(warnings(&object(json!(["orphan", "a.example.com/x", "b.example.com"])), None), told);
        assert_eq!(warnings(&object(json!(["b.example.com"])), Some(&object(json!(["b.example.com"])))), [""; 0]);
    }
}
