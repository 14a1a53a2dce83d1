//! DaemonSets.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use super::{status, workload};
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
            rules.validate_status = status::daemon_set;
            rules.prepare = |object, old| {
                walk::own_status(object, old, json!({"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}));
                disabled::drop(object, old, "spec.template.spec");
                count_templates(object, old);
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

/// How often the template changed, which its pods tell as a label. Upstream keeps the number in a field that v1 tells as an annotation:
/// `PrepareForCreate` and `PrepareForUpdate` in `pkg/registry/apps/daemonset/strategy.go`.
const TEMPLATES: &str = "deprecated.daemonset.template.generation";

fn count_templates(object: &mut Value, old: Option<&Value>) {
    let told = |set: &Value| api::meta::annotation(set, TEMPLATES).and_then(|text| text.parse::<i64>().ok());
    let number = match old {
        None => told(object).filter(|number| *number >= 1).unwrap_or(1),
        Some(old) => told(old).unwrap_or(1) + i64::from(walk::at(old, "spec.template") != walk::at(object, "spec.template")),
    };
    api::meta::set_annotation(object, TEMPLATES, &number.to_string());
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

/// Upstream: `ValidateDaemonSetSpec`, for which a selector that is left out takes no pod.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    let (selector, template, pods) = (walk::at(spec, "selector"), walk::at(spec, "template"), path.child("template"));
    check::label_selector(&mut errors, selector, &path.child("selector"));
    if workload::fits(selector, template) == Some(false) {
        errors.push(workload::apart(template, &pods));
    }
    if selector.is_object() && check::is_empty_selector(selector) {
        errors.push(workload::empty(selector, "daemonset", &path.child("selector")));
    }
    workload::changed_template(&mut errors, spec, old.map(|old| walk::at(old, "spec")), &pods);
    workload::always(&mut errors, template, &pods, "DaemonSet");
    check::non_negative(&mut errors, spec, "minReadySeconds", &path);
    update_strategy(&mut errors, walk::at(spec, "updateStrategy"), &path.child("updateStrategy"));
    check::non_negative(&mut errors, spec, "revisionHistoryLimit", &path);
    if let Some(old) = old {
        check::immutable(&mut errors, &path.child("selector"), selector, walk::at(old, "spec.selector"));
    }
    errors
}

fn update_strategy(errors: &mut FieldErrors, strategy: &Value, path: &Path) {
    let (rolling, rolling_path) = (walk::at(strategy, "rollingUpdate"), path.child("rollingUpdate"));
    match walk::text(strategy, "type") {
        "OnDelete" => {}
        "RollingUpdate" if !rolling.is_object() => errors.push(FieldError::required(&rolling_path, "")),
        "RollingUpdate" => rolling_update(errors, rolling, &rolling_path),
        _ => errors.push(FieldError::not_supported(path, strategy.clone(), &["RollingUpdate", "OnDelete"]).shown_as(workload::told(strategy, workload::surging()))),
    }
}

fn rolling_update(errors: &mut FieldErrors, rolling: &Value, path: &Path) {
    workload::rolling(errors, rolling, path);
    let [missing, more] = ["maxUnavailable", "maxSurge"].map(|key| walk::at(rolling, key));
    for (key, value) in [("maxUnavailable", missing), ("maxSurge", more)] {
        check::not_over_100_percent(errors, &path.child(key), value);
    }
    match (check::is_zero(missing), check::is_zero(more)) {
        (true, true) => errors.push(FieldError::required(&path.child("maxUnavailable"), "cannot be 0 when maxSurge is 0")),
        (false, false) => errors.push(FieldError::invalid(&path.child("maxSurge"), more.clone(), "may not be set when maxUnavailable is non-zero")),
        _ => {}
    }
}
