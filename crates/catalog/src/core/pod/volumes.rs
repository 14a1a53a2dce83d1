//! Validation of volumes and where containers mount them.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::environment::{field_reference, resource_reference};
use crate::check::{self, required_name};
use crate::walk;

/// Checks the volumes of a pod and returns the names of the good ones.
pub fn volumes<'a>(errors: &mut FieldErrors, spec: &'a Value, path: &Path) -> HashSet<&'a str> {
    let mut good = HashSet::new();
    for (i, volume) in walk::list(spec, "volumes").iter().enumerate() {
        let (path, name) = (path.index(i), walk::text(volume, "name"));
        let before = errors.len();
        source(errors, volume, &path);
        required_name(errors, &path.child("name"), name, names::dns1123_label);
        if good.contains(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        if errors.len() == before {
            good.insert(name);
        }
    }
    good
}

/// Tokens of an account need one; templates may still get theirs.
pub fn tokens(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    if !walk::text(spec, "serviceAccountName").is_empty() {
        return;
    }
    for (i, volume) in walk::list(spec, "volumes").iter().enumerate() {
        for (j, part) in walk::list(volume, "projected.sources").iter().enumerate() {
            if part["serviceAccountToken"].is_object() {
                let path = path.child("volumes").index(i).child("projected").child("sources").index(j).child("serviceAccountToken");
                errors.push(FieldError::forbidden(&path, "must not be specified when serviceAccountName is not set"));
            }
        }
    }
}

fn source(errors: &mut FieldErrors, volume: &Value, path: &Path) {
    let mut given = 0;
    for (kind, source) in volume.as_object().into_iter().flatten().filter(|(key, value)| *key != "name" && value.is_object()) {
        let path = path.child(kind);
        given += 1;
        if given > 1 {
            errors.push(FieldError::forbidden(&path, "may not specify more than 1 volume type"));
            continue;
        }
        one_source(errors, kind, source, &path);
    }
    if given == 0 {
        errors.push(FieldError::required(path, "must specify a volume type"));
    }
}

/// One kind of source, wherever it stands: in a pod, in a persistent volume.
pub fn one_source(errors: &mut FieldErrors, kind: &str, source: &Value, path: &Path) {
    let needs = |errors: &mut FieldErrors, key: &str| {
        if walk::text(source, key).is_empty() {
            errors.push(FieldError::required(&path.child(key), ""));
        }
    };
    match kind {
        "emptyDir" => {
            let limit = walk::at(source, "sizeLimit");
            if check::amount(limit).is_some_and(|q| q.sign() < 0) {
                errors.push(FieldError::forbidden(&path.child("sizeLimit"), "SizeLimit field must be a valid resource quantity"));
            }
        }
        "hostPath" => {
            needs(errors, "path");
            no_backsteps(errors, walk::text(source, "path"), &path.child("path"));
            let types = ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];
            check::maybe_one_of(errors, &path.child("type"), walk::text(source, "type"), &types);
        }
        "secret" => {
            needs(errors, "secretName");
            files(errors, source, path);
        }
        "configMap" => {
            needs(errors, "name");
            files(errors, source, path);
        }
        "downwardAPI" => {
            mode(errors, source, "defaultMode", path);
            downward(errors, source, path);
        }
        "projected" => projected(errors, source, path),
        "persistentVolumeClaim" => needs(errors, "claimName"),
        "nfs" => {
            needs(errors, "server");
            needs(errors, "path");
            let place = walk::text(source, "path");
            if !place.is_empty() && !place.starts_with('/') {
                errors.push(FieldError::invalid(&path.child("path"), place, "must be an absolute path"));
            }
        }
        "csi" => needs(errors, "driver"),
        "image" => {
            needs(errors, "reference");
            check::maybe_one_of(errors, &path.child("pullPolicy"), walk::text(source, "pullPolicy"), &["Always", "IfNotPresent", "Never"]);
        }
        "ephemeral" => match walk::at(source, "volumeClaimTemplate") {
            template if template.is_object() => crate::core::persistent_volume_claim_rules::spec(errors, walk::at(template, "spec"), &path.child("volumeClaimTemplate").child("spec")),
            _ => errors.push(FieldError::required(&path.child("volumeClaimTemplate"), "")),
        },
        _ => {}
    }
}

fn mode(errors: &mut FieldErrors, source: &Value, key: &str, path: &Path) {
    if let Some(mode) = walk::at(source, key).as_i64().filter(|m| !(0..=0o777).contains(m)) {
        errors.push(FieldError::invalid(&path.child(key), mode, "must be a number between 0 and 0777 (octal), both inclusive"));
    }
}

fn files(errors: &mut FieldErrors, source: &Value, path: &Path) {
    mode(errors, source, "defaultMode", path);
    items(errors, source, path);
}

fn items(errors: &mut FieldErrors, source: &Value, path: &Path) {
    for (i, item) in walk::list(source, "items").iter().enumerate() {
        let path = path.child("items").index(i);
        for key in ["key", "path"] {
            if walk::text(item, key).is_empty() {
                errors.push(FieldError::required(&path.child(key), ""));
            }
        }
        local_path(errors, walk::text(item, "path"), &path.child("path"));
        mode(errors, item, "mode", &path);
    }
}

