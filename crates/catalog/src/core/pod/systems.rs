//! What pods for one operating system may not ask for.
//!
//! Upstream: `validateOS`, `validateLinux`, `validateWindows`, `validateHostUsers` in
//! `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::walk;

const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
const NOT_OWN_USERS: &str = "when `hostUsers` is false";
/// In upstream's order; those with a place stand in the pod's security context.
const LINUX_ONLY: [(&str, &[&str]); 5] = [
    ("securityContext", &["appArmorProfile", "seLinuxOptions"]),
    ("", &["hostUsers", "hostPID", "hostIPC"]),
    ("securityContext", &["seccompProfile", "fsGroup", "fsGroupChangePolicy", "sysctls"]),
    ("", &["shareProcessNamespace"]),
    ("securityContext", &["runAsUser", "runAsGroup", "supplementalGroups", "supplementalGroupsPolicy", "seLinuxChangePolicy"]),
];
const LINUX_ONLY_OF_CONTAINERS: [&str; 10] =
    ["appArmorProfile", "seLinuxOptions", "seccompProfile", "capabilities", "readOnlyRootFilesystem", "privileged", "allowPrivilegeEscalation", "procMount", "runAsUser", "runAsGroup"];

pub fn validate(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    if !walk::at(spec, "os").is_object() {
        return;
    }
    match walk::text(spec, "os.name") {
        "" => errors.push(FieldError::required(&path.child("os").child("name"), "")),
        "linux" => linux(errors, spec, path),
        "windows" => windows(errors, spec, path),
        other => errors.push(FieldError::not_supported(&path.child("os"), other, &["linux", "windows"])),
    }
}

/// A pod with users of its own shares no other namespace with its host.
pub fn own_users(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    if walk::at(spec, "hostUsers").as_bool() != Some(false) {
        return;
    }
    // Upstream writes the last two so.
    for (key, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if walk::flag(spec, key) {
            errors.push(FieldError::forbidden(&path.child(shown), NOT_OWN_USERS));
        }
    }
    for list in LISTS {
        for (i, _) in walk::list(spec, list).iter().enumerate().filter(|(_, container)| !walk::list(container, "volumeDevices").is_empty()) {
            errors.push(FieldError::forbidden(&path.child(list).index(i).child("volumeDevices"), NOT_OWN_USERS));
        }
    }
}

/// The security contexts of all containers.
fn contexts<'a>(spec: &'a Value, path: &Path) -> Vec<(&'a Value, Path)> {
    let lists = LISTS.into_iter();
    let of = |list: &'static str| walk::list(spec, list).iter().enumerate().map(move |(i, container)| (list, i, walk::at(container, "securityContext")));
    lists.flat_map(of).map(|(list, i, context)| (context, path.child(list).index(i).child("securityContext"))).collect()
}

fn linux(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let own = (walk::at(spec, "securityContext"), path.child("securityContext"));
    for (context, path) in std::iter::once(own).chain(contexts(spec, path)) {
        if walk::at(context, "windowsOptions").is_object() {
            errors.push(FieldError::forbidden(&path.child("windowsOptions"), "windows options cannot be set for a linux pod"));
        }
    }
}

fn windows(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let mut refuse = |path: Path, value: &Value| {
        let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !empty {
            errors.push(FieldError::forbidden(&path, "cannot be set for a windows pod"));
        }
    };
    for (place, keys) in LINUX_ONLY {
        for key in keys {
            let value = if place.is_empty() { walk::at(spec, key) } else { walk::at(walk::at(spec, place), key) };
            // Sharing that is turned off asks for nothing.
            if !matches!(*key, "hostPID" | "hostIPC") || *value == Value::Bool(true) {
                refuse(if place.is_empty() { path.child(key) } else { path.child(place).child(key) }, value);
            }
        }
    }
    for (context, path) in contexts(spec, path) {
        for key in LINUX_ONLY_OF_CONTAINERS {
            refuse(path.child(key), walk::at(context, key));
        }
    }
}
