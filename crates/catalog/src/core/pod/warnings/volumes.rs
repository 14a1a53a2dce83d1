//! Warnings of kinds of volumes that are no more, and of claims that pods bring along.

use serde_json::Value;

use crate::core::persistent_volume_claim;
use crate::walk;

/// In the order upstream tells them; the claim of an ephemeral volume stands between the two lists.
const FIRST: [(&str, &str); 7] = [
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    // GitRepoVolumeDriver is locked to off.
    ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    // Upstream: the path has a capital more than the field.
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
];
const LAST: [(&str, &str); 2] = [("cephfs", "deprecated in v1.28, non-functional in v1.31+"), ("rbd", "deprecated in v1.28, non-functional in v1.31+")];

pub fn ended(told: &mut Vec<String>, spec: &Value, within: &str) {
    for (i, volume) in walk::list(spec, "volumes").iter().enumerate() {
        kinds(told, volume, &FIRST, within, i);
        let claim = walk::at(volume, "ephemeral.volumeClaimTemplate");
        if claim.is_object() {
            persistent_volume_claim::warn_spec(told, &claim["spec"], format_args!("{within}spec.volumes[{i}].ephemeral.volumeClaimTemplate.spec"));
        }
        kinds(told, volume, &LAST, within, i);
    }
}

fn kinds(told: &mut Vec<String>, volume: &Value, kinds: &[(&str, &str)], within: &str, i: usize) {
    for (kind, why) in kinds.iter().filter(|(kind, _)| volume.get(kind).is_some_and(Value::is_object)) {
        told.push(format!("{within}spec.volumes[{i}].{}: {why}", shown(kind)));
    }
}

/// The name of a kind of volume as warnings write it.
pub fn shown(kind: &str) -> &str {
    if kind == "storageos" { "storageOS" } else { kind }
}
