//! What of a job may change once it is made.
//!
//! Upstream: `ValidateJobSpecUpdate` in `pkg/apis/batch/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::job_rules::is_indexed;
use super::job_status;
use crate::check;
use crate::walk;

/// What a job of which nothing runs may still be told of where its pods go.
const SCHEDULING: [&str; 3] = ["nodeSelector", "tolerations", "schedulingGates"];

pub fn check(errors: &mut FieldErrors, object: &Value, old: &Value, path: &Path) {
    let (new, was) = (walk::at(object, "spec"), walk::at(old, "spec"));
    completions(errors, new, was, &path.child("completions"));
    check::immutable(errors, &path.child("selector"), walk::at(new, "selector"), walk::at(was, "selector"));
    template(errors, walk::at(new, "template"), walk::at(was, "template"), is_at_rest(old), &path.child("template"));
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

/// A job that is held back and of which no pod runs: it never started, or its controller says that it rests. Upstream:
/// `validationOptionsForJob` in `pkg/registry/batch/job/strategy.go`, with MutableSchedulingDirectivesForSuspendedJobs and
/// MutablePodResourcesForSuspendedJobs, both on since 1.36.
fn is_at_rest(job: &Value) -> bool {
    let status = walk::at(job, "status");
    let rests = || job_status::is(status, "Suspended") && walk::int(status, "active") == 0;
    walk::flag(job, "spec.suspend") && (walk::text(status, "startTime").is_empty() || rests())
}

/// Upstream: `validatePodTemplateUpdate` and `validatePodResourceUpdatesOnly`.
fn template(errors: &mut FieldErrors, new: &Value, old: &Value, at_rest: bool, path: &Path) {
    if !at_rest {
        return check::immutable(errors, path, new, old);
    }
    let mut allowed = walk::at(old, "spec").clone();
    if let Some(spec) = allowed.as_object_mut() {
        for key in SCHEDULING {
            take(spec, walk::at(new, "spec"), key);
        }
        node_affinity(spec, walk::at(new, "spec.affinity"));
    }
    for list in ["containers", "initContainers"] {
        amounts(&mut allowed, walk::at(new, "spec"), list);
    }
    check::immutable(errors, &path.child("spec"), walk::at(new, "spec"), &allowed);
}

/// Containers that kept their number, place and name may get other amounts.
fn amounts(allowed: &mut Value, new: &Value, list: &str) {
    let now = walk::list(new, list);
    let before = walk::list_mut(allowed, list);
    if now.len() != before.len() {
        return;
    }
    for (before, now) in before.iter_mut().zip(now).filter(|(before, now)| walk::text(before, "name") == walk::text(now, "name")) {
        walk::keep(before, Some(now), "resources");
    }
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
