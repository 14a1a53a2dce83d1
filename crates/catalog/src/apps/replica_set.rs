//! ReplicaSets.

use api::field::{FieldErrors, Path};
use serde_json::{Value, json};

use super::{status, workload};
use crate::check;
use crate::columns::{age, columns, containers, name, selector};
use crate::core::pod::{defaults::template, disabled};
use crate::resource::Resource;
use crate::walk::{self, fill};

pub fn resource() -> Resource {
    Resource::new("apps", "v1", "ReplicaSet", "replicasets", true)
        .short(&["rs"])
        .in_all()
        .scale()
        .status()
        .select(&["status.replicas"])
        .rules(|rules| {
            rules.default = default;
            rules.validate = validate;
            rules.warn = super::warnings::replicated;
            rules.validate_status = status::replicas;
            rules.prepare = |object, old| {
                walk::own_status(object, old, json!({"replicas": 0}));
                disabled::drop(object, old, "spec.template.spec");
            };
        })
        .columns(columns(&["Name", "Desired#", "Current#", "Ready#", "Age", "+Containers", "+Images", "+Selector"]), |object, now| {
            let count = |path| walk::int(object, path).into();
            let [names, images] = containers(walk::at(object, "spec.template.spec"));
            vec![name(object), count("spec.replicas"), count("status.replicas"), count("status.readyReplicas"), age(object, now), names, images, selector(walk::at(object, "spec.selector"))]
        })
}

fn default(object: &mut Value) {
    template(object, "spec.template");
    if let Some(spec) = walk::existing_mut(object, "spec") {
        fill(spec, "replicas", 1);
    }
}

/// Upstream: `ValidateReplicaSetSpec`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    for key in ["replicas", "minReadySeconds"] {
        check::non_negative(&mut errors, spec, key, &path);
    }
    workload::replicated(&mut errors, spec, old.map(|old| walk::at(old, "spec")), &path);
    if let Some(old) = old {
        check::immutable(&mut errors, &path.child("selector"), walk::at(spec, "selector"), walk::at(old, "spec.selector"));
    }
    errors
}
