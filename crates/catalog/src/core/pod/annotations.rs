//! Validation of annotations that mean something to a pod: older ways to say what its fields say now.
//!
//! Upstream: `ValidatePodSpecificAnnotations`, `ValidatePodSpecificAnnotationUpdates` and the checks that annotations and
//! fields match, in `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Map, Value, json};

use super::placement;
use super::sources::local_path;
use crate::walk;

pub const MIRROR: &str = "kubernetes.io/config.mirror";
const TOLERATIONS: &str = "scheduler.alpha.kubernetes.io/tolerations";
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";
pub const SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/pod";
pub const SECCOMP_OF: &str = "container.seccomp.security.alpha.kubernetes.io/";
pub const APP_ARMOR_OF: &str = "container.apparmor.security.beta.kubernetes.io/";
const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

fn all(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    walk::map(object, "metadata.annotations").into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
}

/// Of a pod or a template; `path` is that of its annotations.
pub fn validate(errors: &mut FieldErrors, object: &Value, old: Option<&Value>, path: &Path) {
    let of = |key: &str| all(object).find(|(other, _)| *other == key).map(|(_, value)| value);
    if let Some(value) = of(MIRROR)
        && walk::text(object, "spec.nodeName").is_empty()
    {
        errors.push(FieldError::invalid(&path.key(MIRROR), value, "must set spec.nodeName if mirror pod annotation is set"));
    }
    if let Some(text) = of(TOLERATIONS).filter(|text| !text.is_empty()) {
        match serde_json::from_str::<Vec<Map<String, Value>>>(text) {
            Ok(list) => placement::tolerations(errors, &json!({"tolerations": list}), &path.child(TOLERATIONS)),
            Err(fault) => errors.push(FieldError::invalid(path, TOLERATIONS, fault.to_string())),
        }
    }
    let cost_is_bad = |object: &Value| all(object).any(|(key, value)| key == DELETION_COST && !is_cost(value));
    if cost_is_bad(object) && !old.is_some_and(cost_is_bad) {
        errors.push(FieldError::invalid(&path.key(DELETION_COST), of(DELETION_COST).unwrap_or_default(), "must be a 32bit integer"));
    }
    if let Some(profile) = of(SECCOMP) {
        seccomp(errors, profile, &path.child(SECCOMP));
    }
    for (key, profile) in all(object).filter(|(key, _)| key.starts_with(SECCOMP_OF)) {
        seccomp(errors, profile, &path.child(key));
    }
    for (key, profile) in all(object) {
        if let Some(container) = key.strip_prefix(APP_ARMOR_OF) {
            app_armor(errors, walk::at(object, "spec"), container, profile, &path.key(key));
        }
    }
}

/// A number as Go writes it: no plus, no zeros before.
fn is_cost(value: &str) -> bool {
    // Upstream: after a minus anything that reads as a number.
    value.parse::<i32>().is_ok_and(|cost| value.starts_with('-') || cost.to_string() == value)
}

fn seccomp(errors: &mut FieldErrors, profile: &str, path: &Path) {
    match profile.strip_prefix("localhost/") {
        Some(place) => local_path(errors, place, path),
        None if matches!(profile, "runtime/default" | "docker/default" | "unconfined") => {}
        None => errors.push(FieldError::invalid(path, profile, "must be a valid seccomp profile")),
    }
}

fn app_armor(errors: &mut FieldErrors, spec: &Value, container: &str, profile: &str, path: &Path) {
    if !LISTS.iter().flat_map(|list| walk::list(spec, list)).any(|c| walk::text(c, "name") == container) {
        errors.push(FieldError::invalid(path, container, "container not found"));
    }
    if !matches!(profile, "" | "runtime/default" | "unconfined") && !profile.starts_with("localhost/") {
        errors.push(FieldError::invalid(path, profile, format!("invalid AppArmor profile name: {profile:?}")));
    }
}

