//! Defaults must be what the schema itself would accept and leave as it is.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/schema/defaulting/validation.go`.
//! Differs: defaults inside metadata of embedded resources are judged by their schema alone.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::custom::node::Node;
use crate::custom::{embedded, prune, values};

pub fn validate(errors: &mut FieldErrors, schema: &Value, path: &Path) {
    if let Some(default) = schema.get("default").filter(|d| !d.is_null()) {
        one(errors, schema, default, &path.child("default"));
    }
    if let Some(items) = schema.get("items").filter(|i| i.is_object()) {
        validate(errors, items, &path.child("items"));
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        validate(errors, property, &path.child("properties").key(name));
    }
}

fn one(errors: &mut FieldErrors, schema: &Value, default: &Value, path: &Path) {
    let node = Node::compile(schema);
    let mut pruned = default.clone();
    prune::prune(&mut pruned, &node, node.embedded, &mut Vec::new());
    if pruned != *default {
        errors.push(FieldError::invalid(path, default.clone(), "must not have unknown fields"));
    }
    if let Err(fault) = embedded::conform_embedded(&mut pruned, &node, path, &mut Vec::new()) {
        errors.push(fault);
        return;
    }
    let faults = embedded::validate(default, &node, path);
    if faults.is_empty() { errors.extend(values::validate(&node, default, None, path)) } else { errors.extend(faults) }
}
