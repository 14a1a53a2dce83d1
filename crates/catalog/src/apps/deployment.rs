//! Deployments.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use super::{status, workload};
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
            rules.validate_status = status::deployment;
            // Upstream: `PrepareForUpdate` in `pkg/registry/apps/deployment/strategy.go`.
            rules.annotations_count = true;
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

/// Upstream: `ValidateDeploymentSpec`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    check::non_negative(&mut errors, spec, "replicas", &path);
    workload::replicated(&mut errors, spec, old.map(|old| walk::at(old, "spec")), &path);
    strategy(&mut errors, walk::at(spec, "strategy"), &path.child("strategy"));
    for key in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        check::non_negative(&mut errors, spec, key, &path);
    }
    let deadline = walk::at(spec, "progressDeadlineSeconds");
    if deadline.as_i64().is_some_and(|deadline| deadline <= walk::int(spec, "minReadySeconds")) {
        errors.push(FieldError::invalid(&path.child("progressDeadlineSeconds"), deadline.clone(), "must be greater than minReadySeconds"));
    }
    if let Some(old) = old {
        check::immutable(&mut errors, &path.child("selector"), walk::at(spec, "selector"), walk::at(old, "spec.selector"));
    }
    errors
}

fn strategy(errors: &mut FieldErrors, strategy: &Value, path: &Path) {
    let (rolling, rolling_path) = (walk::at(strategy, "rollingUpdate"), path.child("rollingUpdate"));
    match walk::text(strategy, "type") {
        "Recreate" if rolling.is_object() => errors.push(FieldError::forbidden(&rolling_path, "may not be specified when strategy `type` is 'Recreate'")),
        "Recreate" => {}
        "RollingUpdate" => {
            workload::rolling(errors, rolling, &rolling_path);
            let missing = walk::at(rolling, "maxUnavailable");
            if check::is_zero(missing) && check::is_zero(walk::at(rolling, "maxSurge")) {
                errors.push(FieldError::invalid(&rolling_path.child("maxUnavailable"), missing.clone(), "may not be 0 when `maxSurge` is 0"));
            }
            check::not_over_100_percent(errors, &rolling_path.child("maxUnavailable"), missing);
        }
        _ => errors.push(FieldError::not_supported(path, strategy.clone(), &["Recreate", "RollingUpdate"]).shown_as(workload::told(strategy, workload::surging()))),
    }
}
