//! One version of a definition: deprecation, schema, subresources, columns.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::openapi::{self, Given};
use super::selectable;
use crate::walk;

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];

pub fn validate(errors: &mut FieldErrors, version: &Value, path: &Path, given: Given) {
    deprecation(errors, version, &path.child("deprecationWarning"));
    if let Some(schema) = version.get("schema") {
        openapi::validate(errors, schema, &path.child("schema"), given);
    }
    subresources(errors, version.get("subresources"), &path.child("subresources"));
    for (i, of) in walk::list(version, "additionalPrinterColumns").iter().enumerate() {
        column(errors, of, &path.child("additionalPrinterColumns").index(i));
    }
    selectable::of_version(errors, version, path);
}

fn deprecation(errors: &mut FieldErrors, version: &Value, path: &Path) {
    let Some(text) = version.get("deprecationWarning").and_then(Value::as_str) else { return };
    let mut fault = |why: String| errors.push(FieldError::invalid(path, text, why));
    if !walk::flag(version, "deprecated") {
        fault("can only be set for deprecated versions".into());
        return;
    }
    if text.len() > 256 {
        fault("must be <= 256 characters long".into());
    }
    if text.is_empty() {
        fault("must not be an empty string".into());
    }
    if let Some((at, _)) = text.char_indices().find(|(_, c)| !gotemplate::text::is_print(*c)) {
        fault(format!("must only contain printable UTF-8 characters; non-printable character found at index {at}"));
    }
}

pub fn subresources(errors: &mut FieldErrors, of: Option<&Value>, path: &Path) {
    let Some(scale) = of.and_then(|s| s.get("scale")).filter(|s| s.is_object()) else { return };
    let required = [("specReplicasPath", ".spec.", "should be a json path under .spec"), ("statusReplicasPath", ".status.", "should be a json path under .status")];
    for (key, prefix, why) in required {
        let at = path.child(&format!("scale.{key}"));
        let text = walk::text(scale, key);
        if text.is_empty() {
            errors.push(FieldError::required(&at, ""));
        } else if let Some(fault) = simple_path(text, &at) {
            errors.push(fault);
        } else if !text.starts_with(prefix) {
            errors.push(FieldError::invalid(&at, text, why));
        }
    }
    let text = walk::text(scale, "labelSelectorPath");
    if text.is_empty() {
        return;
    }
    let at = path.child("scale.labelSelectorPath");
    if let Some(fault) = simple_path(text, &at) {
        errors.push(fault);
    } else if !text.starts_with(".spec.") && !text.starts_with(".status.") {
        errors.push(FieldError::invalid(&at, text, "should be a json path under either .spec or .status"));
    }
}

pub fn column(errors: &mut FieldErrors, column: &Value, path: &Path) {
    if walk::text(column, "name").is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    let (kind, format, json_path) = (walk::text(column, "type"), walk::text(column, "format"), walk::text(column, "jsonPath"));
    let one_of = |words: &[&str]| format!("must be one of {}", words.join(","));
    if kind.is_empty() {
        errors.push(FieldError::required(&path.child("type"), one_of(&COLUMN_TYPES)));
    } else if !COLUMN_TYPES.contains(&kind) {
        errors.push(FieldError::invalid(&path.child("type"), kind, one_of(&COLUMN_TYPES)));
    }
    if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
        errors.push(FieldError::invalid(&path.child("format"), format, one_of(&COLUMN_FORMATS)));
    }
    let at = path.child("JSONPath");
    if json_path.is_empty() {
        errors.push(FieldError::required(&at, ""));
    } else {
        errors.extend(simple_path(json_path, &at));
    }
}

fn simple_path(text: &str, path: &Path) -> Option<FieldError> {
    (!text.starts_with('.')).then(|| FieldError::invalid(path, text, "must be a simple json path starting with ."))
}
