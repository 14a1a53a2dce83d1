//! Deployments.

use serde_json::{Value, json};

use crate::columns::{age, columns, containers, name, selector};
use crate::core::pod::defaults::template;
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
            rules.prepare = |object, old| walk::own_status(object, old, json!({}));
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
