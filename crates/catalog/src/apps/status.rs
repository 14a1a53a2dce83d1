//! Validation of what controllers of pods tell: counts that cannot be negative, and none above what it is a part of.
//!
//! Upstream: `pkg/apis/apps/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::{check, walk};

const REPLICAS: &str = "cannot be greater than status.replicas";

/// Counts in a status are never negative.
fn counts(errors: &mut FieldErrors, status: &Value, keys: &[&str]) {
    for key in keys {
        check::non_negative(errors, status, key, &Path::new("status"));
    }
}

fn bounds(errors: &mut FieldErrors, status: &Value, bounds: &[(&str, &str, &str)]) {
    for (less, more, fault) in bounds {
        if walk::int(status, less) > walk::int(status, more) {
            errors.push(FieldError::invalid(&Path::new("status").child(less), walk::int(status, less), *fault));
        }
    }
}

/// How often names collided only grows.
fn collisions(errors: &mut FieldErrors, status: &Value, old: &Value) {
    let (now, before) = (walk::at(status, "collisionCount").as_i64(), walk::at(old, "status.collisionCount").as_i64());
    if before.is_some_and(|before| now.is_none_or(|now| now < before)) {
        errors.push(FieldError::invalid(&Path::new("status.collisionCount"), now.unwrap_or_default(), "cannot be decremented"));
    }
}

pub fn deployment(object: &Value, old: &Value) -> FieldErrors {
    let (mut errors, status) = (FieldErrors::new(), walk::at(object, "status"));
    let keys = ["observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas", "terminatingReplicas", "collisionCount"];
    counts(&mut errors, status, &keys);
    bounds(&mut errors, status, &[
        ("updatedReplicas", "replicas", REPLICAS),
        ("readyReplicas", "replicas", REPLICAS),
        ("availableReplicas", "replicas", REPLICAS),
        ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
    ]);
    collisions(&mut errors, status, old);
    errors
}

/// Of a set of replicas, and of the controllers that came before it.
pub fn replicas(object: &Value, _: &Value) -> FieldErrors {
    let (mut errors, status) = (FieldErrors::new(), walk::at(object, "status"));
    counts(&mut errors, status, &["replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "terminatingReplicas", "observedGeneration"]);
    bounds(&mut errors, status, &[
        ("fullyLabeledReplicas", "replicas", REPLICAS),
        ("readyReplicas", "replicas", REPLICAS),
        ("availableReplicas", "replicas", REPLICAS),
        ("availableReplicas", "readyReplicas", "cannot be greater than readyReplicas"),
    ]);
    errors
}

pub fn stateful_set(object: &Value, old: &Value) -> FieldErrors {
    let (mut errors, status) = (FieldErrors::new(), walk::at(object, "status"));
    counts(&mut errors, status, &["replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas", "observedGeneration", "collisionCount"]);
    bounds(&mut errors, status, &[
        ("readyReplicas", "replicas", REPLICAS),
        ("currentReplicas", "replicas", REPLICAS),
        ("updatedReplicas", "replicas", REPLICAS),
        ("availableReplicas", "replicas", REPLICAS),
        ("availableReplicas", "readyReplicas", "cannot be greater than status.readyReplicas"),
    ]);
    collisions(&mut errors, status, old);
    errors
}

pub fn daemon_set(object: &Value, old: &Value) -> FieldErrors {
    let (mut errors, status) = (FieldErrors::new(), walk::at(object, "status"));
    counts(&mut errors, status, &[
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ]);
    collisions(&mut errors, status, old);
    errors
}
