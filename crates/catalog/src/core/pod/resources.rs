//! Validation of resource names and amounts.
//!
//! Upstream: `ValidateContainerResourceRequirements` in `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::pod_level::is_huge_page;
use crate::check::{self, amount};
use crate::walk;

/// A name without a domain, or of Kubernetes' own.
pub fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

pub fn is_extended(name: &str) -> bool {
    !is_native(name) && !name.starts_with("requests.") && names::qualified_name(&format!("requests.{name}")).is_empty()
}

pub fn may_overcommit(name: &str) -> bool {
    is_native(name) && !is_huge_page(name)
}

fn is_standard_for_containers(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || is_huge_page(name)
}

fn is_standard(name: &str) -> bool {
    is_standard_for_containers(name)
        || is_standard_for_quota(name)
        || matches!(name, "storage" | "requests.hugepages-" | "limits.hugepages-")
}

pub fn is_standard_for_quota(name: &str) -> bool {
    matches!(
        name,
        "cpu" | "memory" | "ephemeral-storage" | "requests.cpu" | "requests.memory" | "requests.storage" | "requests.ephemeral-storage" | "limits.cpu" | "limits.memory" | "limits.ephemeral-storage" | "pods" | "resourcequotas" | "services"
            | "replicationcontrollers" | "secrets" | "persistentvolumeclaims" | "configmaps" | "services.nodeports" | "services.loadbalancers"
    ) || is_huge_page(name)
        || name.starts_with("requests.hugepages-")
}

fn must_be_whole(name: &str) -> bool {
    is_extended(name) || matches!(name, "pods" | "resourcequotas" | "services" | "replicationcontrollers" | "secrets" | "configmaps" | "persistentvolumeclaims" | "services.nodeports" | "services.loadbalancers")
}

/// A name that some list of amounts may hold.
pub fn resource_name(errors: &mut FieldErrors, name: &str, path: &Path) -> bool {
    let faults = names::qualified_name(name);
    if !faults.is_empty() {
        check::syntax(errors, path, name, faults);
        return false;
    }
    if !name.contains('/') && !is_standard(name) {
        errors.push(FieldError::invalid(path, name, "must be a standard resource type or fully qualified"));
        return false;
    }
    true
}

pub fn container_resource_name(errors: &mut FieldErrors, name: &str, path: &Path) {
    resource_name(errors, name, path);
    if !name.contains('/') {
        if !is_standard_for_containers(name) {
            errors.push(FieldError::invalid(path, name, "must be a standard resource for containers"));
        }
    } else if !is_native(name) && !is_extended(name) {
        errors.push(FieldError::invalid(path, name, "doesn't follow extended resource name standard"));
    }
}

/// An amount that is not negative, and whole where the resource cannot be shared.
pub fn resource_amount(errors: &mut FieldErrors, name: &str, value: &Value, path: &Path) {
    let Some(quantity) = amount(value) else { return };
    if quantity.sign() < 0 {
        errors.push(FieldError::invalid(path, value.clone(), check::NEGATIVE));
    }
    if must_be_whole(name) && !quantity.is_integer() {
        errors.push(FieldError::invalid(path, value.clone(), "must be an integer"));
    }
}

/// `resources` of a container.
pub fn requirements(errors: &mut FieldErrors, resources: &Value, claims: &HashSet<&str>, path: &Path) {
    amounts(errors, resources, container_resource_name, path);
    self::claims(errors, walk::list(resources, "claims"), claims, &path.child("claims"));
}

/// Requests and limits, whose names are those that `rule` knows. Upstream: `validateResourceRequirements`.
pub fn amounts(errors: &mut FieldErrors, resources: &Value, rule: fn(&mut FieldErrors, &str, &Path), path: &Path) {
    let (limits, requests) = (walk::map(resources, "limits"), walk::map(resources, "requests"));
    let (limit_path, request_path) = (path.child("limits"), path.child("requests"));
    for (name, value) in limits.into_iter().flatten() {
        rule(errors, name, &limit_path.key(name));
        resource_amount(errors, name, value, &limit_path.key(name));
        huge_pages(errors, name, value, &limit_path.key(name));
    }
    for (name, value) in requests.into_iter().flatten() {
        rule(errors, name, &request_path.key(name));
        resource_amount(errors, name, value, &request_path.key(name));
        within_limit(errors, name, value, limits.and_then(|l| l.get(name)), &limit_path, &request_path);
        huge_pages(errors, name, value, &request_path.key(name));
    }
    let names = || limits.into_iter().chain(requests).flat_map(|m| m.keys());
    if names().any(|n| is_huge_page(n)) && !names().any(|n| n == "cpu" || n == "memory") {
        errors.push(FieldError::forbidden(path, "HugePages require cpu or memory"));
    }
}

