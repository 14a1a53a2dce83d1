//! PersistentVolumeClaims.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Map, Value, json};

use super::persistent_volume::{access_modes, attributes_class, class, phase};
use crate::check;
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
            rules.validate = validate;
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

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];

/// A claim's spec; also of those in ephemeral volumes and stateful sets.
pub fn spec(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let modes = walk::list(spec, "accessModes");
    if modes.is_empty() {
        errors.push(FieldError::required(&path.child("accessModes"), "at least 1 access mode is required"));
    }
    for mode in modes.iter().filter_map(Value::as_str) {
        check::maybe_one_of(errors, &path.child("accessModes"), mode, &MODES);
    }
    if modes.len() > 1 && modes.iter().any(|m| m == "ReadWriteOncePod") {
        errors.push(FieldError::forbidden(&path.child("accessModes"), "may not use ReadWriteOncePod with other access modes"));
    }
    check::label_selector(errors, walk::at(spec, "selector"), &path.child("selector"));
    let storage = walk::at(spec, "resources.requests.storage");
    let storage_path = path.child("resources").key("storage");
    match check::amount(storage) {
        None => errors.push(FieldError::required(&storage_path, "")),
        Some(amount) if amount.sign() <= 0 => errors.push(FieldError::invalid(&storage_path, storage.clone(), "must be greater than zero")),
        Some(_) => {}
    }
    check::optional_name(errors, &path.child("storageClassName"), walk::text(spec, "storageClassName"), api::names::dns1123_subdomain);
    check::maybe_one_of(errors, &path.child("volumeMode"), walk::text(spec, "volumeMode"), &["Block", "Filesystem"]);
}

/// Upstream: `ValidatePersistentVolumeClaimUpdate`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("spec");
    spec(&mut errors, walk::at(object, "spec"), &path);
    let Some(old) = old else { return errors };
    let (mut new_spec, old_spec) = (walk::at(object, "spec").clone(), walk::at(old, "spec"));
    let requests = |spec: &Value| check::amount(walk::at(spec, "resources.requests.storage"));
    if let (Some(new), Some(before)) = (requests(&new_spec), requests(old_spec))
        && walk::text(old, "status.phase") == "Bound"
        && new < before
        && check::amount(walk::at(old, "status.capacity.storage")).is_none_or(|held| new <= held)
    {
        errors.push(FieldError::forbidden(&path.child("resources").child("requests").child("storage"), "field can not be less than status.capacity"));
    }
    let mut keys = vec!["resources", "volumeAttributesClassName"];
    if walk::text(old_spec, "volumeName").is_empty() {
        keys.push("volumeName");
    }
    // Upstream: a default class may be set later where none was named.
    if walk::at(old_spec, "storageClassName").is_null() {
        keys.push("storageClassName");
    }
    for key in keys {
        walk::keep(&mut new_spec, Some(old_spec), key);
    }
    if new_spec != *old_spec {
        errors.push(FieldError::forbidden(&path, "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));
    }
    errors
}
