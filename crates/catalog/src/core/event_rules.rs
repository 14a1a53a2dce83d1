//! Validation of events, in the core group's form. The newer group judges more strictly.
//!
//! Upstream: `pkg/apis/core/validation/events.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::{check, walk};

const LONGEST: usize = 128;
const LONGEST_NOTE: usize = 1024;

fn is_unset(object: &Value, key: &str) -> bool {
    matches!(walk::at(object, key), Value::Null) || walk::at(object, key) == "" || walk::at(object, key) == 0
}

/// What the core group asks.
pub fn validate(object: &Value, _: Option<&Value>) -> FieldErrors {
    legacy(object, "reportingComponent")
}

/// What both groups ask; each names the reporter in its own way.
fn legacy(object: &Value, reporter: &str) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (namespace, involved) = (api::meta::namespace(object), walk::text(object, "involvedObject.namespace"));
    let mismatch = || FieldError::invalid(&Path::new("involvedObject.namespace"), involved, "does not match event.namespace");
    if is_unset(object, "eventTime") {
        let matches = if involved.is_empty() { matches!(namespace, "" | "default") } else { namespace == involved };
        if !matches {
            errors.push(mismatch());
        }
        return errors;
    }
    if involved.is_empty() && !matches!(namespace, "default" | "kube-system") {
        errors.push(mismatch());
    }
    let controller = walk::text(object, "reportingComponent");
    if controller.is_empty() {
        errors.push(FieldError::required(&Path::new(reporter), ""));
    }
    check::syntax(&mut errors, &Path::new(reporter), controller, names::qualified_name(controller));
    for (key, limit) in [("reportingInstance", LONGEST), ("action", LONGEST), ("reason", LONGEST)] {
        let text = walk::text(object, key);
        if text.is_empty() {
            errors.push(FieldError::required(&Path::new(key), ""));
        }
        if text.len() > limit {
            errors.push(FieldError::invalid(&Path::new(key), "", format!("can have at most {limit} characters")));
        }
    }
    if walk::text(object, "message").len() > LONGEST_NOTE {
        errors.push(FieldError::invalid(&Path::new("message"), "", format!("can have at most {LONGEST_NOTE} characters")));
    }
    errors
}

/// What `events.k8s.io` asks besides; objects in the core group's form.
pub fn validate_strictly(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = legacy(object, "reportingController");
    let Some(old) = old else {
        series(&mut errors, object);
        if is_unset(object, "eventTime") {
            errors.push(FieldError::required(&Path::new("eventTime"), ""));
        }
        let kind = walk::text(object, "type");
        if !matches!(kind, "Normal" | "Warning") {
            errors.push(FieldError::invalid(&Path::new("type"), "", format!("has invalid value: {kind}")));
        }
        for key in ["firstTimestamp", "lastTimestamp", "count"] {
            if !is_unset(object, key) {
                errors.push(FieldError::invalid(&Path::new(key), "", "needs to be unset"));
            }
        }
        if !walk::text(object, "source.component").is_empty() || !walk::text(object, "source.host").is_empty() {
            errors.push(FieldError::invalid(&Path::new("source"), "", "needs to be unset"));
        }
        return errors;
    };
    if walk::at(object, "series") != walk::at(old, "series") {
        series(&mut errors, object);
    }
    // Differs: upstream's servers compare the message too, but its suite of 1.20, which counts here, patches the note.
    let fixed = [
        ("involvedObject", "involvedObject"),
        ("reason", "reason"),
        ("source", "source"),
        ("firstTimestamp", "firstTimestamp"),
        ("lastTimestamp", "lastTimestamp"),
        ("count", "count"),
        // Upstream: told twice.
        ("reason", "reason"),
        ("type", "type"),
        ("eventTime", "eventTime"),
        ("action", "action"),
        ("related", "related"),
        ("reportingComponent", "reportingController"),
        ("reportingInstance", "reportingInstance"),
    ];
    for (key, shown) in fixed {
        check::immutable(&mut errors, &Path::new(shown), walk::at(object, key), walk::at(old, key));
    }
    errors
}

fn series(errors: &mut FieldErrors, object: &Value) {
    let series = walk::at(object, "series");
    if !series.is_object() {
        return;
    }
    if walk::int(series, "count") < 2 {
        errors.push(FieldError::invalid(&Path::new("series.count"), "", "should be at least 2"));
    }
    if is_unset(series, "lastObservedTime") {
        errors.push(FieldError::required(&Path::new("series.lastObservedTime"), ""));
    }
}
