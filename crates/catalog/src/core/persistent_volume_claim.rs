//! PersistentVolumeClaims.

use serde_json::{Value, json};

use super::persistent_volume::{access_modes, attributes_class, class, phase};
use super::persistent_volume_claim_rules;
use crate::columns::{age, columns, name};
use crate::core::pod::warnings::fractional_byte;
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true)
        .short(&["pvc"])
        .status_only()
        .gives_deleted()
        .rules(|rules| {
            rules.default = |object| {
                if let Some(spec) = walk::existing_mut(object, "spec") {
                    walk::fill(spec, "volumeMode", "Filesystem");
                }
            };
            rules.validate = persistent_volume_claim_rules::validate;
            rules.validate_status = persistent_volume_claim_rules::validate_status;
            rules.prepare = prepare;
            rules.warn = warn;
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

/// Upstream: `EnforceDataSourceBackwardsCompatibility` and `NormalizeDataSources`: the older field holds claims and
/// snapshots only, and a source told in either field is told in both.
fn prepare(object: &mut Value, old: Option<&Value>) {
    walk::own_status(object, old, json!({"phase": "Pending"}));
    let had = old.is_some_and(|old| walk::at(old, "spec.dataSource").is_object());
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    if !had && spec.get("dataSource").is_some_and(|source| !is_claim_or_snapshot(source)) {
        spec.remove("dataSource");
    }
    let given = |key: &str| spec.get(key).filter(|v| v.is_object()).cloned();
    match (given("dataSource"), given("dataSourceRef")) {
        (Some(source), None) => drop(spec.insert("dataSourceRef".into(), source)),
        (None, Some(reference)) if walk::text(&reference, "namespace").is_empty() => drop(spec.insert("dataSource".into(), reference)),
        _ => {}
    }
}

fn is_claim_or_snapshot(source: &Value) -> bool {
    matches!((walk::text(source, "apiGroup"), walk::text(source, "kind")), ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot"))
}

/// Upstream: `pkg/api/persistentvolumeclaim/util.go`.
fn warn(object: &Value, _: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    super::persistent_volume::warn_class(&mut told, object);
    warn_spec(&mut told, &object["spec"], "spec");
    told
}

/// A claim's wishes, also where something else makes the claim.
pub fn warn_spec(told: &mut Vec<String>, spec: &Value, path: impl std::fmt::Display) {
    for kind in ["requests", "limits"] {
        fractional_byte(told, &spec["resources"][kind]["storage"], format_args!("{path}.resources.{kind}[storage]"));
    }
}
