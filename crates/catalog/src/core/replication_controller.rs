//! ReplicationControllers.

use crate::columns::{age, columns, containers, labels, name};
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
            rules.prepare = |object, old| {
                walk::keep(object, old, "status");
                if old.is_none() {
                    object["status"] = serde_json::json!({"replicas": 0});
                }
            }
        })
        .columns(columns(&["Name", "Desired#", "Current#", "Ready#", "Age", "+Containers", "+Images", "+Selector"]), |object, now| {
            let [names, images] = containers(walk::at(object, "spec.template.spec"));
            let count = |path| walk::int(object, path).into();
            vec![name(object), count("spec.replicas"), count("status.replicas"), count("status.readyReplicas"), age(object, now), names, images, labels(walk::at(object, "spec.selector"))]
        })
}
