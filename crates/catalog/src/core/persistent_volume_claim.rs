//! PersistentVolumeClaims.

use serde_json::{Map, Value, json};

use super::persistent_volume::{access_modes, attributes_class, class, phase};
use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true)
        .short(&["pvc"])
        .status_only()
        .rules(|rules| {
            rules.default = |object| {
                if let Some(spec) = walk::existing_mut(object, "spec") {
                    walk::fill(spec, "volumeMode", "Filesystem");
                    same_source(spec);
                }
            };
            rules.prepare = |object, old| walk::own_status(object, old, json!({"phase": "Pending"}));
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

/// Upstream: a source told in either field is told in both, where the older one can say it.
fn same_source(spec: &mut Map<String, Value>) {
    let given = |key: &str| spec.get(key).filter(|v| v.is_object()).cloned();
    match (given("dataSource"), given("dataSourceRef")) {
        (Some(source), None) => drop(spec.insert("dataSourceRef".into(), source)),
        (None, Some(reference)) if walk::text(&reference, "namespace").is_empty() => {
            let group = walk::text(&reference, "apiGroup");
            let known = matches!((group, walk::text(&reference, "kind")), ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot"));
            if known {
                spec.insert("dataSource".into(), reference);
            }
        }
        _ => {}
    }
}
