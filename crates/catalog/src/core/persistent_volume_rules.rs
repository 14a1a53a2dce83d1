//! Validation of persistent volumes.
//!
//! Upstream: `ValidatePersistentVolumeSpec` in `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::{Map, Value};

use super::pod::placement::node_selector;
use super::pod::volumes::one_source;
use crate::{check, walk};

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// In the order upstream looks at them.
const SOURCES: [&str; 22] = [
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte", "cephfs", "iscsi", "cinder", "fc", "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk",
    "portworxVolume", "azureDisk", "scaleIO", "local", "storageos", "csi",
];

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (path, new) = (Path::new("spec"), walk::at(object, "spec"));
    spec(&mut errors, new, false, &path);
    if let Some(old) = old {
        update(&mut errors, new, walk::at(old, "spec"));
    }
    errors
}

/// A volume's spec; `inline` in a volume attachment, where less may be said.
pub fn spec(errors: &mut FieldErrors, spec: &Value, inline: bool, path: &Path) {
    if inline {
        inline_limits(errors, spec, path);
    }
    let modes = walk::list(spec, "accessModes");
    if modes.is_empty() {
        errors.push(FieldError::required(&path.child("accessModes"), ""));
    }
    for mode in modes.iter().filter_map(Value::as_str) {
        check::maybe_one_of(errors, &path.child("accessModes"), mode, &MODES);
    }
    if modes.len() > 1 && modes.iter().any(|m| m == "ReadWriteOncePod") {
        errors.push(FieldError::forbidden(&path.child("accessModes"), "may not use ReadWriteOncePod with other access modes"));
    }
    let policy = walk::text(spec, "persistentVolumeReclaimPolicy");
    if !inline {
        capacity(errors, walk::at(spec, "capacity"), &path.child("capacity"));
        check::maybe_one_of(errors, &path.child("persistentVolumeReclaimPolicy"), policy, &["Delete", "Recycle", "Retain"]);
        check::optional_name(errors, &path.child("storageClassName"), walk::text(spec, "storageClassName"), names::dns1123_subdomain);
        check::maybe_one_of(errors, &path.child("volumeMode"), walk::text(spec, "volumeMode"), &["Block", "Filesystem"]);
    }
    let required = walk::at(spec, "nodeAffinity.required");
    if walk::at(spec, "nodeAffinity").is_object() && !inline {
        match required.is_object() {
            true => node_selector(errors, required, &path.child("nodeAffinity").child("required")),
            false => errors.push(FieldError::required(&path.child("nodeAffinity").child("required"), "must specify required node constraints")),
        }
    }
    source(errors, spec, required.is_object(), path);
    if policy == "Recycle" && walk::text(spec, "hostPath.path").trim_end_matches('/').is_empty() && walk::at(spec, "hostPath").is_object() {
        errors.push(FieldError::forbidden(&path.child("persistentVolumeReclaimPolicy"), "may not be 'recycle' for a hostPath mount of '/'"));
    }
    if !walk::at(spec, "volumeAttributesClassName").is_null() {
        let class = walk::text(spec, "volumeAttributesClassName");
        check::required_name(errors, &path.child("volumeAttributesClassName"), class, names::dns1123_subdomain);
        if !walk::at(spec, "csi").is_object() {
            errors.push(FieldError::required(&path.child("csi"), "has to be specified when using volumeAttributesClassName"));
        }
    }
}

fn inline_limits(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    for key in ["claimRef", "capacity", "nodeAffinity", "storageClassName", "volumeAttributesClassName"] {
        let value = walk::at(spec, key);
        if value.is_object() || value.as_str().is_some_and(|text| !text.is_empty()) {
            errors.push(FieldError::forbidden(&path.child(key), "may not be specified in the context of inline volumes"));
        }
    }
    if !walk::at(spec, "csi").is_object() {
        errors.push(FieldError::required(&path.child("csi"), "has to be specified in the context of inline volumes"));
    }
    if !matches!(walk::text(spec, "persistentVolumeReclaimPolicy"), "" | "Retain") {
        errors.push(FieldError::forbidden(&path.child("persistentVolumeReclaimPolicy"), "may only be Retain in the context of inline volumes"));
    }
    if !matches!(walk::text(spec, "volumeMode"), "" | "Filesystem") {
        errors.push(FieldError::forbidden(&path.child("volumeMode"), "may not specify volumeMode other than Filesystem in the context of inline volumes"));
    }
}

