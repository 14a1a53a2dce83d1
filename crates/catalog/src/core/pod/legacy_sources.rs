//! Validation of sources of volumes that were built in once: disks of clouds, storage systems. Their plugins are gone, their
//! fields are not.
//!
//! Upstream: `pkg/apis/core/validation/validation.go`.

use std::sync::LazyLock;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use regex::Regex;
use serde_json::Value;

use super::sources::{Owner, local_path};
use crate::check::{self, required};
use crate::walk;

const PARTITION: &str = "must be between 1 and 255, inclusive";
const LUN: &str = "must be between 0 and 255, inclusive";
const PORTS: &str = "must be a host:port pair or multiple pairs separated by commas";
/// Longest name of a portal with the volume's.
pub const PORTAL: usize = 64;
pub const LONG_PORTAL: &str = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";

pub fn one(errors: &mut FieldErrors, kind: &str, source: &Value, owner: Owner<'_>, path: &Path) {
    let of_volume = owner != Owner::Pod;
    match kind {
        "gitRepo" => {
            required(errors, source, "repository", path, "");
            local_path(errors, walk::text(source, "directory"), &path.child("directory"));
        }
        "gcePersistentDisk" => disk(errors, source, "pdName", path),
        "awsElasticBlockStore" => disk(errors, source, "volumeID", path),
        "iscsi" => iscsi(errors, source, owner, path),
        "glusterfs" => {
            required(errors, source, "endpoints", path, "");
            required(errors, source, "path", path, "");
            if of_volume {
                gluster_namespace(errors, walk::at(source, "endpointsNamespace"), &path.child("endpointsNamespace"));
            }
        }
        "flocker" => flocker(errors, source, path),
        "rbd" => {
            monitors(errors, source, path);
            required(errors, source, "image", path, "");
        }
        "cephfs" => monitors(errors, source, path),
        "cinder" => {
            required(errors, source, "volumeID", path, "");
            secret(errors, source, of_volume, path);
        }
        "quobyte" => quobyte(errors, source, path),
        "fc" => fibre(errors, source, path),
        "flexVolume" => flex(errors, source, path),
        "azureFile" => {
            required(errors, source, "secretName", path, "");
            required(errors, source, "shareName", path, "");
            if of_volume && walk::at(source, "secretNamespace").as_str() == Some("") {
                errors.push(FieldError::required(&path.child("secretNamespace"), ""));
            }
        }
        "azureDisk" => azure_disk(errors, source, path),
        "vsphereVolume" => required(errors, source, "volumePath", path, ""),
        "photonPersistentDisk" => required(errors, source, "pdID", path, ""),
        "portworxVolume" => required(errors, source, "volumeID", path, ""),
        "scaleIO" => ["gateway", "system", "volumeName"].iter().for_each(|key| required(errors, source, key, path, "")),
        "storageos" => {
            check::required_name(errors, &path.child("volumeName"), walk::text(source, "volumeName"), names::dns1123_label);
            check::optional_name(errors, &path.child("volumeNamespace"), walk::text(source, "volumeNamespace"), names::dns1123_label);
            secret(errors, source, of_volume, path);
        }
        _ => {}
    }
}

fn disk(errors: &mut FieldErrors, source: &Value, key: &str, path: &Path) {
    required(errors, source, key, path, "");
    let partition = walk::int(source, "partition");
    if !(0..=255).contains(&partition) {
        errors.push(FieldError::invalid(&path.child("partition"), partition, PARTITION));
    }
}

fn monitors(errors: &mut FieldErrors, source: &Value, path: &Path) {
    if walk::list(source, "monitors").is_empty() {
        errors.push(FieldError::required(&path.child("monitors"), ""));
    }
}

/// A persistent volume says in what namespace its secret lies.
fn secret(errors: &mut FieldErrors, source: &Value, of_volume: bool, path: &Path) {
    let secret = walk::at(source, "secretRef");
    if secret.is_object() {
        required(errors, secret, "name", &path.child("secretRef"), "");
        if of_volume {
            required(errors, secret, "namespace", &path.child("secretRef"), "");
        }
    }
}

fn gluster_namespace(errors: &mut FieldErrors, namespace: &Value, path: &Path) {
    match namespace.as_str() {
        None => {}
        Some("") => errors.push(FieldError::invalid(path, "", "if the endpointnamespace is set, it must be a valid namespace name")),
        Some(name) => check::syntax(errors, path, name, names::dns1123_label(name)),
    }
}

fn iscsi(errors: &mut FieldErrors, source: &Value, owner: Owner<'_>, path: &Path) {
    let portal = walk::text(source, "targetPortal");
    required(errors, source, "targetPortal", path, "");
    let initiator = walk::at(source, "initiatorName").as_str();
    if let Owner::Volume(name) = owner
        && initiator.is_some()
        && name.len() + 1 + portal.len() > PORTAL
    {
        errors.push(FieldError::invalid(&path.child("targetportal"), portal, LONG_PORTAL));
    }
    let prefix = if owner == Owner::Pod { "must be valid format starting with iqn, eui, or naa" } else { "must be valid format" };
    let name = walk::text(source, "iqn");
    match (name, target_fault(name, prefix)) {
        ("", _) => errors.push(FieldError::required(&path.child("iqn"), "")),
        (_, Some(fault)) => errors.push(FieldError::invalid(&path.child("iqn"), name, fault)),
        (_, None) => {}
    }
    let lun = walk::int(source, "lun");
    if !(0..=255).contains(&lun) {
        errors.push(FieldError::invalid(&path.child("lun"), lun, LUN));
    }
    let secret = walk::at(source, "secretRef");
    if (walk::flag(source, "chapAuthDiscovery") || walk::flag(source, "chapAuthSession")) && !secret.is_object() {
        errors.push(FieldError::required(&path.child("secretRef"), ""));
    }
    if owner != Owner::Pod && secret.is_object() {
        required(errors, secret, "name", &path.child("secretRef"), "");
    }
    if let Some((name, fault)) = initiator.and_then(|name| Some((name, target_fault(name, prefix)?))) {
        errors.push(FieldError::invalid(&path.child("initiatorname"), name, fault));
    }
}

