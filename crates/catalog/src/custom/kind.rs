//! The rules of one custom kind at one version, made from its definition at run time.
//!
//! Upstream: apiextensions-apiserver `pkg/registry/customresource/{strategy,status_strategy,validator}.go`.

use std::sync::Arc;

use api::field::{FieldError, FieldErrors, Path};
use jiff::Timestamp;
use serde_json::Value;

use super::columns::Columns;
use super::node::Node;
use super::scale::Scale;
use super::{embedded, expressions, lists, prune, values};
use crate::walk;

/// How objects get from one version to another.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// Only the version's name changes.
    None,
    /// A webhook is asked: `spec.conversion.webhook` of the definition.
    Webhook(Arc<Value>),
}

#[derive(Debug)]
pub struct Custom {
    /// The definition's name.
    pub definition: String,
    pub node: Node,
    /// The schema as it is published; none where the version has none.
    pub schema: Option<Arc<Value>>,
    /// What server-side apply needs to know of the kind.
    pub of: schema::Type,
    pub columns: Columns,
    pub has_status: bool,
    pub scale: Option<Scale>,
    /// `spec.preserveUnknownFields`: nothing is pruned anywhere.
    pub preserves: bool,
    /// Told to everybody who uses the version.
    pub warnings: Vec<String>,
    pub strategy: Strategy,
    /// The definition is being deleted: nothing new comes.
    pub terminating: bool,
    /// Fields a selector may name at this version.
    pub selectable: Vec<String>,
    /// Rules in CEL.
    pub rules: Option<expressions::Tree>,
}

impl Custom {
    /// Makes an object that came from outside fit: metadata typed, unknown fields gone. The paths of what went.
    pub fn conform(&self, object: &mut Value) -> Result<Vec<String>, String> {
        let mut unknown = Vec::new();
        embedded::conform_metadata(object, "", &mut unknown)?;
        if !self.preserves {
            prune::prune(object, &self.node, true, &mut unknown);
            prune::drop_nulls(object, Some(&self.node));
        }
        embedded::conform_embedded(object, &self.node, &Path::default(), &mut unknown).map_err(|error| error.to_string())?;
        Ok(unknown)
    }

    pub fn default(&self, object: &mut Value) {
        if !self.preserves {
            prune::default(object, &self.node);
        }
    }

    /// A new object has no status yet where status is a part of its own.
    pub fn prepare(&self, object: &mut Value, old: Option<&Value>) {
        if old.is_none()
            && self.has_status
            && let Some(map) = object.as_object_mut()
        {
            map.remove("status");
        }
    }

    /// All faults; those of rules about what was so before are told only.
    pub fn validate(&self, object: &Value, old: Option<&Value>, told: &mut Vec<String>) -> FieldErrors {
        let mut errors = values::validate(&self.node, object, old, &Path::default());
        if let Some(scale) = &self.scale {
            errors.extend(scale.validate(object, true));
        }
        errors.extend(embedded::validate(object, &self.node, &Path::default()));
        errors.extend(self.list_faults(object, old));
        self.ask_rules(&mut errors, object, old, told);
        errors
    }

    pub fn validate_status(&self, object: &Value, old: &Value, told: &mut Vec<String>) -> FieldErrors {
        let mut errors = FieldErrors::new();
        if let (Some(node), Some(status)) = (self.node.properties.get("status"), object.get("status")) {
            errors.extend(values::validate(node, status, old.get("status"), &Path::new("status")));
        }
        if let Some(scale) = &self.scale {
            errors.extend(scale.validate(object, false));
        }
        errors.extend(self.list_faults(object, Some(old)));
        self.ask_rules(&mut errors, object, Some(old), told);
        errors
    }

    /// Lists that were wrong before may stay wrong.
    fn list_faults(&self, object: &Value, old: Option<&Value>) -> FieldErrors {
        if old.is_some_and(|old| !lists::validate(old, &self.node).is_empty()) { FieldErrors::new() } else { lists::validate(object, &self.node) }
    }

    /// Rules in CEL are asked, but not about an object that does not fit its types.
    fn ask_rules(&self, errors: &mut FieldErrors, object: &Value, old: Option<&Value>, told: &mut Vec<String>) {
        use api::field::ErrorType::{NotSupported, Required, TooLong, TooMany, TypeInvalid};
        let Some(rules) = &self.rules else { return };
        if errors.iter().any(|e| matches!(e.kind, NotSupported | Required | TooLong | TooMany | TypeInvalid)) {
            let why = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
            errors.push(FieldError::invalid(&Path::default(), Value::Null, why));
        } else {
            errors.extend(expressions::validate(rules, object, old, &Path::default(), told));
        }
    }

    pub fn cells(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        self.columns.cells(object, now)
    }

    /// The value of a selectable field as a selector sees it.
    pub fn field(object: &Value, path: &str) -> String {
        match walk::at(object, path) {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}
