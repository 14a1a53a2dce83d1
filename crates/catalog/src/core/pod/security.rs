//! Validation of security contexts.
//!
//! Upstream: `validatePodSpecSecurityContext`, `ValidateSecurityContext` and the profiles they call in
//! `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use super::sources::local_path;
use super::windows;
use crate::check;
use crate::walk;

const IDS: &str = "must be between 0 and 2147483647, inclusive";
const KINDS: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
/// Longest path of a profile.
const LONGEST_PROFILE: usize = 4095;

fn id(errors: &mut FieldErrors, context: &Value, key: &str, path: &Path) {
    if let Some(id) = walk::at(context, key).as_i64().filter(|id| !(0..=i64::from(i32::MAX)).contains(id)) {
        errors.push(FieldError::invalid(&path.child(key), id, IDS));
    }
}

fn seccomp(errors: &mut FieldErrors, context: &Value, path: &Path) {
    let (profile, path) = (walk::at(context, "seccompProfile"), path.child("seccompProfile"));
    if !profile.is_object() {
        return;
    }
    let (kind, local) = (walk::text(profile, "type"), walk::at(profile, "localhostProfile"));
    match kind {
        "" => errors.push(FieldError::required(&path.child("type"), "type is required when seccompProfile is set")),
        kind => check::maybe_one_of(errors, &path.child("type"), kind, &KINDS),
    }
    let path = path.child("localhostProfile");
    match (kind, local.as_str()) {
        ("Localhost", None) => errors.push(FieldError::required(&path, "must be set when seccomp type is Localhost")),
        ("Localhost", Some(place)) => local_path(errors, place, &path),
        (_, None) => {}
        // Upstream shows the fields as Go names them.
        (_, Some(place)) => errors.push(FieldError::invalid(&path, json!({"LocalhostProfile": place, "Type": kind}), "can only be set when seccomp type is Localhost")),
    }
}

fn app_armor(errors: &mut FieldErrors, context: &Value, path: &Path) {
    let (profile, path) = (walk::at(context, "appArmorProfile"), path.child("appArmorProfile"));
    if !profile.is_object() {
        return;
    }
    let (local, place_path) = (walk::at(profile, "localhostProfile").as_str(), path.child("localhostProfile"));
    match walk::text(profile, "type") {
        "" => errors.push(FieldError::required(&path.child("type"), "type is required when appArmorProfile is set")),
        "Localhost" => match local.map(|place| (place, place.trim())) {
            None | Some(("", _)) => errors.push(FieldError::required(&place_path, "must be set when AppArmor type is Localhost")),
            Some((place, trimmed)) => {
                if place != trimmed {
                    errors.push(FieldError::invalid(&place_path, place, "must not be padded with whitespace"));
                }
                if place.len() > LONGEST_PROFILE {
                    errors.push(FieldError::too_long(&place_path, LONGEST_PROFILE));
                }
            }
        },
        "RuntimeDefault" | "Unconfined" => {
            if let Some(place) = local {
                errors.push(FieldError::invalid(&place_path, place, "can only be set when AppArmor type is Localhost"));
            }
        }
        other => errors.push(FieldError::not_supported(&path.child("type"), other, &KINDS)),
    }
}

/// `own_users` where the pod has users of its own.
pub fn container(errors: &mut FieldErrors, context: &Value, own_users: bool, path: &Path) {
    if !context.is_object() {
        return;
    }
    id(errors, context, "runAsUser", path);
    id(errors, context, "runAsGroup", path);
    let mount = walk::text(context, "procMount");
    check::maybe_one_of(errors, &path.child("procMount"), mount, &["Default", "Unmasked"]);
    if mount == "Unmasked" && !own_users {
        errors.push(FieldError::invalid(&path.child("procMount"), mount, "`hostUsers` must be false to use `Unmasked`"));
    }
    seccomp(errors, context, path);
    if walk::at(context, "allowPrivilegeEscalation").as_bool() == Some(false) {
        if walk::flag(context, "privileged") {
            errors.push(FieldError::invalid(path, context.clone(), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
        }
        if walk::list(context, "capabilities.add").iter().any(|c| c == "CAP_SYS_ADMIN") {
            errors.push(FieldError::invalid(path, context.clone(), "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"));
        }
    }
    windows::options(errors, context, path);
    app_armor(errors, context, path);
}

pub fn pod(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let (context, path) = (walk::at(spec, "securityContext"), path.child("securityContext"));
    for key in ["fsGroup", "runAsUser", "runAsGroup"] {
        id(errors, context, key, &path);
    }
    for (i, group) in walk::list(context, "supplementalGroups").iter().enumerate() {
        if group.as_i64().is_some_and(|g| !(0..=i64::from(i32::MAX)).contains(&g)) {
            errors.push(FieldError::invalid(&path.child("supplementalGroups").index(i), group.clone(), IDS));
        }
    }
    if walk::flag(spec, "hostPID") && walk::flag(spec, "shareProcessNamespace") {
        errors.push(FieldError::invalid(&path.child("shareProcessNamespace"), true, "ShareProcessNamespace and HostPID cannot both be enabled"));
    }
    sysctls(errors, spec, &path.child("sysctls"));
    check::maybe_one_of(errors, &path.child("fsGroupChangePolicy"), walk::text(context, "fsGroupChangePolicy"), &["Always", "OnRootMismatch"]);
    seccomp(errors, context, &path);
    windows::options(errors, context, &path);
    app_armor(errors, context, &path);
    check::maybe_one_of(errors, &path.child("supplementalGroupsPolicy"), walk::text(context, "supplementalGroupsPolicy"), &["Merge", "Strict"]);
    check::maybe_one_of(errors, &path.child("seLinuxChangePolicy"), walk::text(context, "seLinuxChangePolicy"), &["MountOption", "Recursive"]);
}

fn sysctls(errors: &mut FieldErrors, spec: &Value, list: &Path) {
    let mut seen = std::collections::HashSet::new();
    for (i, sysctl) in walk::list(spec, "securityContext.sysctls").iter().enumerate() {
        let (path, name) = (list.index(i).child("name"), walk::text(sysctl, "name"));
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else if !is_sysctl(name) {
            let detail = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.push(FieldError::invalid(&path, name, detail));
        } else if seen.contains(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
        seen.insert(name);
        for key in ["hostNetwork", "hostIPC"] {
            if namespace(name) == key && walk::flag(spec, key) {
                errors.push(FieldError::invalid(&path, name, format!("may not be specified when '{key}' is true")));
            }
        }
    }
}

/// What of its host a pod must not share to set a value of its own. Upstream: `component-helpers/node/util/sysctl`.
fn namespace(sysctl: &str) -> &'static str {
    // Where slashes part the name, dots are dots.
    let dotted = match sysctl.find(['.', '/']).map(|i| sysctl.as_bytes()[i]) {
        Some(b'/') => sysctl.replace('/', "."),
        _ => sysctl.to_owned(),
    };
    match dotted {
        name if name.starts_with("net.") => "hostNetwork",
        name if name == "kernel.sem" || ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|start| name.starts_with(start)) => "hostIPC",
        _ => "",
    }
}

fn is_sysctl(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        matches!((bytes.first(), bytes.last()), (Some(&a), Some(&z)) if inner(a) && inner(z)) && bytes.iter().all(|&b| inner(b) || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split(['.', '/']).all(part)
}
