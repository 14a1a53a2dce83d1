//! PersistentVolumes and their claims.

use serde_json::Value;

use crate::columns::{age, columns, name, or_none};
use crate::resource::Resource;
use crate::walk;

/// `RWO,ROX,RWX,RWOP`, each once, in upstream's order.
fn access_modes(modes: &[Value]) -> String {
    let has = |mode: &str| modes.iter().any(|m| m == mode);
    [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")].iter().filter(|(long, _)| has(long)).map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

fn class(object: &Value) -> &str {
    match api::meta::annotation(object, "volume.beta.kubernetes.io/storage-class") {
        Some(class) => class,
        None => walk::text(object, "spec.storageClassName"),
    }
}

fn attributes_class(object: &Value) -> Value {
    match walk::text(object, "spec.volumeAttributesClassName") {
        "" => "<unset>".into(),
        class => class.into(),
    }
}

fn phase(object: &Value) -> Value {
    if api::meta::is_deleting(object) { "Terminating".into() } else { walk::text(object, "status.phase").into() }
}

pub fn claim() -> Resource {
    Resource::new("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true)
        .short(&["pvc"])
        .status_only()
        .rules(|rules| {
            rules.prepare = |object, old| {
                walk::keep(object, old, "status");
                if old.is_none() {
                    object["status"] = serde_json::json!({"phase": "Pending"});
                }
            }
        })
        .columns(columns(&["Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", "Age", "+VolumeMode"]), |object, now| {
            let volume = walk::text(object, "spec.volumeName");
            let (modes, capacity) = match volume {
                "" => (String::new(), ""),
                _ => (access_modes(walk::list(object, "status.accessModes")), walk::text(object, "status.capacity.storage")),
            };
            let mode = or_unset(walk::text(object, "spec.volumeMode"));
            vec![name(object), phase(object), volume.into(), capacity.into(), modes.into(), class(object).into(), attributes_class(object), age(object, now), mode]
        })
}

fn or_unset(text: &str) -> Value {
    if text.is_empty() { "<unset>".into() } else { text.into() }
}

pub fn volume() -> Resource {
    Resource::new("", "v1", "PersistentVolume", "persistentvolumes", false)
        .short(&["pv"])
        .status_only()
        .rules(|rules| {
            rules.prepare = |object, old| {
                walk::keep(object, old, "status");
                if old.is_none() {
                    object["status"] = serde_json::json!({"phase": "Pending"});
                }
            }
        })
        .columns(columns(&["Name", "Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim", "StorageClass", "VolumeAttributesClass", "Reason", "Age", "+VolumeMode"]), |object, now| {
            let claim = match walk::text(object, "spec.claimRef.name") {
                "" => String::new(),
                claim => format!("{}/{claim}", walk::text(object, "spec.claimRef.namespace")),
            };
            vec![
                name(object),
                walk::text(object, "spec.capacity.storage").into(),
                access_modes(walk::list(object, "spec.accessModes")).into(),
                walk::text(object, "spec.persistentVolumeReclaimPolicy").into(),
                phase(object),
                claim.into(),
                class(object).into(),
                attributes_class(object),
                walk::text(object, "status.reason").into(),
                age(object, now),
                or_none(walk::text(object, "spec.volumeMode")),
            ]
        })
}
