//! Validation of what storage drivers tell the cluster: drivers, their nodes, capacities, attachments, attributes.
//!
//! Upstream: `pkg/apis/storage/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::core::persistent_volume_rules::{driver_name, spec as volume_spec};
use crate::{check, walk};

const LARGEST_METADATA: usize = 256 << 10;
const LONGEST_MESSAGE: usize = 1024;
/// Upstream: `csiNodeIDLongerMaxLength`.
const LONGEST_NODE_ID: usize = 256;
const MOST_PARAMETERS: usize = 512;

pub fn driver(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    if walk::at(spec, "attachRequired").is_null() {
        // Upstream: the path is misspelt.
        errors.push(FieldError::required(&path.child("attachedRequired"), ""));
    }
    for key in ["podInfoOnMount", "storageCapacity", "seLinuxMount"] {
        if walk::at(spec, key).is_null() {
            errors.push(FieldError::required(&path.child(key), ""));
        }
    }
    check::maybe_one_of(&mut errors, &path.child("fsGroupPolicy"), walk::text(spec, "fsGroupPolicy"), &["File", "None", "ReadWriteOnceWithFSType"]);
    token_requests(&mut errors, spec, &path.child("tokenRequests"));
    for mode in walk::list(spec, "volumeLifecycleModes").iter().filter_map(Value::as_str).filter(|m| !matches!(*m, "Persistent" | "Ephemeral")) {
        errors.push(FieldError::not_supported(&path.child("volumeLifecycleModes"), mode, &["Persistent", "Ephemeral"]));
    }
    if let Some(seconds) = walk::at(spec, "nodeAllocatableUpdatePeriodSeconds").as_i64().filter(|s| *s < 10) {
        errors.push(FieldError::invalid(&path.child("nodeAllocatableUpdatePeriodSeconds"), seconds, "must be greater than or equal to 10 seconds"));
    }
    if let Some(old) = old {
        for key in ["attachRequired", "volumeLifecycleModes"] {
            // Upstream: here too.
            let shown = if key == "attachRequired" { "attachedRequired" } else { key };
            check::immutable(&mut errors, &path.child(shown), walk::at(spec, key), walk::at(walk::at(old, "spec"), key));
        }
    }
    errors
}

fn token_requests(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let mut seen = HashSet::new();
    for (i, request) in walk::list(spec, "tokenRequests").iter().enumerate() {
        let (path, audience) = (path.index(i), walk::text(request, "audience"));
        if !seen.insert(audience) {
            errors.push(FieldError::duplicate(&path.child("audience"), audience));
            continue;
        }
        let fault = match walk::at(request, "expirationSeconds").as_i64() {
            Some(seconds) if seconds < 600 => "may not specify a duration less than 10 minutes",
            Some(seconds) if seconds > 1 << 32 => "may not specify a duration larger than 2^32 seconds",
            _ => continue,
        };
        errors.push(FieldError::invalid(&path.child("expirationSeconds"), walk::int(request, "expirationSeconds"), fault));
    }
}

pub fn node(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (drivers, list) = (walk::list(object, "spec.drivers"), Path::new("spec.drivers"));
    let mut seen = HashSet::new();
    for (i, driver) in drivers.iter().enumerate() {
        let (path, name) = (list.index(i), walk::text(driver, "name"));
        driver_name(&mut errors, name, &path.child("name"));
        let id = walk::text(driver, "nodeID");
        check::required(&mut errors, driver, "nodeID", &path, "");
        if id.len() > LONGEST_NODE_ID {
            errors.push(FieldError::invalid(&path.child("nodeID"), id, format!("must be {LONGEST_NODE_ID} characters or less")));
        }
        check::non_negative(&mut errors, walk::at(driver, "allocatable"), "count", &path.child("allocatable"));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        topology_keys(&mut errors, driver, &path);
    }
    for before in old.map(|old| walk::list(old, "spec.drivers")).into_iter().flatten() {
        for after in drivers.iter().filter(|d| walk::text(d, "name") == walk::text(before, "name")) {
            // How many volumes a node takes may change; the rest says who it is.
            let mut fixed = after.clone();
            walk::keep(&mut fixed, Some(before), "allocatable");
            if fixed != *before {
                // Upstream: the path is the type's name.
                errors.push(FieldError::invalid(&Path::new("CSINodeDriver"), after.clone(), check::IMMUTABLE));
            }
        }
    }
    errors
}

fn topology_keys(errors: &mut FieldErrors, driver: &Value, path: &Path) {
    let mut seen = HashSet::new();
    for key in walk::list(driver, "topologyKeys").iter().filter_map(Value::as_str) {
        if key.is_empty() {
            errors.push(FieldError::required(path, ""));
        }
        if !seen.insert(key) {
            errors.push(FieldError::duplicate(path, key));
        }
        // Upstream: all of them are told.
        errors.extend(names::qualified_name(key).into_iter().map(|fault| FieldError::invalid(path, walk::at(driver, "topologyKeys").clone(), fault)));
    }
}

