//! Validation of where the files of a volume come from, of pods and of persistent volumes.
//!
//! Upstream: `validateVolumeSource`, `ValidatePersistentVolumeSpec` and what they call in
//! `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::{legacy_sources, projected};
use crate::check::{self, required};
use crate::core::persistent_volume_rules::driver_name;
use crate::{metadata, walk};

const POLICIES: [&str; 3] = ["Always", "IfNotPresent", "Never"];
const HOST_TYPES: [&str; 8] = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
/// What of a claim's metadata may be said before it is made.
const CLAIM_MARKS: [&str; 2] = ["annotations", "labels"];

/// Whose volume it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    Pod,
    /// A persistent volume, by its name.
    Volume(&'a str),
}

/// `path` is that of the volume or of the persistent volume's spec.
pub fn one(errors: &mut FieldErrors, kind: &str, source: &Value, owner: Owner<'_>, path: &Path) {
    // Upstream writes this one so.
    let path = &path.child(if kind == "gcePersistentDisk" { "persistentDisk" } else { kind });
    match kind {
        "emptyDir" => {
            if check::amount(walk::at(source, "sizeLimit")).is_some_and(|q| q.sign() < 0) {
                errors.push(FieldError::forbidden(&path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity"));
            }
        }
        "hostPath" => host_path(errors, source, path),
        "local" => local(errors, source, path),
        "secret" => {
            required(errors, source, "secretName", path, "");
            projected::files(errors, source, path);
        }
        "configMap" => {
            required(errors, source, "name", path, "");
            projected::files(errors, source, path);
        }
        "downwardAPI" => {
            projected::mode(errors, source, "defaultMode", path);
            projected::downward(errors, source, path);
        }
        "projected" => projected::validate(errors, source, path),
        "persistentVolumeClaim" => required(errors, source, "claimName", path, ""),
        "nfs" => nfs(errors, source, path),
        "csi" if owner == Owner::Pod => csi_of_pod(errors, source, path),
        "csi" => csi_of_volume(errors, source, path),
        "image" => {
            required(errors, source, "reference", path, "");
            check::one_of(errors, &path.child("pullPolicy"), walk::text(source, "pullPolicy"), &POLICIES);
        }
        "ephemeral" => ephemeral(errors, walk::at(source, "volumeClaimTemplate"), &path.child("volumeClaimTemplate")),
        _ => legacy_sources::one(errors, kind, source, owner, path),
    }
}

fn host_path(errors: &mut FieldErrors, source: &Value, path: &Path) {
    let place = walk::text(source, "path");
    if place.is_empty() {
        return errors.push(FieldError::required(&path.child("path"), ""));
    }
    no_backsteps(errors, place, &path.child("path"));
    check::maybe_one_of(errors, &path.child("type"), walk::text(source, "type"), &HOST_TYPES);
}

fn local(errors: &mut FieldErrors, source: &Value, path: &Path) {
    required(errors, source, "path", path, "");
    no_backsteps(errors, walk::text(source, "path"), &path.child("path"));
}

fn nfs(errors: &mut FieldErrors, source: &Value, path: &Path) {
    required(errors, source, "server", path, "");
    required(errors, source, "path", path, "");
    let place = walk::text(source, "path");
    if !place.starts_with('/') {
        errors.push(FieldError::invalid(&path.child("path"), place, "must be an absolute path"));
    }
}

fn csi_of_pod(errors: &mut FieldErrors, source: &Value, path: &Path) {
    driver_name(errors, walk::text(source, "driver"), &path.child("driver"));
    let secret = walk::at(source, "nodePublishSecretRef");
    if !secret.is_object() {
        return;
    }
    match walk::text(secret, "name") {
        "" => errors.push(FieldError::required(&path.child("nodePublishSecretRef").child("name"), "")),
        // Upstream: the path lacks the reference.
        name => check::syntax(errors, &path.child("name"), name, names::dns1123_subdomain(name)),
    }
}

fn csi_of_volume(errors: &mut FieldErrors, source: &Value, path: &Path) {
    driver_name(errors, walk::text(source, "driver"), &path.child("driver"));
    required(errors, source, "volumeHandle", path, "");
    for key in ["controllerPublishSecretRef", "controllerExpandSecretRef", "nodePublishSecretRef", "nodeExpandSecretRef"] {
        let (reference, path) = (walk::at(source, key), path.child(key));
        if reference.is_object() {
            check::required_name(errors, &path.child("name"), walk::text(reference, "name"), names::dns1123_subdomain);
            check::required_name(errors, &path.child("namespace"), walk::text(reference, "namespace"), names::dns1123_label);
        }
    }
}

/// Upstream: `ValidatePersistentVolumeClaimTemplate`.
fn ephemeral(errors: &mut FieldErrors, template: &Value, path: &Path) {
    if !template.is_object() {
        return errors.push(FieldError::required(path, ""));
    }
    let (marks, at) = (walk::at(template, "metadata"), path.child("metadata"));
    errors.extend(metadata::validate_annotations(walk::at(marks, "annotations"), &at.child("annotations")));
    errors.extend(metadata::validate_labels(walk::at(marks, "labels"), &at.child("labels")));
    for (key, _) in marks.as_object().into_iter().flatten().filter(|(key, value)| !CLAIM_MARKS.contains(&key.as_str()) && !value.is_null()) {
        errors.push(FieldError::forbidden(&at.child(key), "cannot be set"));
    }
    crate::core::persistent_volume_claim_rules::spec(errors, walk::at(template, "spec"), &path.child("spec"));
}

/// A path that stays below where it starts.
pub fn local_path(errors: &mut FieldErrors, target: &str, path: &Path) {
    if target.starts_with('/') {
        errors.push(FieldError::invalid(path, target, "must be a relative path"));
    }
    no_backsteps(errors, target, path);
}

pub fn no_backsteps(errors: &mut FieldErrors, target: &str, path: &Path) {
    if target.split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid(path, target, "must not contain '..'"));
    }
}

/// A path below where it starts, whose first part does not look like the way up either. Upstream:
/// `ValidateLocalNonReservedPath`.
pub fn unreserved_path(errors: &mut FieldErrors, target: &str, path: &Path) {
    local_path(errors, target, path);
    if target.starts_with("..") && !target.starts_with("../") {
        errors.push(FieldError::invalid(path, target, "must not start with '..'"));
    }
}