/// What of a pod's annotations stays as it was made.
pub fn stay(errors: &mut FieldErrors, object: &Value, old: &Value, path: &Path) {
    let of = |object: &Value, key: &str| walk::at(object, "metadata.annotations").get(key).cloned();
    for (key, _) in all(old).filter(|(key, _)| of(object, key) != of(old, key)) {
        if key.starts_with(APP_ARMOR_OF) {
            errors.push(FieldError::forbidden(&path.key(key), "may not remove or update AppArmor annotations"));
        }
        if key == MIRROR {
            errors.push(FieldError::forbidden(&path.key(key), "may not remove or update mirror pod annotation"));
        }
    }
    for (key, _) in all(object).filter(|(key, _)| of(old, key).is_none()) {
        if key.starts_with(APP_ARMOR_OF) {
            errors.push(FieldError::forbidden(&path.key(key), "may not add AppArmor annotations"));
        }
        if key == MIRROR {
            errors.push(FieldError::forbidden(&path.key(key), "may not add mirror pod annotation"));
        }
    }
}

/// Who says it twice says it alike: of seccomp, in pods and templates.
pub fn seccomp_matches(errors: &mut FieldErrors, object: &Value, path: &Path) {
    let of = |key: &str| all(object).find(|(other, _)| *other == key).map(|(_, value)| value);
    let own = walk::at(object, "spec.securityContext.seccompProfile");
    if let Some(annotation) = of(SECCOMP) {
        matches(errors, own, annotation, "seccomp", &path.child("securityContext").child("seccompProfile"));
    }
    for (container, at) in containers(walk::at(object, "spec"), path) {
        if let Some(annotation) = of(&format!("{SECCOMP_OF}{}", walk::text(container, "name"))) {
            let profile = walk::at(container, "securityContext.seccompProfile");
            matches(errors, profile, annotation, "seccomp", &at.child("securityContext").child("seccompProfile"));
        }
    }
}

/// The same of AppArmor, in pods that are made.
pub fn app_armor_matches(errors: &mut FieldErrors, object: &Value, path: &Path) {
    if walk::text(object, "spec.os.name") == "windows" {
        return;
    }
    let whole = walk::at(object, "spec.securityContext.appArmorProfile");
    for (container, at) in containers(walk::at(object, "spec"), path) {
        let own = walk::at(container, "securityContext.appArmorProfile");
        let key = format!("{APP_ARMOR_OF}{}", walk::text(container, "name"));
        if let Some((_, annotation)) = all(object).find(|(other, _)| *other == key) {
            matches(errors, if own.is_object() { own } else { whole }, annotation, "apparmor", &at.child("securityContext").child("appArmorProfile"));
        }
    }
}

fn containers<'a>(spec: &'a Value, path: &Path) -> Vec<(&'a Value, Path)> {
    LISTS.iter().flat_map(|list| walk::list(spec, list).iter().enumerate().map(move |(i, c)| (c, path.child(list).index(i)))).collect()
}

fn matches(errors: &mut FieldErrors, profile: &Value, annotation: &str, what: &str, path: &Path) {
    if !profile.is_object() {
        return;
    }
    let local = annotation.strip_prefix("localhost/");
    let same_kind = match walk::text(profile, "type") {
        "Unconfined" => annotation == "unconfined",
        "RuntimeDefault" => annotation == "runtime/default" || (what == "seccomp" && annotation == "docker/default"),
        "Localhost" => local.is_some(),
        _ => true,
    };
    if !same_kind {
        errors.push(FieldError::forbidden(&path.child("type"), format!("{what} type in annotation and field must match")));
    } else if walk::text(profile, "type") == "Localhost" && local != walk::at(profile, "localhostProfile").as_str() {
        errors.push(FieldError::forbidden(&path.child("localhostProfile"), format!("{what} profile in annotation and field must match")));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn costs_are_written_as_numbers() {
        assert!(["0", "-5", "2147483647", "-2147483648"].iter().all(|cost| super::is_cost(cost)));
        assert!(!["", "+10", "008", "a", "2147483648"].iter().any(|cost| super::is_cost(cost)));
    }
}
