//! Validation of what is told of a pod's containers: who runs in them, and how the devices are that they were given.
//!
//! Upstream: `validatePodExtendedResourceClaimStatus`, `validateContainerStatusUsers`,
//! `validateContainerStatusAllocatedResourcesStatus` in `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::{check, walk};

/// Statuses, and the containers they are of; those who only look into a pod are given nothing.
const LISTS: [(&str, &str); 3] = [("containerStatuses", "containers"), ("initContainerStatuses", "initContainers"), ("ephemeralContainerStatuses", "")];
const HEALTHS: [&str; 3] = ["Healthy", "Unhealthy", "Unknown"];
const LONGEST_MESSAGE: usize = 1024;
const NO_CLAIM: &str = "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty";
const NO_REQUEST: &str = "must match one of the container's resource requests";

fn container<'a>(spec: &'a Value, lists: &[&str], name: &str) -> Option<&'a Value> {
    lists.iter().flat_map(|list| walk::list(spec, list)).find(|container| walk::text(container, "name") == name)
}

/// The claim that was made for resources which plugins once counted.
pub fn extended_claim(errors: &mut FieldErrors, spec: &Value, status: &Value, path: &Path) {
    let (told, path) = (walk::at(status, "extendedResourceClaimStatus"), path.child("extendedResourceClaimStatus"));
    if !told.is_object() {
        return;
    }
    let (mappings, list) = (walk::list(told, "requestMappings"), path.child("requestMappings"));
    if mappings.is_empty() {
        errors.push(FieldError::required(&list, "at least one request mapping is required"));
    }
    let mut seen = HashSet::new();
    for (i, mapping) in mappings.iter().enumerate() {
        let at = list.index(i);
        let [name, resource, request] = ["containerName", "resourceName", "requestName"].map(|key| walk::text(mapping, key));
        match container(spec, &["containers", "initContainers"], name) {
            None => errors.push(FieldError::invalid(&at.child("containerName"), name, "must match the name of an entry in spec.initContainers.name or spec.containers.name")),
            Some(container) if walk::at(container, "resources.requests").get(resource).is_none() => {
                let fault = "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests";
                errors.push(FieldError::invalid(&at.child("resourceName"), resource, fault));
            }
            Some(_) => {}
        }
        // Upstream: the path lacks the mapping.
        check::syntax(errors, &path.child("requestName"), request, names::dns1123_label(request));
        if !seen.insert((name, resource, request)) {
            for (key, value) in [("containerName", name), ("resourceName", resource), ("requestName", request)] {
                errors.push(FieldError::duplicate(&at.child(key), value));
            }
        }
    }
    check::required_name(errors, &path.child("resourceClaimName"), walk::text(told, "resourceClaimName"), names::dns1123_subdomain);
}

/// Who the first process of each container runs as.
pub fn users(errors: &mut FieldErrors, spec: &Value, status: &Value, path: &Path) {
    let os = walk::text(spec, "os.name");
    for (list, _) in LISTS {
        for (i, told) in walk::list(status, list).iter().enumerate() {
            let (user, path) = (walk::at(told, "user.linux"), path.child(list).index(i).child("user").child("linux"));
            match os {
                "windows" if user.is_object() => errors.push(FieldError::forbidden(&path, "cannot be set for a windows pod")),
                "" | "linux" if user.is_object() => linux_user(errors, user, &path),
                _ => {}
            }
        }
    }
}

fn linux_user(errors: &mut FieldErrors, user: &Value, path: &Path) {
    let groups = walk::list(user, "supplementalGroups").iter().enumerate().map(|(i, group)| (path.child("supplementalGroups").index(i), group));
    let own = ["uid", "gid"].map(|key| (path.child(key), walk::at(user, key)));
    for (path, id) in own.into_iter().chain(groups) {
        if id.as_i64().is_some_and(|id| !(0..=i64::from(i32::MAX)).contains(&id)) {
            errors.push(FieldError::invalid(&path, id.clone(), "must be between 0 and 2147483647, inclusive"));
        }
    }
}

/// How the devices are that containers were given.
pub fn health(errors: &mut FieldErrors, spec: &Value, status: &Value, path: &Path) {
    for (list, containers) in LISTS {
        for (i, told) in walk::list(status, list).iter().enumerate() {
            let (given, path) = (walk::list(told, "allocatedResourcesStatus"), path.child(list).index(i).child("allocatedResourcesStatus"));
            if containers.is_empty() && !given.is_empty() {
                errors.push(FieldError::forbidden(&path, "must not be specified in container status"));
                continue;
            }
            let container = container(spec, &[containers], walk::text(told, "name"));
            for (j, resource) in given.iter().enumerate() {
                self::resource(errors, container, resource, &path.index(j));
            }
        }
    }
}

fn resource(errors: &mut FieldErrors, container: Option<&Value>, told: &Value, path: &Path) {
    let name = walk::text(told, "name");
    let is_claim = name.starts_with("claim:");
    let asked = |container: &Value| match is_claim {
        true => walk::list(container, "resources.claims").iter().any(|claim| claim_name(claim) == name),
        false => walk::at(container, "resources.requests").get(name).is_some(),
    };
    if container.is_some_and(|container| !asked(container)) {
        errors.push(FieldError::invalid(&path.child("name"), name, if is_claim { NO_CLAIM } else { NO_REQUEST }));
    }
    let mut seen = HashSet::new();
    for (k, device) in walk::list(told, "resources").iter().enumerate() {
        let (path, id, health) = (path.child("resources").index(k), walk::text(device, "resourceID"), walk::text(device, "health"));
        if !HEALTHS.contains(&health) {
            errors.push(FieldError::not_supported(&path.child("health"), health, &HEALTHS));
        }
        match walk::at(device, "message").as_str() {
            Some("") => errors.push(FieldError::required(&path.child("message"), "must be non-empty if specified")),
            Some(message) if message.len() > LONGEST_MESSAGE => errors.push(FieldError::too_long(&path.child("message"), LONGEST_MESSAGE)),
            _ => {}
        }
        if !seen.insert(id) {
            errors.push(FieldError::duplicate(&path.child("resourceID"), id));
        }
    }
}

fn claim_name(claim: &Value) -> String {
    match walk::text(claim, "request") {
        "" => format!("claim:{}", walk::text(claim, "name")),
        request => format!("claim:{}/{request}", walk::text(claim, "name")),
    }
}
