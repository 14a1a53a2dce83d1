//! Validation of horizontal pod autoscalers, in the form of v2.
//!
//! Upstream: `pkg/apis/autoscaling/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::core::pod::resources::container_resource_name;
use crate::{check, walk};

const LONGEST_PERIOD: i64 = 1800;
const LONGEST_WINDOW: i64 = 3600;
const KINDS: [&str; 5] = ["ContainerResource", "External", "Object", "Pods", "Resource"];
const POPULATE: &str = "must populate information for the given metric source";

pub fn validate(object: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    let (least, most) = (walk::at(spec, "minReplicas").as_i64(), walk::int(spec, "maxReplicas"));
    // Upstream: none at all is allowed by HPAScaleToZero, on since 1.37.
    if let Some(least) = least.filter(|n| *n < 0) {
        errors.push(FieldError::invalid(&path.child("minReplicas"), least, check::NEGATIVE));
    }
    if most < 1 {
        errors.push(FieldError::invalid(&path.child("maxReplicas"), most, "must be greater than 0"));
    }
    if least.is_some_and(|least| most < least) {
        errors.push(FieldError::invalid(&path.child("maxReplicas"), most, "must be greater than or equal to `minReplicas`"));
    }
    reference(&mut errors, walk::at(spec, "scaleTargetRef"), &path.child("scaleTargetRef"));
    let metrics = walk::list(spec, "metrics");
    for (i, metric) in metrics.iter().enumerate() {
        self::metric(&mut errors, metric, &path.child("metrics").index(i));
    }
    if least == Some(0) && !metrics.iter().any(|m| matches!(walk::text(m, "type"), "Object" | "External")) {
        errors.push(FieldError::forbidden(&path.child("metrics"), "must specify at least one Object or External metric to support scaling to zero replicas"));
    }
    for key in ["scaleUp", "scaleDown"] {
        let rules = walk::at(walk::at(spec, "behavior"), key);
        if rules.is_object() {
            scaling(&mut errors, rules, &path.child("behavior").child(key));
        }
    }
    errors
}

pub fn validate_status(object: &Value, _: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for key in ["currentReplicas", "desiredReplicas"] {
        check::non_negative(&mut errors, walk::at(object, "status"), key, &Path::new("status"));
    }
    errors
}

fn reference(errors: &mut FieldErrors, reference: &Value, path: &Path) {
    for key in ["kind", "name"] {
        check::required_name(errors, &path.child(key), walk::text(reference, key), names::path_segment);
    }
}

fn scaling(errors: &mut FieldErrors, rules: &Value, path: &Path) {
    if let Some(window) = walk::at(rules, "stabilizationWindowSeconds").as_i64() {
        let path = path.child("stabilizationWindowSeconds");
        if window < 0 {
            errors.push(FieldError::invalid(&path, window, "must be greater than or equal to zero"));
        }
        if window > LONGEST_WINDOW {
            errors.push(FieldError::invalid(&path, window, format!("must be less than or equal to {LONGEST_WINDOW}")));
        }
    }
    check::maybe_one_of(errors, &path.child("selectPolicy"), walk::text(rules, "selectPolicy"), &["Disabled", "Max", "Min"]);
    let (policies, list) = (walk::list(rules, "policies"), path.child("policies"));
    if policies.is_empty() {
        errors.push(FieldError::required(&list, "must specify at least one Policy"));
    }
    for (i, policy) in policies.iter().enumerate() {
        let (path, kind) = (list.index(i), walk::text(policy, "type"));
        if !matches!(kind, "Pods" | "Percent") {
            errors.push(FieldError::not_supported(&path.child("type"), kind, &["Percent", "Pods"]));
        }
        for key in ["value", "periodSeconds"] {
            let number = walk::int(policy, key);
            if number <= 0 {
                errors.push(FieldError::invalid(&path.child(key), number, "must be greater than zero"));
            }
            if key == "periodSeconds" && number > LONGEST_PERIOD {
                errors.push(FieldError::invalid(&path.child(key), number, format!("must be less than or equal to {LONGEST_PERIOD}")));
            }
        }
    }
    let tolerance = walk::at(rules, "tolerance");
    if check::amount(tolerance).is_some_and(|q| q.sign() < 0) {
        errors.push(FieldError::invalid(&path.child("tolerance"), tolerance.clone(), "must be greater or equal to zero"));
    }
}

