//! LimitRanger: what containers get where they say nothing, and the bounds that pods, containers and claims keep.
//!
//! Pure: the object and the ranges of its namespace in, the changed object or the faults out.
//! Upstream: `plugin/pkg/admission/limitranger/admission.go`.

use catalog::core::pod::pod_level::{Amounts, amounts, of_containers};
use catalog::walk;
use quantity::Quantity;
use serde_json::{Value, json};

fn items<'a>(ranges: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    ranges.iter().flat_map(|range| walk::list(range, "spec.limits")).filter(move |item| walk::text(item, "type") == kind)
}

/// Fills requests and limits of a new pod's containers and notes what was set.
pub fn default_pod(pod: &mut Value, ranges: &[Value]) {
    let defaults: Vec<_> = items(ranges, "Container").map(|item| (walk::at(item, "defaultRequest").clone(), walk::at(item, "default").clone())).collect();
    let mut notes = Vec::new();
    for (list, what) in [("spec.containers", "container"), ("spec.initContainers", "init container")] {
        for container in walk::list_mut(pod, list) {
            let name = walk::text(container, "name").to_owned();
            for (requests, limits) in &defaults {
                let set = fill(container, "limits", limits);
                if !set.is_empty() {
                    notes.push(format!("{} limit for {what} {name}", set.join(", ")));
                }
                let set = fill(container, "requests", requests);
                if !set.is_empty() {
                    notes.push(format!("{} request for {what} {name}", set.join(", ")));
                }
            }
        }
    }
    if !notes.is_empty() {
        notes.sort();
        api::meta::set_annotation(pod, "kubernetes.io/limit-ranger", &format!("LimitRanger plugin set: {}", notes.join("; ")));
    }
}

fn fill(container: &mut Value, which: &str, defaults: &Value) -> Vec<String> {
    let mut set = Vec::new();
    for (key, value) in defaults.as_object().into_iter().flatten() {
        if let Some(list) = walk::object_mut(container, &format!("resources.{which}"))
            && !list.contains_key(key)
        {
            list.insert(key.clone(), value.clone());
            set.push(key.clone());
        }
    }
    set
}

/// Faults of a new pod.
pub fn check_pod(pod: &Value, ranges: &[Value]) -> Vec<String> {
    let (mut faults, spec) = (Vec::new(), walk::at(pod, "spec"));
    for item in items(ranges, "Container") {
        for container in ["containers", "initContainers"].into_iter().flat_map(|list| walk::list(spec, list)) {
            bounds(item, "Container", &amounts(walk::at(container, "resources.requests")), &amounts(walk::at(container, "resources.limits")), &mut faults);
        }
    }
    for item in items(ranges, "Pod") {
        bounds(item, "Pod", &of_containers(spec, "requests"), &of_containers(spec, "limits"), &mut faults);
    }
    faults
}

/// Faults of a claim: what it requests is bounded both ways.
pub fn check_claim(claim: &Value, ranges: &[Value]) -> Vec<String> {
    let mut faults = Vec::new();
    let requests = amounts(walk::at(claim, "spec.resources.requests"));
    for item in items(ranges, "PersistentVolumeClaim") {
        let only = json!({"min": walk::at(item, "min"), "max": walk::at(item, "max")});
        bounds(&only, "PersistentVolumeClaim", &requests, &requests, &mut faults);
    }
    faults
}

fn bounds(item: &Value, kind: &str, requests: &Amounts, limits: &Amounts, faults: &mut Vec<String>) {
    for (name, least) in amounts(walk::at(item, "min")) {
        let head = format!("minimum {name} usage per {kind} is {least}");
        match (requests.get(&name), limits.get(&name)) {
            (None, _) => faults.push(format!("{head}.  No request is specified")),
            (Some(request), _) if *request < least => faults.push(format!("{head}, but request is {request}")),
            (_, Some(limit)) if *limit < least => faults.push(format!("{head}, but limit is {limit}")),
            _ => {}
        }
    }
    for (name, most) in amounts(walk::at(item, "max")) {
        let head = format!("maximum {name} usage per {kind} is {most}");
        match (requests.get(&name), limits.get(&name)) {
            (_, None) => faults.push(format!("{head}.  No limit is specified")),
            (_, Some(limit)) if *limit > most => faults.push(format!("{head}, but limit is {limit}")),
            (Some(request), _) if *request > most => faults.push(format!("{head}, but request is {request}")),
            _ => {}
        }
    }
    for (name, most) in amounts(walk::at(item, "maxLimitRequestRatio")) {
        ratio(&name, &most, kind, requests.get(&name), limits.get(&name), faults);
    }
}

fn ratio(name: &str, most: &Quantity, kind: &str, request: Option<&Quantity>, limit: Option<&Quantity>, faults: &mut Vec<String>) {
    let head = format!("{name} max limit to request ratio per {kind} is {most}");
    match (request.filter(|r| !r.is_zero()), limit.filter(|l| !l.is_zero())) {
        (None, _) => faults.push(format!("{head}, but no request is specified or request is 0")),
        (_, None) => faults.push(format!("{head}, but no limit is specified or limit is 0")),
        (Some(request), Some(limit)) => {
            let found = limit.approximate() / request.approximate();
            if found > most.approximate() {
                faults.push(format!("{head}, but provided ratio is {found:.6}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn fills_and_bounds() {
        let range = json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}, "min": {"cpu": "50m"}}]}});
        let mut pod = json!({"metadata": {}, "spec": {"containers": [{"name": "a"}, {"name": "b", "resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "10m"}}}]}});
        super::default_pod(&mut pod, &[range.clone()]);
        assert_eq!(pod["spec"]["containers"][0]["resources"], json!({"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}}));
        assert_eq!(super::check_pod(&pod, &[range]), ["minimum cpu usage per Container is 50m, but request is 10m", "maximum cpu usage per Container is 1, but limit is 2"]);
    }
}
