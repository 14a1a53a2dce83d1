//! The `apps` group: what runs copies of pods.

use serde_json::{Value, json};

use crate::columns::{age, columns, containers, labels, name, selector};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    vec![controller_revision(), daemon_set(), deployment(), replica_set(), stateful_set()]
}

/// Status is the controller's: a create starts without, an update keeps the old one.
fn empty_status(object: &mut Value, old: Option<&Value>) {
    walk::keep(object, old, "status");
    if old.is_none() {
        object["status"] = json!({});
    }
}

fn zero_replicas(object: &mut Value, old: Option<&Value>) {
    walk::keep(object, old, "status");
    if old.is_none() {
        object["status"] = json!({"replicas": 0});
    }
}

fn controller_revision() -> Resource {
    Resource::new("apps", "v1", "ControllerRevision", "controllerrevisions", true).columns(columns(&["Name", "Controller", "Revision#", "Age"]), |object, now| {
        let owner = walk::list(object, "metadata.ownerReferences").iter().find(|o| walk::flag(o, "controller"));
        let controller = owner.map_or("<none>".to_owned(), |o| {
            let (group, _) = api::resource::split_api_version(walk::text(o, "apiVersion"));
            let kind = walk::text(o, "kind").to_lowercase();
            if group.is_empty() { format!("{kind}/{}", walk::text(o, "name")) } else { format!("{kind}.{group}/{}", walk::text(o, "name")) }
        });
        vec![name(object), controller.into(), walk::int(object, "revision").into(), age(object, now)]
    })
}

fn daemon_set() -> Resource {
    Resource::new("apps", "v1", "DaemonSet", "daemonsets", true)
        .short(&["ds"])
        .in_all()
        .status()
        .rules(|rules| {
            rules.prepare = |object, old| {
                walk::keep(object, old, "status");
                if old.is_none() {
                    object["status"] = json!({"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0});
                }
            }
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

fn deployment() -> Resource {
    Resource::new("apps", "v1", "Deployment", "deployments", true)
        .short(&["deploy"])
        .in_all()
        .scale()
        .status()
        .rules(|rules| rules.prepare = empty_status)
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

fn replica_set() -> Resource {
    Resource::new("apps", "v1", "ReplicaSet", "replicasets", true)
        .short(&["rs"])
        .in_all()
        .scale()
        .status()
        .select(&["status.replicas"])
        .rules(|rules| rules.prepare = zero_replicas)
        .columns(columns(&["Name", "Desired#", "Current#", "Ready#", "Age", "+Containers", "+Images", "+Selector"]), |object, now| {
            let count = |path| walk::int(object, path).into();
            let [names, images] = containers(walk::at(object, "spec.template.spec"));
            vec![name(object), count("spec.replicas"), count("status.replicas"), count("status.readyReplicas"), age(object, now), names, images, selector(walk::at(object, "spec.selector"))]
        })
}

fn stateful_set() -> Resource {
    Resource::new("apps", "v1", "StatefulSet", "statefulsets", true)
        .short(&["sts"])
        .in_all()
        .scale()
        .status()
        .rules(|rules| {
            rules.prepare = |object, old| {
                walk::keep(object, old, "status");
                if old.is_none() {
                    object["status"] = json!({"replicas": 0, "availableReplicas": 0});
                }
            }
        })
        .columns(columns(&["Name", "Ready", "Age", "+Containers", "+Images"]), |object, now| {
            let [names, images] = containers(walk::at(object, "spec.template.spec"));
            vec![name(object), format!("{}/{}", walk::int(object, "status.readyReplicas"), walk::int(object, "spec.replicas")).into(), age(object, now), names, images]
        })
}
