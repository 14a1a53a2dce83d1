//! What controllers of pods have in common: a selector that must match the template, and bounds on counts.
//!
//! Upstream: `pkg/apis/apps/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::selector::LabelSelector;
use serde_json::Value;

use crate::core::pod::validate::{marks, template};
use crate::{check, walk};

/// Selector, template and counts; `kind` as messages name it.
pub fn spec(errors: &mut FieldErrors, object: &Value, old: Option<&Value>, kind: &str) -> Path {
    let path = Path::new("spec");
    let (new, selector) = (walk::at(object, "spec"), walk::at(object, "spec.selector"));
    for key in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        check::non_negative(errors, new, key, &path);
    }
    if !selector.is_object() {
        errors.push(FieldError::required(&path.child("selector"), ""));
    } else {
        check::label_selector(errors, selector, &path.child("selector"));
        if check::is_empty_selector(selector) {
            errors.push(FieldError::invalid(&path.child("selector"), selector.clone(), format!("empty selector is invalid for {kind}")));
        }
    }
    matching(errors, selector, walk::at(new, "template"), &path);
    // Upstream: the template of a stateful set is judged as the pods are made, which know the claims of their set.
    if kind == "statefulset" {
        marks(errors, walk::at(new, "template"), &path.child("template"));
    // A template that an older server let in may stay.
    } else if old.is_none_or(|old| walk::at(old, "spec.template") != walk::at(new, "template")) {
        template(errors, walk::at(new, "template"), &path.child("template"));
    }
    always(errors, walk::at(new, "template"), &path.child("template"), kind);
    if let Some(old) = old {
        check::immutable(errors, &path.child("selector"), selector, walk::at(old, "spec.selector"));
    }
    path
}

fn matching(errors: &mut FieldErrors, selector: &Value, template: &Value, path: &Path) {
    let labels = walk::at(template, "metadata.labels");
    if let Ok(selector) = LabelSelector::from_value(selector)
        && !selector.is_everything()
        && !selector.matches(|key| labels.get(key).and_then(Value::as_str))
    {
        let shown = if labels.is_null() { serde_json::json!({}) } else { labels.clone() };
        errors.push(FieldError::invalid(&path.child("template").child("metadata").child("labels"), shown, "`selector` does not match template `labels`"));
    }
}

/// Pods of a controller that keeps a count run for good.
pub fn always(errors: &mut FieldErrors, template: &Value, path: &Path, kind: &str) {
    let policy = walk::text(template, "spec.restartPolicy");
    if policy != "Always" {
        errors.push(FieldError::not_supported(&path.child("spec").child("restartPolicy"), policy, &["Always"]));
    }
    if !walk::at(template, "spec.activeDeadlineSeconds").is_null() {
        let name = if kind == "deployment" || kind == "replicaset" { "ReplicaSet" } else { kind };
        errors.push(FieldError::forbidden(&path.child("spec").child("activeDeadlineSeconds"), format!("activeDeadlineSeconds in {name} is not Supported")));
    }
}

/// Counts in a status are never negative.
pub fn counts(object: &Value, keys: &[&str]) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for key in keys {
        check::non_negative(&mut errors, walk::at(object, "status"), key, &Path::new("status"));
    }
    errors
}

pub fn replica_status(object: &Value, _: &Value) -> FieldErrors {
    let mut errors = counts(object, &["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"]);
    let (status, path) = (walk::at(object, "status"), Path::new("status"));
    for (less, more) in [("fullyLabeledReplicas", "replicas"), ("readyReplicas", "replicas"), ("availableReplicas", "replicas"), ("availableReplicas", "readyReplicas")] {
        if walk::int(status, less) > walk::int(status, more) {
            errors.push(FieldError::invalid(&path.child(less), walk::int(status, less), format!("cannot be greater than {}", if more == "replicas" { "status.replicas" } else { "readyReplicas" })));
        }
    }
    errors
}

/// How many may be missing or more while rolling.
pub fn rolling(errors: &mut FieldErrors, update: &Value, path: &Path) {
    for key in ["maxUnavailable", "maxSurge"] {
        let value = walk::at(update, key);
        check::count_or_percent(errors, &path.child(key), value);
        check::not_over_100_percent(errors, &path.child(key), if key == "maxUnavailable" { value } else { &Value::Null });
    }
}
