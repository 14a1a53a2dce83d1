//! Fields that selectors of a custom kind may name.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::walk;

const MAX: usize = 8;

/// Fields that all versions declare alike.
pub fn shared(errors: &mut FieldErrors, form: &Value, path: &Path) {
    let fields = walk::list(form, "selectableFields");
    if fields.is_empty() {
        return;
    }
    let at = path.child("selectableFields");
    match form.get("validation") {
        Some(validation) => validate(errors, fields, walk::at(validation, "openAPIV3Schema"), &at),
        None => errors.push(FieldError::invalid(&at, "", "selectableFields may only be set when validations.schema is included")),
    }
}

pub fn of_version(errors: &mut FieldErrors, version: &Value, path: &Path) {
    let fields = walk::list(version, "selectableFields");
    if fields.is_empty() {
        return;
    }
    let at = path.child("selectableFields");
    match walk::at(version, "schema.openAPIV3Schema") {
        Value::Null => errors.push(FieldError::invalid(&at, "", "selectableFields may only be set when version.schema.openAPIV3Schema is not included")),
        schema => validate(errors, fields, schema, &at),
    }
}

fn validate(errors: &mut FieldErrors, fields: &[Value], schema: &Value, path: &Path) {
    let mut seen = HashSet::new();
    for (i, field) in fields.iter().enumerate() {
        let at = path.index(i).child("jsonPath");
        let text = walk::text(field, "jsonPath");
        if text.is_empty() {
            errors.push(FieldError::required(&at, ""));
            continue;
        }
        let found = match follow(text, schema) {
            Ok(found) => found,
            Err(why) => {
                errors.push(FieldError::invalid(&at, text, format!("is an invalid path: {why}")));
                continue;
            }
        };
        if text.trim_start_matches('.').split('.').next() == Some("metadata") {
            errors.push(FieldError::invalid(&at, text, "must not point to fields in metadata"));
        }
        if !matches!(walk::text(found, "type"), "string" | "boolean" | "integer") {
            let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            errors.push(FieldError::invalid(&at, text, why));
        }
        if !seen.insert(text) {
            errors.push(FieldError::duplicate(&at, text));
        }
    }
    if seen.len() > MAX {
        errors.push(FieldError::too_many(path, seen.len(), MAX));
    }
}

/// The schema a path leads to. Upstream: `cel.ValidFieldPath` without array notation.
fn follow<'a>(text: &str, schema: &'a Value) -> Result<&'a Value, String> {
    let rest = text.strip_prefix('.').ok_or_else(|| format!("expected [ or . but got: {}", text.split(['.', '[', ']']).next().unwrap_or_default()))?;
    rest.split('.').try_fold(schema, |schema, name| {
        if name.is_empty() {
            return Err("unexpected end of JSON path".to_owned());
        }
        if name.contains('[') {
            return Err("array notation is not allowed".to_owned());
        }
        let named = schema.get("properties").and_then(|p| p.get(name));
        named.or_else(|| schema.get("additionalProperties").filter(|a| a.is_object())).ok_or_else(|| "does not refer to a valid field".to_owned())
    })
}
