//! Validation of environment variables and where they come from.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::check::{self, optional_name, required_name};
use crate::walk;

const FIELDS: [&str; 9] =
    ["metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"];
const VOLUME_FIELDS: [&str; 5] = ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];
const RESOURCES: [&str; 6] = ["limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"];
const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];

pub fn env(errors: &mut FieldErrors, container: &Value, path: &Path) {
    for (i, variable) in walk::list(container, "env").iter().enumerate() {
        let path = path.child("env").index(i);
        required_name(errors, &path.child("name"), walk::text(variable, "name"), names::env_var_name);
        let source = walk::at(variable, "valueFrom");
        if source.is_object() {
            value_from(errors, source, !walk::text(variable, "value").is_empty(), &path.child("valueFrom"));
        }
    }
    for (i, from) in walk::list(container, "envFrom").iter().enumerate() {
        env_from(errors, from, &path.child("envFrom"), i);
    }
}

fn value_from(errors: &mut FieldErrors, source: &Value, has_value: bool, path: &Path) {
    if walk::at(source, "fieldRef").is_object() {
        field_reference(errors, walk::at(source, "fieldRef"), false, &path.child("fieldRef"));
    }
    if walk::at(source, "resourceFieldRef").is_object() {
        resource_reference(errors, walk::at(source, "resourceFieldRef"), false, &path.child("resourceFieldRef"));
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        let reference = walk::at(source, kind);
        if reference.is_object() {
            let name = walk::text(reference, "name");
            check::syntax(errors, &path.child(kind).child("name"), name, names::dns1123_subdomain(name));
            required_name(errors, &path.child(kind).child("key"), walk::text(reference, "key"), names::config_map_key);
        }
    }
    if walk::at(source, "fileKeyRef").is_object() {
        file_key(errors, walk::at(source, "fileKeyRef"), &path.child("fileKeyRef"));
    }
    match SOURCES.iter().filter(|kind| walk::at(source, kind).is_object()).count() {
        0 => errors.push(FieldError::invalid(path, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`")),
        _ if has_value => errors.push(FieldError::invalid(path, "", "may not be specified when `value` is not empty")),
        1 => {}
        _ => errors.push(FieldError::invalid(path, "", "may not have more than one field specified at a time")),
    }
}

/// A variable of a file that another container wrote. Upstream: `validateFileKeySelector`.
fn file_key(errors: &mut FieldErrors, reference: &Value, path: &Path) {
    required_name(errors, &path.child("key"), walk::text(reference, "key"), names::env_var_name);
    required_name(errors, &path.child("volumeName"), walk::text(reference, "volumeName"), names::dns1123_label);
    let file = walk::text(reference, "path");
    if file.is_empty() {
        errors.push(FieldError::required(&path.child("path"), ""));
    }
    super::sources::no_backsteps(errors, file, &path.child("path"));
}

/// A file that variables are read from lies in an empty directory. Upstream: `validateFileKeyRefVolumes`.
pub fn files(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (i, container) in walk::list(spec, list).iter().enumerate() {
            for (j, variable) in walk::list(container, "env").iter().enumerate() {
                let reference = walk::at(variable, "valueFrom.fileKeyRef");
                if reference.is_object() {
                    let path = path.child(list).index(i).child("env").index(j).child("valueFrom").child("fileKeyRef").child("volumeName");
                    file_volume(errors, spec, walk::text(reference, "volumeName"), &path);
                }
            }
        }
    }
}

fn file_volume(errors: &mut FieldErrors, spec: &Value, name: &str, path: &Path) {
    match walk::list(spec, "volumes").iter().rev().find(|volume| walk::text(volume, "name") == name) {
        None => errors.push(FieldError::not_found(path, name)),
        Some(volume) if !walk::at(volume, "emptyDir").is_object() => errors.push(FieldError::invalid(path, name, "referenced volume must be of type emptyDir")),
        Some(_) => {}
    }
}

/// A field of the pod; volumes may also name whole maps.
pub fn field_reference(errors: &mut FieldErrors, reference: &Value, volume: bool, path: &Path) {
    let field = walk::text(reference, "fieldPath");
    if walk::text(reference, "apiVersion").is_empty() {
        return errors.push(FieldError::required(&path.child("apiVersion"), ""));
    }
    if field.is_empty() {
        return errors.push(FieldError::required(&path.child("fieldPath"), ""));
    }
    if let Some((map, key)) = field.strip_suffix("']").and_then(|f| f.split_once("['")) {
        match map {
            "metadata.annotations" => check::syntax(errors, path, key, names::qualified_name(&key.to_lowercase())),
            "metadata.labels" => check::syntax(errors, path, key, names::qualified_name(key)),
            other => errors.push(FieldError::invalid(path, other, "does not support subscript")),
        }
        return;
    }
    let known: &[&str] = if volume { &VOLUME_FIELDS } else { &FIELDS };
    if !FIELDS.contains(&field) && !VOLUME_FIELDS.contains(&field) {
        errors.push(FieldError::invalid(&path.child("fieldPath"), field, format!("error converting fieldPath: field label not supported: {field}")));
    } else if !known.contains(&field) {
        errors.push(FieldError::not_supported(&path.child("fieldPath"), field, known));
    }
}

pub fn resource_reference(errors: &mut FieldErrors, reference: &Value, volume: bool, path: &Path) {
    let resource = walk::text(reference, "resource");
    if volume && walk::text(reference, "containerName").is_empty() {
        errors.push(FieldError::required(&path.child("containerName"), ""));
    } else if resource.is_empty() {
        errors.push(FieldError::required(&path.child("resource"), ""));
    } else if !RESOURCES.contains(&resource) && !resource.starts_with("limits.hugepages-") && !resource.starts_with("requests.hugepages-") {
        errors.push(FieldError::not_supported(&path.child("resource"), resource, &RESOURCES));
    }
    let divisor = walk::text(reference, "divisor");
    if divisor.is_empty() || divisor == "0" {
        return;
    }
    let units = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];
    let of = match resource {
        "limits.cpu" | "requests.cpu" if matches!(divisor, "1m" | "1") => return,
        "limits.cpu" | "requests.cpu" => return errors.push(FieldError::invalid(&path.child("divisor"), resource, "only divisor's values 1m and 1 are supported with the cpu resource")),
        "limits.memory" | "requests.memory" => "memory",
        "limits.ephemeral-storage" | "requests.ephemeral-storage" => "local ephemeral storage",
        _ if resource.starts_with("limits.hugepages-") || resource.starts_with("requests.hugepages-") => "hugepages",
        _ => return,
    };
    if !units.contains(&divisor) {
        errors.push(FieldError::invalid(&path.child("divisor"), resource, format!("only divisor's values {} are supported with the {of} resource", units.join(", "))));
    }
}

fn env_from(errors: &mut FieldErrors, from: &Value, list: &Path, i: usize) {
    let path = list.index(i);
    optional_name(errors, &path.child("prefix"), walk::text(from, "prefix"), names::env_var_name);
    let given: Vec<_> = ["configMapRef", "secretRef"].into_iter().filter(|kind| walk::at(from, kind).is_object()).collect();
    for kind in &given {
        required_name(errors, &path.child(kind).child("name"), walk::text(walk::at(from, kind), "name"), names::dns1123_subdomain);
    }
    match given.len() {
        0 => errors.push(FieldError::invalid(list, "", "must specify one of: `configMapRef` or `secretRef`")),
        1 => {}
        _ => errors.push(FieldError::invalid(list, "", "may not have more than one field specified at a time")),
    }
}
