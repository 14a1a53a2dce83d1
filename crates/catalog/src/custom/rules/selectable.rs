//! Fields that selectors of a custom kind may name.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::custom::field_path;
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
        let (named, found) = match field_path::follow(text, schema, false) {
            Ok(found) => found,
            Err(why) => {
                errors.push(FieldError::invalid(&at, text, format!("is an invalid path: {why}")));
                continue;
            }
        };
        if named.as_str().split(['.', '[']).next() == Some("metadata") {
            errors.push(FieldError::invalid(&at, text, "must not point to fields in metadata"));
        }
        if !matches!(walk::text(found, "type"), "string" | "boolean" | "integer") {
            let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            errors.push(FieldError::invalid(&at, text, why));
        }
        if !seen.insert(named.as_str().to_owned()) {
            errors.push(FieldError::duplicate(&at, text));
        }
    }
    if seen.len() > MAX {
        errors.push(FieldError::too_many(path, seen.len(), MAX));
    }
}