fn metric(errors: &mut FieldErrors, metric: &Value, path: &Path) {
    let kind = walk::text(metric, "type");
    if kind.is_empty() {
        errors.push(FieldError::required(&path.child("type"), "must specify a metric source type"));
    }
    let own = match kind {
        "Object" => "object",
        "Pods" => "pods",
        "Resource" => "resource",
        "External" => "external",
        "ContainerResource" => "containerResource",
        // Upstream says it twice.
        _ => {
            errors.push(FieldError::not_supported(&path.child("type"), kind, &KINDS));
            ""
        }
    };
    let given: Vec<&str> = ["object", "external", "pods", "resource", "containerResource"].into_iter().filter(|key| walk::at(metric, key).is_object()).collect();
    if let Some(first) = given.first() {
        source(errors, first, walk::at(metric, first), &path.child(first));
    }
    if own.is_empty() {
        errors.push(FieldError::not_supported(&path.child("type"), kind, &KINDS));
    } else if !given.contains(&own) {
        errors.push(FieldError::required(&path.child(own), POPULATE));
    }
    if given.len() != 1 {
        for key in given.iter().filter(|key| **key != own) {
            errors.push(FieldError::forbidden(&path.child(key), "must populate the given metric source only"));
        }
    }
}

fn source(errors: &mut FieldErrors, kind: &str, source: &Value, path: &Path) {
    if kind == "object" {
        reference(errors, walk::at(source, "describedObject"), &path.child("describedObject"));
    }
    if kind == "resource" || kind == "containerResource" {
        match walk::text(source, "name") {
            "" => errors.push(FieldError::required(&path.child("name"), "must specify a resource name")),
            name => container_resource_name(errors, name, &path.child("name")),
        }
    } else {
        let (name, path) = (walk::text(source, "metric.name"), path.child("metric").child("name"));
        match name {
            "" => errors.push(FieldError::required(&path, "must specify a metric name")),
            name => check::syntax(errors, &path, name, names::path_segment(name)),
        }
    }
    if kind == "containerResource" {
        match walk::text(source, "container") {
            "" => errors.push(FieldError::required(&path.child("container"), "must specify a container")),
            name => check::syntax(errors, &path.child("container"), name, names::dns1123_label(name)),
        }
    }
    let (target, path) = (walk::at(source, "target"), path.child("target"));
    self::target(errors, target, &path);
    let has = |key: &str| !walk::at(target, key).is_null();
    match kind {
        "object" if !has("value") && !has("averageValue") => errors.push(FieldError::required(&path.child("averageValue"), "must set either a target value or averageValue")),
        "external" if !has("value") && !has("averageValue") => errors.push(FieldError::required(&path.child("averageValue"), "must set either a target value for metric or a per-pod target")),
        "external" if has("value") && has("averageValue") => errors.push(FieldError::forbidden(&path.child("value"), "may not set both a target value for metric and a per-pod target")),
        "pods" if !has("averageValue") => errors.push(FieldError::required(&path.child("averageValue"), "must specify a positive target averageValue")),
        "resource" | "containerResource" => match (has("averageUtilization"), has("averageValue")) {
            (false, false) => errors.push(FieldError::required(&path.child("averageUtilization"), "must set either a target raw value or a target utilization")),
            (true, true) => errors.push(FieldError::forbidden(&path.child("averageValue"), "may not set both a target raw value and a target utilization")),
            _ => {}
        },
        _ => {}
    }
}

fn target(errors: &mut FieldErrors, target: &Value, path: &Path) {
    let kind = walk::text(target, "type");
    check::required(errors, target, "type", path, "must specify a metric target type");
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        errors.push(FieldError::invalid(&path.child("type"), kind, "must be either Utilization, Value, or AverageValue"));
    }
    for key in ["value", "averageValue"] {
        let amount = walk::at(target, key);
        if check::amount(amount).is_some_and(|q| q.sign() <= 0) {
            errors.push(FieldError::invalid(&path.child(key), amount.clone(), "must be positive"));
        }
    }
    if let Some(percent) = walk::at(target, "averageUtilization").as_i64().filter(|p| *p < 1) {
        errors.push(FieldError::invalid(&path.child("averageUtilization"), percent, "must be greater than 0"));
    }
}
