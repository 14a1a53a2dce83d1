//! ReplicationControllers.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use crate::apps::{status, workload};
use crate::check;
use crate::columns::{age, columns, containers, labels, name};
use crate::core::pod::{defaults::template, disabled};
use crate::resource::{GarbagePolicy, Resource};
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "ReplicationController", "replicationcontrollers", true)
        .short(&["rc"])
        .in_all()
        .scale()
        .status()
        .select(&["status.replicas"])
        .garbage(GarbagePolicy::Orphan(None))
        .rules(|rules| {
            rules.default = default;
            rules.validate = validate;
            rules.warn = crate::apps::warnings::replication_controller;
            rules.validate_status = status::replicas;
            rules.prepare = |object, old| {
                walk::own_status(object, old, json!({"replicas": 0}));
                disabled::drop(object, old, "spec.template.spec");
            };
        })
        .columns(columns(&["Name", "Desired#", "Current#", "Ready#", "Age", "+Containers", "+Images", "+Selector"]), |object, now| {
            let [names, images] = containers(walk::at(object, "spec.template.spec"));
            let count = |path| walk::int(object, path).into();
            vec![name(object), count("spec.replicas"), count("status.replicas"), count("status.readyReplicas"), age(object, now), names, images, labels(walk::at(object, "spec.selector"))]
        })
}

/// Upstream: selector and labels come from the template where they are left out.
fn default(object: &mut Value) {
    template(object, "spec.template");
    let labels = walk::at(object, "spec.template.metadata.labels").clone();
    if labels.is_object() {
        if walk::map(object, "metadata.labels").is_none_or(|l| l.is_empty())
            && let Some(metadata) = walk::existing_mut(object, "metadata")
        {
            metadata.insert("labels".into(), labels.clone());
        }
        if walk::map(object, "spec.selector").is_none_or(|s| s.is_empty())
            && let Some(spec) = walk::existing_mut(object, "spec")
        {
            spec.insert("selector".into(), labels);
        }
    }
    if let Some(spec) = walk::existing_mut(object, "spec") {
        walk::fill(spec, "replicas", 1);
    }
}

fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("spec");
    let (spec, selector) = (walk::at(object, "spec"), walk::at(object, "spec.selector"));
    check::non_negative(&mut errors, spec, "minReadySeconds", &path);
    if selector.as_object().is_none_or(serde_json::Map::is_empty) {
        errors.push(FieldError::required(&path.child("selector"), ""));
    }
    check::non_negative(&mut errors, spec, "replicas", &path);
    let (template, path) = (walk::at(spec, "template"), path.child("template"));
    if !template.is_object() {
        errors.push(FieldError::required(&path, ""));
        return errors;
    }
    let labels = walk::at(template, "metadata.labels");
    if selector.as_object().into_iter().flatten().any(|(key, value)| labels.get(key) != Some(value)) {
        errors.push(workload::apart(template, &path));
    }
    workload::changed_template(&mut errors, spec, old.map(|old| walk::at(old, "spec")), &path);
    workload::always(&mut errors, template, &path, "ReplicationController");
    errors
}
