//! Metadata of custom resources, their own and that of resources embedded in them: made to fit its type, and validated.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/schema/objectmeta`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use codec::Strictness;
use serde_json::Value;

use super::node::Node;
use crate::{metadata, walk};

const META_TYPE: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Makes `metadata` of the object fit its type; the paths of unknown fields go to `unknown`.
pub fn conform_metadata(object: &mut Value, path: &str, unknown: &mut Vec<String>) -> Result<(), String> {
    let (Some(of), Some(found)) = (schema::by_name(META_TYPE), object.get_mut("metadata")) else { return Ok(()) };
    let given = found.take();
    if given.is_null() {
        if let Some(map) = object.as_object_mut() {
            map.remove("metadata");
        }
        return Ok(());
    }
    let decoded = codec::conform(given, of, Strictness::Collect).map_err(|error| error.to_string())?;
    let prefix = if path.is_empty() { "metadata".to_owned() } else { format!("{path}.metadata") };
    let named = decoded.strict_errors.iter().filter_map(|fault| fault.strip_prefix("unknown field \"")?.strip_suffix('"'));
    unknown.extend(named.map(|field| format!("{prefix}.{field}")));
    object["metadata"] = decoded.value;
    Ok(())
}

/// Makes the metadata of embedded resources fit, wherever the schema says one is.
pub fn conform_embedded(value: &mut Value, node: &Node, path: &Path, unknown: &mut Vec<String>) -> Result<(), FieldError> {
    match value {
        Value::Object(_) => {
            if node.embedded {
                conform_one(value, path, unknown)?;
            }
            for (key, value) in value.as_object_mut().into_iter().flatten() {
                let Some(of) = node.under(key) else { continue };
                let path = if node.properties.contains_key(key) { path.child(key) } else { path.key(key) };
                conform_embedded(value, of, &path, unknown)?;
            }
        }
        Value::Array(items) => {
            let Some(of) = &node.items else { return Ok(()) };
            for (at, item) in items.iter_mut().enumerate() {
                conform_embedded(item, of, &path.index(at), unknown)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn conform_one(value: &mut Value, path: &Path, unknown: &mut Vec<String>) -> Result<(), FieldError> {
    for key in ["apiVersion", "kind"] {
        if let Some(found) = value.get(key).filter(|v| !v.is_string()) {
            return Err(FieldError::invalid(&path.child(key), found.clone(), "must be a string"));
        }
    }
    let before = walk::at(value, "metadata").clone();
    conform_metadata(value, path.as_str(), unknown).map_err(|why| FieldError::invalid(&path.child("metadata"), before, why))
}

/// Faults of embedded resources; the resource itself is judged elsewhere.
pub fn validate(value: &Value, node: &Node, path: &Path) -> FieldErrors {
    let mut errors = FieldErrors::new();
    collect(value, node, path, &mut errors);
    errors
}

fn collect(value: &Value, node: &Node, path: &Path, errors: &mut FieldErrors) {
    match value {
        Value::Object(map) => {
            if node.embedded {
                one(value, path, errors);
            }
            for (key, value) in map {
                let Some(of) = node.under(key) else { continue };
                let path = if node.properties.contains_key(key) { path.child(key) } else { path.key(key) };
                collect(value, of, &path, errors);
            }
        }
        Value::Array(items) => {
            let Some(of) = &node.items else { return };
            items.iter().enumerate().for_each(|(at, item)| collect(item, of, &path.index(at), errors));
        }
        _ => {}
    }
}

fn one(value: &Value, path: &Path, errors: &mut FieldErrors) {
    for key in ["apiVersion", "kind"] {
        let at = path.child(key);
        let text = match value.get(key) {
            None => {
                errors.push(FieldError::required(&at, "must not be empty"));
                continue;
            }
            Some(Value::String(text)) => text,
            Some(other) => {
                errors.push(FieldError::invalid(&at, other.clone(), "must be a string"));
                continue;
            }
        };
        if text.is_empty() {
            errors.push(FieldError::invalid(&at, "", "must not be empty"));
        } else if key == "apiVersion" && text.matches('/').count() > 1 {
            errors.push(FieldError::invalid(&at, text.as_str(), format!("unexpected GroupVersion string: {text}")));
        } else if key == "kind" {
            mixed_case_label(errors, &at, text);
        }
    }
    let meta = path.child("metadata");
    if let Some(labels) = value.get("metadata").filter(|m| m.is_object()) {
        let name = walk::text(labels, "name");
        errors.extend(names::path_segment(name).into_iter().map(|fault| FieldError::invalid(&meta.child("name"), name, fault)));
        errors.extend(metadata::validate_labels(walk::at(labels, "labels"), &meta.child("labels")));
        errors.extend(metadata::validate_annotations(walk::at(labels, "annotations"), &meta.child("annotations")));
    }
}

/// A kind: a label but for its capitals.
pub fn mixed_case_label(errors: &mut FieldErrors, path: &Path, text: &str) {
    let faults = names::dns1035_label(&text.to_lowercase());
    if !faults.is_empty() {
        errors.push(FieldError::invalid(path, text, format!("may have mixed case, but should otherwise match: {}", faults.join(","))));
    }
}
