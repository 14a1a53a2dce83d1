//! Validation of security contexts.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::volumes::local_path;
use crate::check;
use crate::walk;

const IDS: &str = "must be between 0 and 2147483647, inclusive";

fn id(errors: &mut FieldErrors, context: &Value, key: &str, path: &Path) {
    if let Some(id) = walk::at(context, key).as_i64().filter(|id| !(0..=i64::from(i32::MAX)).contains(id)) {
        errors.push(FieldError::invalid(&path.child(key), id, IDS));
    }
}

fn profile(errors: &mut FieldErrors, context: &Value, key: &str, path: &Path) {
    let profile = walk::at(context, key);
    if !profile.is_object() {
        return;
    }
    let (path, kind, local) = (path.child(key), walk::text(profile, "type"), walk::at(profile, "localhostProfile"));
    check::one_of(errors, &path.child("type"), kind, &["Localhost", "RuntimeDefault", "Unconfined"]);
    let what = if key == "seccompProfile" { "seccomp" } else { "AppArmor" };
    match (kind, local.as_str()) {
        ("Localhost", None | Some("")) => errors.push(FieldError::required(&path.child("localhostProfile"), format!("must be set when {what} type is Localhost"))),
        ("Localhost", Some(place)) if key == "seccompProfile" => local_path(errors, place, &path.child("localhostProfile")),
        ("Localhost", _) | (_, None) => {}
        (_, Some(place)) => errors.push(FieldError::invalid(&path.child("localhostProfile"), place, format!("can only be set when {what} type is Localhost"))),
    }
}

pub fn container(errors: &mut FieldErrors, context: &Value, path: &Path) {
    if !context.is_object() {
        return;
    }
    id(errors, context, "runAsUser", path);
    id(errors, context, "runAsGroup", path);
    check::maybe_one_of(errors, &path.child("procMount"), walk::text(context, "procMount"), &["Default", "Unmasked"]);
    profile(errors, context, "seccompProfile", path);
    profile(errors, context, "appArmorProfile", path);
    if walk::at(context, "allowPrivilegeEscalation").as_bool() == Some(false) {
        if walk::flag(context, "privileged") {
            errors.push(FieldError::invalid(path, context.clone(), "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
        }
        if walk::list(context, "capabilities.add").iter().any(|c| c == "CAP_SYS_ADMIN") {
            errors.push(FieldError::invalid(path, context.clone(), "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"));
        }
    }
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
    let mut seen = std::collections::HashSet::new();
    for (i, sysctl) in walk::list(context, "sysctls").iter().enumerate() {
        let (path, name) = (path.child("sysctls").index(i).child("name"), walk::text(sysctl, "name"));
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else if !is_sysctl(name) {
            let detail = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
            errors.push(FieldError::invalid(&path, name, detail));
        } else if !seen.insert(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
    }
    check::maybe_one_of(errors, &path.child("fsGroupChangePolicy"), walk::text(context, "fsGroupChangePolicy"), &["Always", "OnRootMismatch"]);
    profile(errors, context, "seccompProfile", &path);
    check::maybe_one_of(errors, &path.child("supplementalGroupsPolicy"), walk::text(context, "supplementalGroupsPolicy"), &["Merge", "Strict"]);
    check::maybe_one_of(errors, &path.child("seLinuxChangePolicy"), walk::text(context, "seLinuxChangePolicy"), &["MountOption", "Recursive"]);
    profile(errors, context, "appArmorProfile", &path);
}

fn is_sysctl(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        matches!((bytes.first(), bytes.last()), (Some(&a), Some(&z)) if inner(a) && inner(z)) && bytes.iter().all(|&b| inner(b) || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split(['.', '/']).all(part)
}
