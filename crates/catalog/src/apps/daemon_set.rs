//! DaemonSets.

use api::field::{FieldError, FieldErrors};
use serde_json::{Value, json};

use super::workload;
use crate::check;
use crate::columns::{age, columns, containers, labels, name, selector};
use crate::core::pod::{defaults::template, disabled};
use crate::resource::Resource;
use crate::walk::{self, fill, fill_text, made};

pub fn resource() -> Resource {
    Resource::new("apps", "v1", "DaemonSet", "daemonsets", true)
        .short(&["ds"])
        .in_all()
        .status()
        .rules(|rules| {
            rules.default = default;
            rules.validate = validate;
            rules.warn = super::warnings::daemon_set;
            rules.prepare = |object, old| {
                walk::own_status(object, old, json!({"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}));
                disabled::drop(object, old, "spec.template.spec");
            };
        })
        .columns(columns(&["Name", "Desired#", "Current#", "Ready#", "Up-to-date#", "Available#", "Node Selector", "Age", "+Containers", "+Images", "+Selector"]), |object, now| {
            let count = |path| walk::int(object, path).into();
            let [names, images] = containers(walk::at(object, "spec.template.spec"));
            vec![
                name(object),
                count("status.desiredNumberScheduled"),
                count("status.currentNumberScheduled"),
                count("status.numberReady"),
                count("status.updatedNumberScheduled"),
                count("status.numberAvailable"),
                labels(walk::at(object, "spec.template.spec.nodeSelector")),
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
    if let Some(strategy) = made(spec, "updateStrategy") {
        fill_text(strategy, "type", "RollingUpdate");
        if strategy["type"] == "RollingUpdate"
            && let Some(rolling) = made(strategy, "rollingUpdate")
        {
            fill(rolling, "maxUnavailable", 1);
            fill(rolling, "maxSurge", 0);
        }
    }
    fill(spec, "revisionHistoryLimit", 10);
}

fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = workload::spec(&mut errors, object, old, "daemonset").child("updateStrategy");
    let strategy = walk::at(object, "spec.updateStrategy");
    let rolling = walk::at(strategy, "rollingUpdate");
    match walk::text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_object() => errors.push(FieldError::required(&path.child("rollingUpdate"), "")),
        "RollingUpdate" => {
            let path = path.child("rollingUpdate");
            workload::rolling(&mut errors, rolling, &path);
            match (check::is_zero(walk::at(rolling, "maxUnavailable")), check::is_zero(walk::at(rolling, "maxSurge"))) {
                (true, true) => errors.push(FieldError::required(&path.child("maxUnavailable"), "cannot be 0 when maxSurge is 0")),
                (false, false) => errors.push(FieldError::invalid(&path.child("maxSurge"), walk::at(rolling, "maxSurge").clone(), "may not be set when maxUnavailable is non-zero")),
                _ => {}
            }
        }
        other => errors.push(FieldError::not_supported(&path.child("type"), other, &["RollingUpdate", "OnDelete"])),
    }
    errors
}