fn downward(errors: &mut FieldErrors, source: &Value, path: &Path) {
    for (i, item) in walk::list(source, "items").iter().enumerate() {
        // Upstream: the path lacks the item's place.
        let _ = i;
        if walk::text(item, "path").is_empty() {
            errors.push(FieldError::required(&path.child("path"), ""));
        }
        local_path(errors, walk::text(item, "path"), &path.child("path"));
        let (field, resource) = (walk::at(item, "fieldRef"), walk::at(item, "resourceFieldRef"));
        match (field.is_object(), resource.is_object()) {
            (true, both) => {
                field_reference(errors, field, true, &path.child("fieldRef"));
                if both {
                    errors.push(FieldError::invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"));
                }
            }
            (false, true) => resource_reference(errors, resource, true, &path.child("resourceFieldRef")),
            (false, false) => errors.push(FieldError::required(path, "one of fieldRef and resourceFieldRef is required")),
        }
        mode(errors, item, "mode", path);
    }
}

fn projected(errors: &mut FieldErrors, source: &Value, path: &Path) {
    mode(errors, source, "defaultMode", path);
    let mut taken = HashSet::new();
    for (i, part) in walk::list(source, "sources").iter().enumerate() {
        let path = path.child("sources").index(i);
        let given: Vec<_> = part.as_object().into_iter().flatten().filter(|(_, v)| v.is_object()).collect();
        if given.len() > 1 {
            errors.push(FieldError::forbidden(&path, "may not specify more than 1 volume type"));
        }
        let Some((kind, part)) = given.first() else {
            errors.push(FieldError::required(&path, "must specify a volume type"));
            continue;
        };
        let path = path.child(kind);
        match kind.as_str() {
            "secret" | "configMap" => {
                if walk::text(part, "name").is_empty() {
                    errors.push(FieldError::required(&path.child("name"), ""));
                }
                items(errors, part, &path);
            }
            "downwardAPI" => downward(errors, part, &path),
            "serviceAccountToken" => {
                let seconds = walk::int(part, "expirationSeconds");
                if seconds < 600 {
                    errors.push(FieldError::invalid(&path.child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes"));
                } else if seconds > 1 << 32 {
                    errors.push(FieldError::invalid(&path.child("expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds"));
                }
                if walk::text(part, "path").is_empty() {
                    errors.push(FieldError::required(&path.child("path"), ""));
                }
            }
            _ => {}
        }
        let own = Some(walk::text(part, "path")).filter(|p| !p.is_empty());
        for file in walk::list(part, "items").iter().map(|item| walk::text(item, "path")).chain(own) {
            if !file.is_empty() && !taken.insert(file) {
                errors.push(FieldError::invalid(&path, walk::text(part, "name"), format!("conflicting duplicate paths: {file}")));
            }
        }
    }
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

/// `volumeMounts` and `volumeDevices` of a container.
pub fn mounts(errors: &mut FieldErrors, container: &Value, volumes: &HashSet<&str>, path: &Path) {
    let devices: HashSet<_> = walk::list(container, "volumeDevices").iter().map(|d| walk::text(d, "devicePath")).collect();
    let mut points = HashSet::new();
    let list = path.child("volumeMounts");
    for (i, mount) in walk::list(container, "volumeMounts").iter().enumerate() {
        let path = list.index(i);
        let (name, point) = (walk::text(mount, "name"), walk::text(mount, "mountPath"));
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        }
        if !volumes.contains(name) {
            errors.push(FieldError::not_found(&path.child("name"), name));
        }
        if point.is_empty() {
            errors.push(FieldError::required(&path.child("mountPath"), ""));
        }
        if !points.insert(point) {
            errors.push(FieldError::invalid(&path.child("mountPath"), point, "must be unique"));
        }
        if devices.contains(point) {
            errors.push(FieldError::invalid(&path.child("mountPath"), point, "must not already exist as a path in volumeDevices"));
        }
        let (sub, expression) = (walk::text(mount, "subPath"), walk::text(mount, "subPathExpr"));
        // Upstream: these paths lack the mount's place.
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
    }
    for (i, mount) in walk::list(container, "volumeMounts").iter().enumerate() {
        recursive_read_only(errors, mount, &path.child("volumeMounts").index(i));
    }
    for (i, device) in walk::list(container, "volumeDevices").iter().enumerate() {
        let path = path.child("volumeDevices").index(i);
        let (name, place) = (walk::text(device, "name"), walk::text(device, "devicePath"));
        if name.is_empty() {
            errors.push(FieldError::required(&path.child("name"), ""));
        } else if !volumes.contains(name) {
            errors.push(FieldError::not_found(&path.child("name"), name));
        }
        if place.is_empty() {
            errors.push(FieldError::required(&path.child("devicePath"), ""));
        }
    }
}

/// Upstream: `validateMountRecursiveReadOnly`.
fn recursive_read_only(errors: &mut FieldErrors, mount: &Value, path: &Path) {
    let (asked, path) = (walk::text(mount, "recursiveReadOnly"), path.child("recursiveReadOnly"));
    check::maybe_one_of(errors, &path, asked, &["Disabled", "Enabled", "IfPossible"]);
    if !matches!(asked, "Enabled" | "IfPossible") {
        return;
    }
    if !walk::flag(mount, "readOnly") {
        errors.push(FieldError::forbidden(&path, "may only be specified when readOnly is true"));
    }
    if !matches!(walk::text(mount, "mountPropagation"), "" | "None") {
        errors.push(FieldError::forbidden(&path, "may only be specified when mountPropagation is None or not specified"));
    }
}
