//! Defaults must be what the schema itself would accept and leave as it is.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/schema/defaulting/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use crate::custom::expressions::{self, Tree};
use crate::custom::node::Node;
use crate::custom::{embedded, prune, values};

/// `pruned`: whether defaults may not hold unknown fields.
pub fn validate(errors: &mut FieldErrors, schema: &Value, path: &Path, pruned: bool) {
    place(errors, schema, path, pruned, &Around { root: schema, steps: Vec::new(), in_metadata: false });
}

#[derive(Clone)]
enum Step<'a> {
    Key(&'a str),
    Item,
}

/// The resource that a place of the schema lies in, and the way there.
struct Around<'a> {
    root: &'a Value,
    steps: Vec<Step<'a>>,
    /// Of what every resource has.
    in_metadata: bool,
}

impl<'a> Around<'a> {
    fn below(&self, step: Step<'a>, in_metadata: bool) -> Self {
        Self { root: self.root, steps: self.steps.iter().cloned().chain([step]).collect(), in_metadata }
    }

    /// A resource that holds nothing but what is given, at its place.
    fn resource(&self, value: Value) -> Value {
        let mut object = self.steps.iter().rev().fold(value, |inner, step| match step {
            Step::Key(key) => json!({*key: inner}),
            Step::Item => json!([inner]),
        });
        for (key, usual) in [("apiVersion", "validation/v1"), ("kind", "Validation")] {
            if object.get(key).is_none() {
                object[key] = usual.into();
            }
        }
        object
    }
}

fn place<'a>(errors: &mut FieldErrors, schema: &'a Value, path: &Path, pruned: bool, around: &Around<'a>) {
    let is_resource = schema.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true));
    let own = Around { root: schema, steps: Vec::new(), in_metadata: false };
    let around = if is_resource { &own } else { around };
    if let Some(default) = schema.get("default").filter(|d| !d.is_null()) {
        let at = path.child("default");
        // The root is a resource, whether it says so or not.
        let is_resource = is_resource || around.steps.is_empty();
        if around.in_metadata { of_metadata(errors, schema, default, &at, around) } else { one(errors, schema, default, &at, pruned, is_resource) }
    }
    if let Some(items) = schema.get("items").filter(|i| i.is_object()) {
        place(errors, items, &path.child("items"), pruned, &around.below(Step::Item, around.in_metadata));
    }
    let is_root = std::ptr::eq(around.root, schema);
    for (name, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let in_metadata = around.in_metadata || (is_root && matches!(name.as_str(), "metadata" | "apiVersion" | "kind"));
        place(errors, property, &path.child("properties").key(name), pruned, &around.below(Step::Key(name), in_metadata));
    }
}

/// A default inside of what every resource has makes a resource that is good as such.
fn of_metadata(errors: &mut FieldErrors, schema: &Value, default: &Value, path: &Path, around: &Around<'_>) {
    let mut object = around.resource(default.clone());
    let root = Node { embedded: true, ..Node::compile(around.root) };
    let why = match embedded::conform_embedded(&mut object, &root, &Path::default(), &mut Vec::new()) {
        Err(fault) => Some(fault.to_string()),
        Ok(()) => Some(embedded::validate(&object, &root, &Path::default())).filter(|faults| !faults.is_empty()).map(|faults| api::field::aggregate(&faults)),
    };
    match why {
        Some(why) => errors.push(FieldError::invalid(path, default.clone(), format!("must result in valid metadata: {why}"))),
        None => errors.extend(of_schema(schema, default, path)),
    }
}

/// Whether no default of a schema holds unknown fields.
pub fn are_pruned(schema: &Value) -> bool {
    !super::kept::has(schema, &|of| of.get("default").is_some_and(|default| !default.is_null() && prune_of(of, default, of.get("x-kubernetes-embedded-resource") == Some(&Value::Bool(true))) != *default))
}

fn prune_of(schema: &Value, default: &Value, is_resource: bool) -> Value {
    let mut pruned = default.clone();
    prune::prune(&mut pruned, &Node::compile(schema), is_resource, &mut Vec::new());
    pruned
}

fn one(errors: &mut FieldErrors, schema: &Value, default: &Value, path: &Path, pruned: bool, is_resource: bool) {
    let node = Node { embedded: is_resource, ..Node::compile(schema) };
    if pruned && prune_of(schema, default, is_resource) != *default {
        errors.push(FieldError::invalid(path, default.clone(), "must not have unknown fields"));
    }
    if let Err(fault) = embedded::conform_embedded(&mut default.clone(), &node, path, &mut Vec::new()) {
        errors.push(fault);
        return;
    }
    let faults = embedded::validate(default, &node, path);
    errors.extend(if faults.is_empty() { of_schema(schema, default, path) } else { faults });
}

fn of_schema(schema: &Value, default: &Value, path: &Path) -> FieldErrors {
    let node = Node::compile(schema);
    let faults = values::validate(&node, default, None, path);
    if faults.is_empty() { rules(schema, node.embedded, default, path) } else { faults }
}

/// What rules in CEL say of a default: where nothing changes, and where it is new.
fn rules(schema: &Value, is_resource: bool, default: &Value, path: &Path) -> FieldErrors {
    let Some(tree) = Tree::of_place(schema, is_resource) else { return FieldErrors::new() };
    // Nobody is told of what a default keeps as it was.
    let judged = |old| expressions::validate(&tree, default, old, path, &mut Vec::new());
    let same = judged(Some(default));
    if same.is_empty() { judged(None) } else { same }
}
