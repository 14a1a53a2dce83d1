//! The `storage.k8s.io` group.

pub mod rules;
pub mod storage_class;
mod topologies;

use serde_json::Value;

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

const GROUP: &str = "storage.k8s.io";

fn resource(kind: &'static str, plural: &'static str, namespaced: bool) -> Resource {
    let mut resource = Resource::new(GROUP, "v1", kind, plural, namespaced);
    resource.table = format!("/registry/{plural}").into();
    resource
}

fn truth(object: &Value, path: &str) -> Value {
    walk::flag(object, path).to_string().into()
}

pub fn resources() -> Vec<Resource> {
    vec![
        resource("CSIDriver", "csidrivers", false).gives_deleted().rules(|rules| {
            rules.generation = true;
            rules.default = default_driver;
            rules.validate = self::rules::driver;
        }).columns(
            columns(&["Name", "AttachRequired", "PodInfoOnMount", "StorageCapacity", "TokenRequests", "RequiresRepublish", "Modes", "Age"]),
            |object, now| {
                let modes: Vec<_> = walk::list(object, "spec.volumeLifecycleModes").iter().filter_map(Value::as_str).collect();
                let tokens: Vec<_> = walk::list(object, "spec.tokenRequests").iter().map(|t| walk::text(t, "audience")).collect();
                let tokens = if tokens.is_empty() { "<unset>".to_owned() } else { tokens.join(",") };
                vec![
                    name(object),
                    truth(object, "spec.attachRequired"),
                    truth(object, "spec.podInfoOnMount"),
                    truth(object, "spec.storageCapacity"),
                    tokens.into(),
                    truth(object, "spec.requiresRepublish"),
                    modes.join(",").into(),
                    age(object, now),
                ]
            },
        ),
        resource("CSINode", "csinodes", false).gives_deleted().rules(|rules| rules.validate = self::rules::node).columns(columns(&["Name", "Drivers#", "Age"]), |object, now| vec![name(object), walk::list(object, "spec.drivers").len().into(), age(object, now)]),
        resource("CSIStorageCapacity", "csistoragecapacities", true)
            .rules(|rules| {
                rules.validate = self::rules::capacity;
                rules.warn = warn_capacity;
            })
            .columns(columns(&["Name", "StorageClassName", "Capacity"]), |object, _| vec![name(object), walk::text(object, "storageClassName").into(), walk::text(object, "capacity").into()]),
        storage_class::resource(),
        resource("VolumeAttachment", "volumeattachments", false).gives_deleted().status_only().rules(|rules| {
            rules.validate = self::rules::attachment;
            rules.validate_status = self::rules::attachment_status;
            rules.prepare = |object, old| walk::own_status(object, old, serde_json::json!({"attached": false}));
        }).columns(columns(&["Name", "Attacher", "PV", "Node", "Attached", "Age"]), |object, now| {
            vec![
                name(object),
                walk::text(object, "spec.attacher").into(),
                walk::text(object, "spec.source.persistentVolumeName").into(),
                walk::text(object, "spec.nodeName").into(),
                truth(object, "status.attached"),
                age(object, now),
            ]
        }),
        resource("VolumeAttributesClass", "volumeattributesclasses", false)
            .short(&["vac"])
            .gives_deleted()
            .rules(|rules| rules.validate = self::rules::attributes_class)
            .columns(columns(&["Name", "DriverName", "Age"]), |object, now| vec![name(object), walk::text(object, "driverName").into(), age(object, now)]),
    ]
}

/// Upstream: `pkg/api/storage/util.go`.
fn warn_capacity(object: &Value, _: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    crate::node_labels::warn_selector(&mut told, &object["nodeTopology"], "nodeTopology");
    told
}

/// Upstream: `pkg/apis/storage/v1/defaults.go`.
fn default_driver(object: &mut Value) {
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    walk::fill(spec, "attachRequired", true);
    for key in ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"] {
        walk::fill(spec, key, false);
    }
    walk::fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    walk::fill(spec, "volumeLifecycleModes", serde_json::json!(["Persistent"]));
}