/// Huge pages are counted whole.
fn huge_pages(errors: &mut FieldErrors, name: &str, value: &Value, path: &Path) {
    let Some(size) = name.strip_prefix("hugepages-").and_then(|size| size.parse::<quantity::Quantity>().ok()) else { return };
    let Some(bytes) = amount(value) else { return };
    if size.sign() <= 0 || !size.is_integer() || bytes.value() % size.value() != 0 {
        errors.push(FieldError::invalid(path, bytes.to_string(), format!("{bytes} is not positive integer multiple of {name}")));
    }
}

/// Upstream: `validateResourceClaimNames`: a claim is named once as a whole, or once for each of its requests.
fn claims(errors: &mut FieldErrors, list: &[Value], known: &HashSet<&str>, path: &Path) {
    let mut named: Vec<(&str, &str)> = Vec::new();
    for (i, claim) in list.iter().enumerate() {
        let (path, name, request) = (path.index(i), walk::text(claim, "name"), walk::text(claim, "request"));
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        let is_whole = named.contains(&(name, ""));
        if !is_whole {
            check::optional_name(errors, &path.child("request"), request, names::dns1123_label);
        }
        if is_whole || (request.is_empty() && named.iter().any(|(other, _)| *other == name)) {
            errors.push(FieldError::duplicate(&path, name));
        } else if named.contains(&(name, request)) {
            errors.push(FieldError::duplicate(&path, format!("{name}/{request}")));
        }
        named.push((name, request));
        if !known.contains(name) {
            errors.push(unknown_claim(&path, name, known));
        }
    }
}

fn unknown_claim(path: &Path, name: &str, known: &HashSet<&str>) -> FieldError {
    let mut names: Vec<_> = known.iter().copied().collect();
    names.sort_unstable();
    let which = if names.is_empty() { " which is empty".to_owned() } else { format!(": {}", names.join(", ")) };
    let mut fault = FieldError::not_found(path, name);
    fault.detail = format!("must be one of the names in pod.spec.resourceClaims{which}");
    fault
}

fn within_limit(errors: &mut FieldErrors, name: &str, value: &Value, limit: Option<&Value>, limits: &Path, requests: &Path) {
    match (limit.and_then(amount), amount(value)) {
        (Some(limit), Some(request)) if limit != request && !may_overcommit(name) => {
            errors.push(FieldError::invalid(requests, value.clone(), format!("must be equal to {name} limit of {limit}")));
        }
        (Some(limit), Some(request)) if request > limit => {
            errors.push(FieldError::invalid(requests, value.clone(), format!("must be less than or equal to {name} limit of {limit}")));
        }
        (None, _) if !may_overcommit(name) => errors.push(FieldError::required(limits, "Limit must be set for non overcommitable resources")),
        _ => {}
    }
}

/// Upstream: `validateResizePolicy`; its paths lack the place in the list but for duplicates.
pub fn resize_policy(errors: &mut FieldErrors, container: &Value, pod_restarts: &str, path: &Path) {
    let (path, mut seen) = (path.child("resizePolicy"), HashSet::new());
    for (i, policy) in walk::list(container, "resizePolicy").iter().enumerate() {
        let (resource, restart) = (walk::text(policy, "resourceName"), walk::text(policy, "restartPolicy"));
        if !seen.insert(resource) {
            errors.push(FieldError::duplicate(&path.index(i), resource));
        }
        check::one_of(errors, &path, resource, &["cpu", "memory"]);
        check::one_of(errors, &path, restart, &["NotRequired", "RestartContainer"]);
        if pod_restarts == "Never" && restart != "NotRequired" {
            errors.push(FieldError::invalid(&path, restart, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"));
        }
    }
}