pub fn capacity(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if let Some(old) = old {
        for key in ["nodeTopology", "storageClassName"] {
            check::immutable(&mut errors, &Path::new(key), walk::at(object, key), walk::at(old, key));
        }
        return errors;
    }
    check::label_selector(&mut errors, walk::at(object, "nodeTopology"), &Path::new("nodeTopology"));
    let class = walk::text(object, "storageClassName");
    check::syntax(&mut errors, &Path::new("storageClassName"), class, names::dns1123_subdomain(class));
    let amount = walk::at(object, "capacity");
    if check::amount(amount).is_some_and(|q| q.sign() < 0) {
        errors.push(FieldError::invalid(&Path::new("capacity"), amount.clone(), check::NEGATIVE));
    }
    errors
}

pub fn attachment(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    check::required(&mut errors, spec, "attacher", &path, "");
    source(&mut errors, walk::at(spec, "source"), &path.child("source"));
    let node = walk::text(spec, "nodeName");
    check::syntax(&mut errors, &path.child("nodeName"), node, names::dns1123_subdomain(node));
    errors.extend(attachment_status(object, object));
    match old {
        None => names_of_attachment(&mut errors, spec, &path),
        Some(old) => check::immutable(&mut errors, &path, spec, walk::at(old, "spec")),
    }
    errors
}

/// Upstream: `ValidateVolumeAttachmentV1`, of new objects alone.
fn names_of_attachment(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    driver_name(errors, walk::text(spec, "attacher"), &path.child("attacher"));
    if let Some(name) = walk::at(spec, "source.persistentVolumeName").as_str() {
        check::syntax(errors, &path.child("source").child("persistentVolumeName"), name, names::dns1123_subdomain(name));
    }
}

fn source(errors: &mut FieldErrors, source: &Value, path: &Path) {
    let (inline, name) = (walk::at(source, "inlineVolumeSpec"), walk::at(source, "persistentVolumeName").as_str());
    match (inline.is_object(), name) {
        (false, None) => errors.push(FieldError::required(path, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")),
        (true, Some(_)) => errors.push(FieldError::forbidden(path, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")),
        (false, Some("")) => errors.push(FieldError::required(&path.child("persistentVolumeName"), "must specify non empty persistentVolumeName")),
        (false, Some(_)) => {}
        (true, None) => volume_spec(errors, inline, None, &path.child("inlineVolumeSpec")),
    }
}

pub fn attachment_status(object: &Value, _: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (status, path) = (walk::at(object, "status"), Path::new("status"));
    let size: usize = walk::map(status, "attachmentMetadata").into_iter().flatten().map(|(k, v)| k.len() + v.as_str().unwrap_or_default().len()).sum();
    if size > LARGEST_METADATA {
        errors.push(FieldError::too_long(&path.child("attachmentMetadata"), LARGEST_METADATA));
    }
    for key in ["attachError", "detachError"] {
        let (error, path) = (walk::at(status, key), path.child(key));
        if walk::text(error, "message").len() > LONGEST_MESSAGE {
            // Upstream names the larger bound.
            errors.push(FieldError::too_long(&path.child("message"), LARGEST_METADATA));
        }
        if let Some(code) = walk::at(error, "errorCode").as_i64().filter(|code| *code < 0) {
            errors.push(FieldError::invalid(&path.child("errorCode"), code, "must be between 0 and 2147483647, inclusive"));
        }
    }
    errors
}

pub fn attributes_class(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if let Some(old) = old {
        for key in ["driverName", "parameters"] {
            if walk::at(object, key) != walk::at(old, key) {
                errors.push(FieldError::forbidden(&Path::new(key), format!("updates to {key} are forbidden.")));
            }
        }
    }
    provisioner(&mut errors, object, "driverName");
    parameters(&mut errors, walk::at(object, "parameters"), &Path::new("parameters"));
    if walk::map(object, "parameters").is_none_or(serde_json::Map::is_empty) {
        errors.push(FieldError::required(&Path::new("parameters"), "must contain at least one key/value pair"));
    }
    errors
}

/// Upstream: `validateProvisioner`, which looks at the name in lower case.
pub fn provisioner(errors: &mut FieldErrors, object: &Value, key: &str) {
    let (name, path) = (walk::text(object, key).to_lowercase(), Path::new(key));
    if name.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else {
        check::syntax(errors, &path, &name, names::qualified_name(&name));
    }
}

/// What a provisioner is told, of bounded size.
pub fn parameters(errors: &mut FieldErrors, parameters: &Value, path: &Path) {
    let Some(map) = parameters.as_object() else { return };
    if map.len() > MOST_PARAMETERS {
        return errors.push(FieldError::too_long(path, MOST_PARAMETERS));
    }
    let size: usize = map.iter().map(|(k, v)| k.len() + v.as_str().unwrap_or_default().len()).sum();
    if map.contains_key("") {
        errors.push(FieldError::invalid(path, "", "field can not be empty."));
    }
    if size > LARGEST_METADATA {
        errors.push(FieldError::too_long(path, LARGEST_METADATA));
    }
}
