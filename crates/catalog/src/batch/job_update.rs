//! What of a job may change once it is made.
//!
//! Upstream: `ValidateJobSpecUpdate` in `pkg/apis/batch/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::job_rules::is_indexed;
use crate::check;
use crate::walk;

/// What a job that waits may still be told of where its pods go.
const SCHEDULING: [&str; 3] = ["nodeSelector", "tolerations", "schedulingGates"];

pub fn check(errors: &mut FieldErrors, object: &Value, old: &Value, path: &Path) {
    let (new, was) = (walk::at(object, "spec"), walk::at(old, "spec"));
    completions(errors, new, was, &path.child("completions"));
    check::immutable(errors, &path.child("selector"), walk::at(new, "selector"), walk::at(was, "selector"));
    let waits = walk::flag(old, "spec.suspend") && walk::text(old, "status.startTime").is_empty();
    template(errors, walk::at(new, "template"), walk::at(was, "template"), waits, &path.child("template"));
    for key in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        check::immutable(errors, &path.child(key), walk::at(new, key), walk::at(was, key));
    }
}

/// An indexed job grows and shrinks together with how many of its pods run at a time.
fn completions(errors: &mut FieldErrors, new: &Value, old: &Value, path: &Path) {
    let (wanted, before) = (walk::at(new, "completions"), walk::at(old, "completions"));
    if !is_indexed(new) {
        check::immutable(errors, path, wanted, before);
    } else if wanted != before && !wanted.is_null() && wanted != walk::at(new, "parallelism") {
        errors.push(FieldError::invalid(path, wanted.clone(), "can only be modified in tandem with spec.parallelism"));
    }
}

fn template(errors: &mut FieldErrors, new: &Value, old: &Value, waits: bool, path: &Path) {
    let mut allowed = old.clone();
    if waits {
        if let Some(spec) = walk::object_mut(&mut allowed, "spec") {
            for key in SCHEDULING {
                take(spec, walk::at(new, "spec"), key);
            }
            node_affinity(spec, walk::at(new, "spec.affinity"));
        }
        if let Some(metadata) = walk::object_mut(&mut allowed, "metadata") {
            for key in ["annotations", "labels"] {
                take(metadata, walk::at(new, "metadata"), key);
            }
        }
    }
    check::immutable(errors, path, new, &allowed);
}

fn take(into: &mut serde_json::Map<String, Value>, from: &Value, key: &str) {
    match from.get(key) {
        Some(value) => into.insert(key.into(), value.clone()),
        None => into.remove(key),
    };
}

/// Of affinities only those to nodes may change.
fn node_affinity(spec: &mut serde_json::Map<String, Value>, new: &Value) {
    let had = spec.get("affinity").is_some_and(Value::is_object);
    if !had && !new.is_object() {
        return;
    }
    let affinity = spec.entry("affinity").or_insert_with(|| serde_json::json!({}));
    if let Some(affinity) = affinity.as_object_mut() {
        take(affinity, new, "nodeAffinity");
        if affinity.is_empty() && !new.is_object() {
            spec.remove("affinity");
        }
    }
}
