//! Deployments.

use api::field::{FieldError, FieldErrors};
use serde_json::{Value, json};

use super::workload;
use crate::check;
use crate::columns::{age, columns, containers, name, selector};
use crate::core::pod::{defaults::template, disabled};
use crate::resource::Resource;
use crate::walk::{self, fill, fill_text, made};

pub fn resource() -> Resource {
    Resource::new("apps", "v1", "Deployment", "deployments", true)
        .short(&["deploy"])
        .in_all()
        .scale()
        .status()
        .rules(|rules| {
            rules.default = default;
            rules.validate = validate;
            rules.warn = super::warnings::replicated;
            rules.validate_status = |object, _| workload::counts(object, &["observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas"]);
            rules.prepare = |object, old| {
                walk::own_status(object, old, json!({}));
                disabled::drop(object, old, "spec.template.spec");
            };
        })
        .columns(columns(&["Name", "Ready", "Up-to-date", "Available", "Age", "+Containers", "+Images", "+Selector"]), |object, now| {
            let [names, images] = containers(walk::at(object, "spec.template.spec"));
            vec![
                name(object),
                format!("{}/{}", walk::int(object, "status.readyReplicas"), walk::int(object, "spec.replicas")).into(),
                walk::int(object, "status.updatedReplicas").into(),
                walk::int(object, "status.availableReplicas").into(),
                age(object, now),
                names,
                images,
                selector(walk::at(object, "spec.selector")),
            ]
        })
}

/// Upstream: `pkg/apis/apps/v1/defaults.go`.
fn default(object: &mut Value) {
    template(object, "spec.template");
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    fill(spec, "replicas", 1);
    if let Some(strategy) = made(spec, "strategy") {
        fill_text(strategy, "type", "RollingUpdate");
        if strategy["type"] == "RollingUpdate"
            && let Some(rolling) = made(strategy, "rollingUpdate")
        {
            fill(rolling, "maxUnavailable", "25%");
            fill(rolling, "maxSurge", "25%");
        }
    }
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
}

fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = workload::spec(&mut errors, object, old, "deployment");
    let (strategy, strategy_path) = (walk::at(object, "spec.strategy"), path.child("strategy"));
    let rolling = walk::at(strategy, "rollingUpdate");
    match walk::text(strategy, "type") {
        "Recreate" if rolling.is_object() => errors.push(FieldError::forbidden(&strategy_path.child("rollingUpdate"), "may not be specified when strategy `type` is 'Recreate'")),
        "Recreate" => {}
        "RollingUpdate" => {
            let path = strategy_path.child("rollingUpdate");
            workload::rolling(&mut errors, rolling, &path);
            if check::is_zero(walk::at(rolling, "maxUnavailable")) && check::is_zero(walk::at(rolling, "maxSurge")) {
                errors.push(FieldError::invalid(&path.child("maxUnavailable"), walk::at(rolling, "maxUnavailable").clone(), "may not be 0 when `maxSurge` is 0"));
            }
        }
        other => errors.push(FieldError::not_supported(&strategy_path.child("type"), other, &["Recreate", "RollingUpdate"])),
    }
    let (deadline, least) = (walk::at(object, "spec.progressDeadlineSeconds"), walk::int(object, "spec.minReadySeconds"));
    check::non_negative(&mut errors, walk::at(object, "spec"), "progressDeadlineSeconds", &path);
    if deadline.as_i64().is_some_and(|d| d <= least) {
        errors.push(FieldError::invalid(&path.child("progressDeadlineSeconds"), deadline.clone(), "must be greater than minReadySeconds"));
    }
    errors
}