fn capacity(errors: &mut FieldErrors, capacity: &Value, path: &Path) {
    let empty = Map::new();
    let amounts = capacity.as_object().unwrap_or(&empty);
    if amounts.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    if !amounts.contains_key("storage") || amounts.len() > 1 {
        errors.push(FieldError::not_supported(path, Value::Object(amounts.clone()), &["storage"]));
    }
    for (name, value) in amounts {
        let Some(amount) = check::amount(value) else { continue };
        if amount.sign() <= 0 {
            errors.push(FieldError::invalid(&path.key(name), value.clone(), "must be greater than zero"));
        }
    }
}

fn source(errors: &mut FieldErrors, spec: &Value, bound_to_nodes: bool, path: &Path) {
    let mut given = SOURCES.iter().filter(|kind| walk::at(spec, kind).is_object());
    let Some(kind) = given.next() else {
        return errors.push(FieldError::required(path, "must specify a volume type"));
    };
    let source = walk::at(spec, kind);
    match *kind {
        "local" => {
            let (place, at) = (walk::text(source, "path"), path.child("local").child("path"));
            if place.is_empty() {
                errors.push(FieldError::required(&at, ""));
            }
            super::pod::volumes::no_backsteps(errors, place, &at);
            if !bound_to_nodes {
                errors.push(FieldError::required(&path.child("nodeAffinity"), "Local volume requires node affinity"));
            }
        }
        "csi" => csi(errors, source, &path.child("csi")),
        other => one_source(errors, other, source, &path.child(other)),
    }
    for kind in given {
        errors.push(FieldError::forbidden(&path.child(kind), "may not specify more than 1 volume type"));
    }
}

fn csi(errors: &mut FieldErrors, source: &Value, path: &Path) {
    driver_name(errors, walk::text(source, "driver"), &path.child("driver"));
    if walk::text(source, "volumeHandle").is_empty() {
        errors.push(FieldError::required(&path.child("volumeHandle"), ""));
    }
    for key in ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef", "nodeStageSecretRef"] {
        let reference = walk::at(source, key);
        if !reference.is_object() {
            continue;
        }
        for part in ["name", "namespace"] {
            if walk::text(reference, part).is_empty() {
                errors.push(FieldError::required(&path.child(key).child(part), ""));
            }
        }
    }
}

/// Upstream: `ValidateCSIDriverName`.
pub fn driver_name(errors: &mut FieldErrors, name: &str, path: &Path) {
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    if name.len() > 63 {
        errors.push(FieldError::too_long(path, 63));
    }
    let lower = name.to_lowercase();
    check::syntax(errors, path, name, names::dns1123_subdomain(&lower));
}

fn update(errors: &mut FieldErrors, new: &Value, old: &Value) {
    let sources = |spec: &Value| SOURCES.iter().map(|kind| walk::at(spec, kind).clone()).collect::<Vec<_>>();
    let mut given = new.clone();
    // A secret for expanding may be named later.
    if walk::at(old, "csi.controllerExpandSecretRef").is_null()
        && walk::at(old, "csi").is_object()
        && let Some(csi) = walk::existing_mut(&mut given, "csi")
    {
        csi.remove("controllerExpandSecretRef");
    }
    if sources(&given) != sources(old) {
        // Differs: upstream appends a difference in Go's own notation.
        errors.push(FieldError::forbidden(&Path::new("spec.persistentvolumesource"), "spec.persistentvolumesource is immutable after creation"));
    }
    check::immutable(errors, &Path::new("volumeMode"), walk::at(new, "volumeMode"), walk::at(old, "volumeMode"));
    if walk::at(old, "nodeAffinity").is_object() && walk::at(new, "nodeAffinity") != walk::at(old, "nodeAffinity") {
        errors.push(FieldError::invalid(&Path::new("spec.nodeAffinity"), walk::at(new, "nodeAffinity").clone(), "field is immutable, except for updating from beta label to GA"));
    }
}
