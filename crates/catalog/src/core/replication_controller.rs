//! ReplicationControllers.

use serde_json::{Value, json};

use crate::columns::{age, columns, containers, labels, name};
use crate::core::pod::defaults::template;
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "ReplicationController", "replicationcontrollers", true)
        .short(&["rc"])
        .in_all()
        .scale()
        .status()
        .select(&["status.replicas"])
        .rules(|rules| {
            rules.default = default;
            rules.prepare = |object, old| walk::own_status(object, old, json!({"replicas": 0}));
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
