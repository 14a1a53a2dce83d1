//! Validation of persistent volumes.
//!
//! Upstream: `ValidatePersistentVolumeSpec` in `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::{Map, Value};

use super::pod::placement::node_selector;
use super::pod::sources::{self, Owner};
use crate::{check, walk};

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// In the order upstream looks at them.
const SOURCES: [&str; 22] = [
    "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "glusterfs", "flocker", "nfs", "rbd", "quobyte", "cephfs", "iscsi", "cinder", "fc", "flexVolume", "azureFile", "vsphereVolume", "photonPersistentDisk",
    "portworxVolume", "azureDisk", "scaleIO", "local", "storageos", "csi",
];

const INLINE: &str = "may not be specified in the context of inline volumes";

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (path, new) = (Path::new("spec"), walk::at(object, "spec"));
    spec(&mut errors, new, Some(api::meta::name(object)), &path);
    if let Some(old) = old {
        update(&mut errors, new, walk::at(old, "spec"));
    }
    errors
}

/// A volume's spec. Without a name it stands in a volume attachment, where less may be said.
pub fn spec(errors: &mut FieldErrors, spec: &Value, name: Option<&str>, path: &Path) {
    let inline = name.is_none();
    if inline {
        inline_limits(errors, spec, path);
    }
    modes(errors, walk::list(spec, "accessModes"), &path.child("accessModes"));
    let (policy, policy_path) = (walk::text(spec, "persistentVolumeReclaimPolicy"), path.child("persistentVolumeReclaimPolicy"));
    if !inline {
        capacity(errors, walk::at(spec, "capacity"), &path.child("capacity"));
        check::maybe_one_of(errors, &policy_path, policy, &["Delete", "Recycle", "Retain"]);
    } else if !matches!(policy, "" | "Retain") {
        errors.push(FieldError::forbidden(&policy_path, "may only be Retain in the context of inline volumes"));
    }
    let bound_to_nodes = node_affinity(errors, walk::at(spec, "nodeAffinity"), inline, &path.child("nodeAffinity"));
    source(errors, spec, bound_to_nodes, name.unwrap_or_default(), path);
    if policy == "Recycle" && is_root(walk::at(spec, "hostPath")) {
        errors.push(FieldError::forbidden(&policy_path, "may not be 'recycle' for a hostPath mount of '/'"));
    }
    class_and_mode(errors, spec, inline, path);
    let class = walk::at(spec, "volumeAttributesClassName");
    if let Some(name) = class.as_str() {
        match name {
            "" => errors.push(FieldError::required(&path.child("volumeAttributesClassName"), "an empty string is disallowed")),
            name => check::syntax(errors, &path.child("volumeAttributesClassName"), name, names::dns1123_subdomain(name)),
        }
        if !walk::at(spec, "csi").is_object() {
            errors.push(FieldError::required(&path.child("csi"), "has to be specified when using volumeAttributesClassName"));
        }
    }
}

fn modes(errors: &mut FieldErrors, modes: &[Value], path: &Path) {
    if modes.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    for mode in modes.iter().filter_map(Value::as_str).filter(|mode| !MODES.contains(mode)) {
        errors.push(FieldError::not_supported(path, mode, &MODES));
    }
    let has = |wanted: fn(&str) -> bool| modes.iter().filter_map(Value::as_str).any(|mode| MODES.contains(&mode) && wanted(mode));
    if has(|mode| mode == "ReadWriteOncePod") && has(|mode| mode != "ReadWriteOncePod") {
        errors.push(FieldError::forbidden(path, "may not use ReadWriteOncePod with other access modes"));
    }
}

/// Whether there is any.
fn node_affinity(errors: &mut FieldErrors, affinity: &Value, inline: bool, path: &Path) -> bool {
    if !affinity.is_object() {
        return false;
    }
    let required = walk::at(affinity, "required");
    match (inline, required.is_object()) {
        (true, _) => errors.push(FieldError::forbidden(path, INLINE)),
        (false, true) => node_selector(errors, required, &path.child("required")),
        (false, false) => errors.push(FieldError::required(&path.child("required"), "must specify required node constraints")),
    }
    !inline
}

