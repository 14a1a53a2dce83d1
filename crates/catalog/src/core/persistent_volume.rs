//! PersistentVolumes.

use serde_json::{Value, json};

use crate::columns::{age, columns, name, or_none};
use crate::node_labels;
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "PersistentVolume", "persistentvolumes", false)
        .short(&["pv"])
        .status_only()
        .gives_deleted()
        .rules(|rules| {
            rules.default = default;
            rules.warn = warn;
            rules.validate = super::persistent_volume_rules::validate;
            rules.prepare = |object, old| walk::own_status(object, old, json!({"phase": "Pending"}));
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

/// `RWO,ROX,RWX,RWOP`, each once, in upstream's order.
pub(super) fn access_modes(modes: &[Value]) -> String {
    let has = |mode: &str| modes.iter().any(|m| m == mode);
    [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")].iter().filter(|(long, _)| has(long)).map(|(_, short)| *short).collect::<Vec<_>>().join(",")
}

pub(super) fn class(object: &Value) -> &str {
    match api::meta::annotation(object, "volume.beta.kubernetes.io/storage-class") {
        Some(class) => class,
        None => walk::text(object, "spec.storageClassName"),
    }
}

pub(super) fn attributes_class(object: &Value) -> Value {
    match walk::text(object, "spec.volumeAttributesClassName") {
        "" => "<unset>".into(),
        class => class.into(),
    }
}

pub(super) fn phase(object: &Value) -> Value {
    if api::meta::is_deleting(object) { "Terminating".into() } else { walk::text(object, "status.phase").into() }
}

/// Upstream: `pkg/apis/core/v1/defaults.go`.
fn default(object: &mut Value) {
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    walk::fill_text(spec, "persistentVolumeReclaimPolicy", "Retain");
    walk::fill(spec, "volumeMode", "Filesystem");
    if let Some(path) = walk::child(spec, "hostPath") {
        walk::fill(path, "type", "");
    }
    super::pod::volume_defaults::source(spec);
}

/// Kinds of volumes that are no more, in the order upstream tells of them.
const ENDED: [(&str, &str); 6] = [
    ("cephfs", "cephfs: deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "scaleIO: deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "storageOS: deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs: deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "rbd: deprecated in v1.28, non-functional in v1.31+"),
];
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";

/// Upstream: `pkg/api/persistentvolume/util.go`.
fn warn(object: &Value, _: Option<&Value>) -> Vec<String> {
    let (mut told, spec) = (Vec::new(), &object["spec"]);
    warn_class(&mut told, object);
    if walk::text(spec, "persistentVolumeReclaimPolicy") == "Recycle" {
        told.push("spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.".into());
    }
    for (i, term) in walk::list(spec, "nodeAffinity.required.nodeSelectorTerms").iter().enumerate() {
        node_labels::warn_expressions(&mut told, term, format_args!("spec.nodeAffinity.required.nodeSelectorTerms[{i}]"));
    }
    let ended = ENDED.iter().filter(|(kind, _)| spec.get(kind).is_some_and(Value::is_object));
    told.extend(ended.map(|(_, why)| format!("spec.{why}")));
    told
}

/// The class in the annotation it once stood in.
pub fn warn_class(told: &mut Vec<String>, object: &Value) {
    if api::meta::annotation(object, CLASS).is_some() {
        told.push(format!("metadata.annotations[{CLASS}]: deprecated since v1.8; use \"storageClassName\" attribute instead"));
    }
}
