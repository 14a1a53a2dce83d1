//! Validation of what is told of a pod.
//!
//! Upstream: `ValidatePodStatusUpdate` in `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::{annotations, ended, status_devices};
use crate::check::{self, IMMUTABLE};
use crate::{ip, walk};

const GENERATION: &str = "must be a non-negative integer";
const ONE_EACH: &str = "may specify no more than one IP for each IP family";
/// Conditions that are Kubernetes' own.
const OWN: [&str; 3] = ["Initialized", "PodScheduled", "Ready"];

pub fn validate(object: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (path, status, before) = (Path::new("status"), walk::at(object, "status"), walk::at(old, "status"));
    let marks = Path::new("metadata.annotations");
    annotations::stay(&mut errors, object, old, &marks);
    annotations::validate(&mut errors, object, Some(old), &marks);
    conditions(&mut errors, status, &path);
    nominated(&mut errors, old, status, &path);
    generation(&mut errors, status, &path);
    if walk::text(status, "qosClass") != walk::text(before, "qosClass") {
        errors.push(FieldError::invalid(&path.child("qosClass"), walk::text(status, "qosClass"), IMMUTABLE));
    }
    ended::check(&mut errors, walk::at(old, "spec"), status, before, &path);
    claims(&mut errors, object, status, &path);
    let spec = walk::at(object, "spec");
    status_devices::extended_claim(&mut errors, spec, status, &path);
    addresses(&mut errors, status, before, "podIPs", &path);
    if let Some(first) = walk::list(status, "hostIPs").first()
        && walk::text(first, "ip") != walk::text(status, "hostIP")
    {
        errors.push(FieldError::invalid(&path.child("hostIPs").index(0).child("ip"), walk::text(first, "ip"), "must be equal to `hostIP`"));
    }
    addresses(&mut errors, status, before, "hostIPs", &path);
    status_devices::users(&mut errors, spec, status, &path);
    status_devices::health(&mut errors, spec, status, &path);
    errors
}

fn generation(errors: &mut FieldErrors, owner: &Value, path: &Path) {
    let observed = walk::int(owner, "observedGeneration");
    if observed < 0 {
        errors.push(FieldError::invalid(&path.child("observedGeneration"), observed, GENERATION));
    }
}

fn conditions(errors: &mut FieldErrors, status: &Value, path: &Path) {
    for (i, condition) in walk::list(status, "conditions").iter().enumerate() {
        let (path, kind) = (path.child("conditions").index(i), walk::text(condition, "type"));
        generation(errors, condition, &path);
        if !OWN.contains(&kind) {
            // Upstream writes it so.
            check::syntax(errors, &path.child("Type"), kind, names::qualified_name(kind));
        }
    }
}

/// The node that a pod may get once others have left it.
fn nominated(errors: &mut FieldErrors, old: &Value, status: &Value, path: &Path) {
    let (name, path) = (walk::text(status, "nominatedNodeName"), path.child("nominatedNodeName"));
    if name.is_empty() || name == walk::text(old, "status.nominatedNodeName") {
        return;
    }
    check::syntax(errors, &path, name, names::dns1123_subdomain(name));
    if !walk::text(old, "spec.nodeName").is_empty() {
        errors.push(FieldError::forbidden(&path, "may not be set on pods that are already bound to a node"));
    }
}

/// Upstream: `validatePodResourceClaimStatuses`.
fn claims(errors: &mut FieldErrors, object: &Value, status: &Value, path: &Path) {
    let mut seen = HashSet::new();
    for (i, told) in walk::list(status, "resourceClaimStatuses").iter().enumerate() {
        let (path, name) = (path.child("resourceClaimStatuses").index(i), walk::text(told, "name"));
        if !walk::list(object, "spec.resourceClaims").iter().any(|claim| walk::text(claim, "name") == name) {
            errors.push(FieldError::invalid(&path.child("name"), name, "must match the name of an entry in `spec.resourceClaims`"));
        }
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        if let Some(claim) = walk::at(told, "resourceClaimName").as_str() {
            check::syntax(errors, &path.child("resourceClaimName"), claim, names::dns1123_subdomain(claim));
        }
    }
}

/// Upstream: `validatePodIPs`, `validateHostIPs`.
fn addresses(errors: &mut FieldErrors, status: &Value, before: &Value, key: &str, path: &Path) {
    let (list, all) = (path.child(key), walk::list(status, key));
    let known: Vec<Value> = walk::list(before, key).iter().map(|entry| walk::at(entry, "ip").clone()).collect();
    for (i, entry) in all.iter().enumerate() {
        ip::legacy(errors, &list.index(i), walk::text(entry, "ip"), &known);
    }
    if let [one, other, rest @ ..] = all {
        let families = [one, other].map(|entry| ip::is_v6(walk::text(entry, "ip")));
        if families[0] == families[1] || !rest.is_empty() {
            errors.push(FieldError::invalid(&list, walk::at(status, key).clone(), ONE_EACH));
        }
    }
}