/// What is wrong with the name of a target or of who asks it.
fn target_fault<'a>(name: &str, prefix: &'a str) -> Option<&'a str> {
    static FORMS: LazyLock<[(&str, Regex); 3]> = LazyLock::new(|| {
        let form = |text| Regex::new(text).expect("a constant pattern");
        [("iqn", form(r"iqn\.\d{4}-\d{2}\.([[:alnum:]\-.]+)(:[^,;*&$|\s]+)$")), ("eui", form("^eui.[[:alnum:]]{16}$")), ("naa", form("^naa.[[:alnum:]]{32}$"))]
    });
    match FORMS.iter().find(|(start, _)| name.starts_with(start)) {
        None => Some(prefix),
        Some((_, form)) => (!form.is_match(name)).then_some("must be valid format"),
    }
}

fn flocker(errors: &mut FieldErrors, source: &Value, path: &Path) {
    let (name, uuid) = (walk::text(source, "datasetName"), walk::text(source, "datasetUUID"));
    match (name.is_empty(), uuid.is_empty()) {
        (true, true) => errors.push(FieldError::required(path, "one of datasetName and datasetUUID is required")),
        (false, false) => errors.push(FieldError::invalid(path, "resource", "datasetName and datasetUUID can not be specified simultaneously")),
        _ => {}
    }
    if name.contains('/') {
        errors.push(FieldError::invalid(&path.child("datasetName"), name, "must not contain '/'"));
    }
}

fn quobyte(errors: &mut FieldErrors, source: &Value, path: &Path) {
    let registry = walk::text(source, "registry");
    if registry.is_empty() {
        errors.push(FieldError::required(&path.child("registry"), PORTS));
    } else if walk::text(source, "tenant").len() >= 65 {
        errors.push(FieldError::required(&path.child("tenant"), "must be a UUID and may not exceed a length of 64 characters"));
    } else {
        for _ in registry.split(',').filter(|pair| !is_host_and_port(pair)) {
            errors.push(FieldError::invalid(&path.child("registry"), registry, PORTS));
        }
    }
    required(errors, source, "volume", path, "");
}

/// What Go's `net.SplitHostPort` takes: one colon, but for those of an address in brackets.
fn is_host_and_port(pair: &str) -> bool {
    let Some((host, _)) = pair.rsplit_once(':') else { return false };
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|inner| !inner.contains(['[', ']'])),
        None => !host.contains([':', '[', ']']),
    }
}

fn fibre(errors: &mut FieldErrors, source: &Value, path: &Path) {
    let (targets, ids) = (walk::list(source, "targetWWNs"), walk::list(source, "wwids"));
    match (targets.is_empty(), ids.is_empty()) {
        (true, true) => errors.push(FieldError::required(&path.child("targetWWNs"), "must specify either targetWWNs or wwids, but not both")),
        (false, false) => errors.push(FieldError::invalid(&path.child("targetWWNs"), targets.to_vec(), "targetWWNs and wwids can not be specified simultaneously")),
        _ => {}
    }
    if targets.is_empty() {
        return;
    }
    match walk::at(source, "lun").as_i64() {
        None => errors.push(FieldError::required(&path.child("lun"), "lun is required if targetWWNs is specified")),
        Some(lun) if !(0..=255).contains(&lun) => errors.push(FieldError::invalid(&path.child("lun"), lun, LUN)),
        Some(_) => {}
    }
}

fn flex(errors: &mut FieldErrors, source: &Value, path: &Path) {
    required(errors, source, "driver", path, "");
    for (key, _) in walk::map(source, "options").into_iter().flatten() {
        let domain = format!(".{}", key.split('/').next().unwrap_or_default().to_lowercase());
        if domain.ends_with(".kubernetes.io") || domain.ends_with(".k8s.io") {
            errors.push(FieldError::invalid(&path.child("options").key(key), key.as_str(), "kubernetes.io and k8s.io namespaces are reserved"));
        }
    }
}

fn azure_disk(errors: &mut FieldErrors, source: &Value, path: &Path) {
    required(errors, source, "diskName", path, "");
    required(errors, source, "diskURI", path, "");
    check::maybe_one_of(errors, &path.child("cachingMode"), walk::text(source, "cachingMode"), &["None", "ReadOnly", "ReadWrite"]);
    let (kind, uri) = (walk::text(source, "kind"), walk::text(source, "diskURI"));
    check::maybe_one_of(errors, &path.child("kind"), kind, &["Dedicated", "Managed", "Shared"]);
    if kind == "Managed" && !uri.starts_with("/subscriptions/") {
        let form = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
        errors.push(FieldError::not_supported(&path.child("diskURI"), uri, &[form]));
    }
    if !matches!(kind, "" | "Managed") && !uri.starts_with("https://") {
        errors.push(FieldError::not_supported(&path.child("diskURI"), uri, &["https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"]));
    }
}
