//! Validation of where containers mount volumes, and which they use as devices.
//!
//! Upstream: `ValidateVolumeMounts` and `ValidateVolumeDevices` in `pkg/apis/core/validation/validation.go`.

use std::collections::{HashMap, HashSet};

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::sources::{local_path, no_backsteps};
use super::volumes::Volumes;
use crate::check::{self, required};
use crate::walk;

/// Names and places of one of the two lists, to see that none is in both.
struct Taken<'a> {
    names: HashSet<&'a str>,
    places: HashSet<&'a str>,
}

impl<'a> Taken<'a> {
    /// Upstream (`GetVolumeMountMap`) keeps the last place of each name alone.
    fn by(container: &'a Value, list: &str, place: &str) -> Self {
        let by_name: HashMap<_, _> = walk::list(container, list).iter().map(|entry| (walk::text(entry, "name"), walk::text(entry, place))).collect();
        Self { names: by_name.keys().copied().collect(), places: by_name.into_values().collect() }
    }
}

/// `volumeMounts` and `volumeDevices` of a container.
pub fn validate(errors: &mut FieldErrors, container: &Value, volumes: &Volumes<'_>, path: &Path) {
    let (mounts, devices) = (Taken::by(container, "volumeMounts", "mountPath"), Taken::by(container, "volumeDevices", "devicePath"));
    let (mut points, list) = (HashSet::new(), path.child("volumeMounts"));
    for (i, mount) in walk::list(container, "volumeMounts").iter().enumerate() {
        place(errors, mount, volumes, &mut points, &devices, &list.index(i));
        options(errors, mount, container, &list, &list.index(i));
    }
    let mut own = Taken { names: HashSet::new(), places: HashSet::new() };
    for (i, device) in walk::list(container, "volumeDevices").iter().enumerate() {
        self::device(errors, device, volumes, &mut own, &mounts, &path.child("volumeDevices").index(i));
    }
}

fn place<'a>(errors: &mut FieldErrors, mount: &'a Value, volumes: &Volumes<'_>, points: &mut HashSet<&'a str>, devices: &Taken<'_>, path: &Path) {
    let (name, point) = (walk::text(mount, "name"), walk::text(mount, "mountPath"));
    required(errors, mount, "name", path, "");
    if !volumes.contains_key(name) {
        errors.push(FieldError::not_found(&path.child("name"), name));
    }
    required(errors, mount, "mountPath", path, "");
    if !points.insert(point) {
        errors.push(FieldError::invalid(&path.child("mountPath"), point, "must be unique"));
    }
    if devices.names.contains(name) {
        errors.push(FieldError::invalid(&path.child("name"), name, "must not already exist in volumeDevices"));
    }
    if devices.places.contains(point) {
        errors.push(FieldError::invalid(&path.child("mountPath"), point, "must not already exist as a path in volumeDevices"));
    }
}

/// Upstream: most of these paths lack the mount's place.
fn options(errors: &mut FieldErrors, mount: &Value, container: &Value, list: &Path, path: &Path) {
    let (sub, expression) = (walk::text(mount, "subPath"), walk::text(mount, "subPathExpr"));
    local_path(errors, sub, &list.child("subPath"));
    if !expression.is_empty() && !sub.is_empty() {
        errors.push(FieldError::invalid(&path.child("subPathExpr"), expression, "subPathExpr and subPath are mutually exclusive"));
    }
    local_path(errors, expression, &list.child("subPathExpr"));
    let propagation = walk::text(mount, "mountPropagation");
    check::maybe_one_of(errors, &list.child("mountPropagation"), propagation, &["Bidirectional", "HostToContainer", "None"]);
    if propagation == "Bidirectional" && !walk::flag(container, "securityContext.privileged") {
        errors.push(FieldError::forbidden(&list.child("mountPropagation"), "Bidirectional mount propagation is available only to privileged containers"));
    }
    recursive_read_only(errors, mount, &list.child("recursiveReadOnly"));
}

/// Upstream: `validateMountRecursiveReadOnly`.
fn recursive_read_only(errors: &mut FieldErrors, mount: &Value, path: &Path) {
    let asked = walk::text(mount, "recursiveReadOnly");
    check::maybe_one_of(errors, path, asked, &["Disabled", "Enabled", "IfPossible"]);
    if !matches!(asked, "Enabled" | "IfPossible") {
        return;
    }
    if !walk::flag(mount, "readOnly") {
        errors.push(FieldError::forbidden(path, "may only be specified when readOnly is true"));
    }
    if !matches!(walk::text(mount, "mountPropagation"), "" | "None") {
        errors.push(FieldError::forbidden(path, "may only be specified when mountPropagation is None or not specified"));
    }
}

fn device<'a>(errors: &mut FieldErrors, device: &'a Value, volumes: &Volumes<'_>, own: &mut Taken<'a>, mounts: &Taken<'_>, path: &Path) {
    let (name, place) = (walk::text(device, "name"), walk::text(device, "devicePath"));
    let (name_path, place_path) = (path.child("name"), path.child("devicePath"));
    required(errors, device, "name", path, "");
    if !name.is_empty() && !own.names.insert(name) {
        errors.push(FieldError::invalid(&name_path, name, "must be unique"));
    }
    match volumes.get(name) {
        None => errors.push(FieldError::not_found(&name_path, name)),
        Some(source) if !walk::at(source, "persistentVolumeClaim").is_object() && !walk::at(source, "ephemeral").is_object() => {
            errors.push(FieldError::invalid(&name_path, name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"));
        }
        Some(_) => {}
    }
    required(errors, device, "devicePath", path, "");
    if own.places.contains(place) {
        errors.push(FieldError::invalid(&place_path, place, "must be unique"));
    }
    let mut steps = FieldErrors::new();
    no_backsteps(&mut steps, place, path);
    if steps.is_empty() {
        own.places.insert(place);
    } else {
        errors.push(FieldError::invalid(&place_path, place, "can not contain backsteps ('..')"));
    }
    if mounts.names.contains(name) {
        errors.push(FieldError::invalid(&name_path, name, "must not already exist in volumeMounts"));
    }
    if mounts.places.contains(place) {
        errors.push(FieldError::invalid(&place_path, place, "must not already exist as a path in volumeMounts"));
    }
}