/// Whether a path of the host is all of it, however it is written.
fn is_root(host_path: &Value) -> bool {
    let place = walk::text(host_path, "path");
    place.starts_with('/') && place.split('/').all(|part| matches!(part, "" | "." | ".."))
}

fn class_and_mode(errors: &mut FieldErrors, spec: &Value, inline: bool, path: &Path) {
    let (class, mode) = (walk::text(spec, "storageClassName"), walk::text(spec, "volumeMode"));
    if !inline {
        check::optional_name(errors, &path.child("storageClassName"), class, names::dns1123_subdomain);
        return check::maybe_one_of(errors, &path.child("volumeMode"), mode, &["Block", "Filesystem"]);
    }
    if !class.is_empty() {
        errors.push(FieldError::forbidden(&path.child("storageClassName"), INLINE));
    }
    if !matches!(mode, "" | "Filesystem") {
        errors.push(FieldError::forbidden(&path.child("volumeMode"), "may not specify volumeMode other than Filesystem in the context of inline volumes"));
    }
}

fn inline_limits(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    for key in ["claimRef", "capacity"] {
        if walk::map(spec, key).is_some_and(|value| key == "claimRef" || !value.is_empty()) {
            errors.push(FieldError::forbidden(&path.child(key), INLINE));
        }
    }
    if !walk::at(spec, "csi").is_object() {
        errors.push(FieldError::required(&path.child("csi"), "has to be specified in the context of inline volumes"));
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
        if amount.sign() < 0 {
            errors.push(FieldError::invalid(&path.key(name), amount.value(), "must be a valid resource quantity"));
        }
        if amount.sign() <= 0 {
            errors.push(FieldError::invalid(&path.key(name), value.clone(), "must be greater than zero"));
        }
    }
}

fn source(errors: &mut FieldErrors, spec: &Value, bound_to_nodes: bool, name: &str, path: &Path) {
    let mut given = 0;
    for kind in SOURCES.into_iter().filter(|kind| walk::at(spec, kind).is_object()) {
        given += 1;
        // Upstream: one of these more is none too many.
        if given > 1 && kind != "flexVolume" {
            // Upstream writes this one so.
            errors.push(FieldError::forbidden(&path.child(if kind == "cephfs" { "cephFS" } else { kind }), "may not specify more than 1 volume type"));
            continue;
        }
        sources::one(errors, kind, walk::at(spec, kind), Owner::Volume(name), path);
        if kind == "local" && !bound_to_nodes {
            errors.push(FieldError::required(&path.child("nodeAffinity"), "Local volume requires node affinity"));
        }
    }
    if given == 0 {
        errors.push(FieldError::required(path, "must specify a volume type"));
    }
}

/// Upstream: `ValidateCSIDriverName`.
pub fn driver_name(errors: &mut FieldErrors, name: &str, path: &Path) {
    if name.is_empty() {
        return errors.push(FieldError::required(path, ""));
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
    let (affinity, before) = (walk::at(new, "nodeAffinity"), walk::at(old, "nodeAffinity"));
    if before.is_object() && !is_renamed(affinity, before) {
        errors.push(FieldError::invalid(&Path::new("nodeAffinity"), affinity.clone(), "field is immutable, except for updating from beta label to GA"));
    }
    let class = |spec: &Value| walk::at(spec, "volumeAttributesClassName").is_null();
    if class(new) && !class(old) {
        errors.push(FieldError::forbidden(&Path::new("spec.volumeAttributesClassName"), "update from non-nil value to nil is forbidden"));
    }
}

/// Labels of nodes under their older names and those of today.
const RENAMED: [(&str, &str); 5] = [
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
];

/// Whether an affinity says the same, but for labels that are called by today's names.
fn is_renamed(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            let same = |key: &String| match (new.get(key), old.get(key)) {
                (Some(Value::String(new)), Some(Value::String(old))) if key == "key" => new == old || RENAMED.contains(&(old.as_str(), new.as_str())),
                (Some(new), Some(old)) => is_renamed(new, old),
                _ => false,
            };
            new.len() == old.len() && new.keys().all(same)
        }
        (Value::Array(new), Value::Array(old)) => new.len() == old.len() && new.iter().zip(old).all(|(new, old)| is_renamed(new, old)),
        _ => new == old,
    }
}
