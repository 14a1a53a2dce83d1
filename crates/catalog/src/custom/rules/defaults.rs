//! Defaults must be what the schema itself would accept and leave as it is.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/schema/defaulting/validation.go`.
//! Differs: defaults inside metadata of embedded resources are judged by their schema alone.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::custom::expressions::{self, Tree};
use crate::custom::node::Node;
use crate::custom::{embedded, prune, values};

/// `pruned`: whether defaults may not hold unknown fields.
pub fn validate(errors: &mut FieldErrors, schema: &Value, path: &Path, pruned: bool) {
    if let Some(default) = schema.get("default").filter(|d| !d.is_null()) {
        one(errors, schema, default, &path.child("default"), pruned);
    }
    if let Some(items) = schema.get("items").filter(|i| i.is_object()) {
        validate(errors, items, &path.child("items"), pruned);
    }
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        validate(errors, property, &path.child("properties").key(name), pruned);
    }
}

/// Whether no default of a schema holds unknown fields.
pub fn are_pruned(schema: &Value) -> bool {
    !super::kept::has(schema, &|of| of.get("default").is_some_and(|default| !default.is_null() && prune_of(of, default) != *default))
}

fn prune_of(schema: &Value, default: &Value) -> Value {
    let node = Node::compile(schema);
    let mut pruned = default.clone();
    prune::prune(&mut pruned, &node, node.embedded, &mut Vec::new());
    pruned
}

fn one(errors: &mut FieldErrors, schema: &Value, default: &Value, path: &Path, pruned: bool) {
    let node = Node::compile(schema);
    if pruned && prune_of(schema, default) != *default {
        errors.push(FieldError::invalid(path, default.clone(), "must not have unknown fields"));
    }
    if let Err(fault) = embedded::conform_embedded(&mut default.clone(), &node, path, &mut Vec::new()) {
        errors.push(fault);
        return;
    }
    let mut faults = embedded::validate(default, &node, path);
    if faults.is_empty() {
        faults = values::validate(&node, default, None, path);
    }
    if faults.is_empty() {
        faults = rules(schema, node.embedded, default, path);
    }
    errors.extend(faults);
}

/// What rules in CEL say of a default: where nothing changes, and where it is new.
fn rules(schema: &Value, is_resource: bool, default: &Value, path: &Path) -> FieldErrors {
    let Some(tree) = Tree::of_place(schema, is_resource) else { return FieldErrors::new() };
    // Nobody is told of what a default keeps as it was.
    let judged = |old| expressions::validate(&tree, default, old, path, &mut Vec::new());
    let same = judged(Some(default));
    if same.is_empty() { judged(None) } else { same }
}
