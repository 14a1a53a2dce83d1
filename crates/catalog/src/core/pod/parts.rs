//! Writes to a pod's parts: more containers to look into it, and other amounts for those that run.
//!
//! Upstream: `ValidatePodEphemeralContainersUpdate` and `ValidatePodResize` in `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Map, Value};

use super::annotations::{self, MIRROR};
use super::qos_class;
use crate::{check, walk};

const RESIZED: [&str; 2] = ["cpu", "memory"];
const LISTS: [&str; 2] = ["containers", "initContainers"];

/// `part` is the subresource.
pub fn validate(part: &str, object: &Value, old: &Value) -> FieldErrors {
    match part {
        "ephemeralcontainers" => ephemeral(object, old),
        "resize" => resize(object, old),
        _ => FieldErrors::new(),
    }
}

fn refused(detail: &str) -> FieldErrors {
    vec![FieldError::forbidden(&check::nameless(), detail)]
}

fn ephemeral(object: &Value, old: &Value) -> FieldErrors {
    let mut errors = super::validate::changed(object, Some(old));
    annotations::stay(&mut errors, object, old, &Path::new("metadata.annotations"));
    if api::meta::annotation(old, MIRROR).is_some() {
        return refused("static pods do not support ephemeral containers");
    }
    let path = Path::new("spec.ephemeralContainers");
    let now = walk::list(object, "spec.ephemeralContainers");
    for before in walk::list(old, "spec.ephemeralContainers") {
        let name = walk::text(before, "name");
        match now.iter().rev().find(|container| walk::text(container, "name") == name) {
            None => errors.push(FieldError::forbidden(&path, format!("existing ephemeral containers {name:?} may not be removed\n"))),
            Some(now) if now != before => errors.push(FieldError::forbidden(&path, format!("existing ephemeral containers {name:?} may not be changed\n{}", super::update::difference(now, before)))),
            Some(_) => {}
        }
    }
    errors
}

fn resize(object: &Value, old: &Value) -> FieldErrors {
    let mut errors = super::validate::changed(object, Some(old));
    if api::meta::annotation(old, MIRROR).is_some() {
        return refused("static pods cannot be resized");
    }
    let (new, was, path) = (walk::at(object, "spec"), walk::at(old, "spec"), Path::new("spec"));
    if walk::text(was, "os.name") == "windows" {
        return refused("windows pods cannot be resized");
    }
    let class = match walk::text(old, "status.qosClass") {
        "" => qos_class(was),
        class => class,
    };
    if class != qos_class(new) {
        errors.push(FieldError::invalid(&path, walk::text(object, "status.qosClass"), "Pod QOS Class may not change as a result of resizing"));
    }
    if !node_resizes(old) {
        errors.push(FieldError::forbidden(&path, "Pod running on node without support for resize"));
    }
    whole_pod(&mut errors, new, was, &path);
    if !walk::list(old, "status.nodeAllocatableResourceClaimStatuses").is_empty() {
        errors.push(FieldError::forbidden(&path, "pods with node allocatable resource claims cannot be resized"));
    }
    let before = errors.len();
    order(&mut errors, new, was, &path);
    if errors.len() == before {
        containers(&mut errors, new, was, &path);
    }
    errors
}

/// A kubelet that resizes says what it gave each container that runs.
fn node_resizes(pod: &Value) -> bool {
    let running = walk::list(pod, "status.containerStatuses").iter().find(|status| walk::at(status, "state.running").is_object());
    running.is_none_or(|status| walk::at(status, "resources").is_object())
}

/// Nobody comes, goes, or changes place or name.
fn order(errors: &mut FieldErrors, new: &Value, old: &Value, path: &Path) {
    for list in LISTS {
        let (now, before, path) = (walk::list(new, list), walk::list(old, list), path.child(list));
        if now.len() != before.len() {
            errors.push(FieldError::forbidden(&path, format!("{list} may not be added or removed on resize")));
            continue;
        }
        for i in (0..now.len()).filter(|i| walk::text(&now[*i], "name") != walk::text(&before[*i], "name")) {
            errors.push(FieldError::forbidden(&path.index(i).child("name"), format!("{list} may not be renamed or reordered on resize")));
        }
    }
}

fn containers(errors: &mut FieldErrors, new: &Value, old: &Value, path: &Path) {
    for list in ["initContainers", "containers"] {
        for (i, (now, before)) in walk::list(new, list).iter().zip(walk::list(old, list)).enumerate() {
            let path = path.child(list).index(i).child("resources");
            removed(errors, walk::at(now, "resources"), walk::at(before, "resources"), "resource", &path);
        }
    }
    for (now, before) in walk::list(new, "containers").iter().zip(walk::list(old, "containers")) {
        if differs_elsewhere(now, before) {
            errors.push(FieldError::forbidden(path, "only cpu and memory resources are mutable"));
        }
    }
    for (i, (now, before)) in walk::list(new, "initContainers").iter().zip(walk::list(old, "initContainers")).enumerate() {
        let path = path.child("initContainers").index(i);
        if differs_elsewhere(now, before) {
            errors.push(FieldError::forbidden(&path, "only cpu and memory resources for init or sidecar containers are mutable"));
        }
        let restarts = walk::list(now, "resizePolicy").iter().filter(|policy| walk::text(policy, "restartPolicy") == "RestartContainer").count();
        if now != before && walk::text(now, "restartPolicy") != "Always" {
            (0..restarts).for_each(|_| errors.push(FieldError::forbidden(&path, "non-sidecar init containers with a resize policy of RestartContainer cannot be resized")));
        }
    }
}

fn whole_pod(errors: &mut FieldErrors, new: &Value, old: &Value, path: &Path) {
    let (now, before) = (walk::at(new, "resources"), walk::at(old, "resources"));
    let path_of = path.child("resources");
    if before.is_object() && !now.is_object() {
        return errors.push(FieldError::forbidden(&path_of, "pod-level resources cannot be removed"));
    }
    removed(errors, now, before, "pod-level resource", &path_of);
    if bare(now, before) != bare(before, before) {
        errors.push(FieldError::forbidden(path, "only cpu and memory resources are mutable at pod-level"));
    }
}

/// What was asked for or bounded stays asked for and bounded.
fn removed(errors: &mut FieldErrors, now: &Value, before: &Value, what: &str, path: &Path) {
    for list in ["requests", "limits"] {
        if walk::map(before, list).into_iter().flatten().any(|(name, _)| walk::at(now, list).get(name).is_none()) {
            errors.push(FieldError::forbidden(&path.child(list), format!("{what} {list} cannot be removed")));
        }
    }
}

/// Whether two containers differ in more than their cpu and memory.
fn differs_elsewhere(now: &Value, before: &Value) -> bool {
    let rest = |container: &Value| {
        let mut rest = container.clone();
        walk::keep(&mut rest, None, "resources");
        rest
    };
    let (asked, had) = (walk::at(now, "resources"), walk::at(before, "resources"));
    // Upstream: claims get lost on the way, so that a container with claims is never resized.
    bare(asked, had) != bare(had, had) || !walk::list(had, "claims").is_empty() || rest(now) != rest(before)
}

/// Amounts with cpu and memory as they were, and nothing that is empty.
fn bare(resources: &Value, before: &Value) -> Map<String, Value> {
    let mut bare = Map::new();
    for list in ["requests", "limits"] {
        let mut amounts = walk::map(resources, list).cloned().unwrap_or_default();
        amounts.retain(|name, _| !RESIZED.contains(&name.as_str()));
        amounts.extend(walk::map(before, list).into_iter().flatten().filter(|(name, _)| RESIZED.contains(&name.as_str())).map(|(name, amount)| (name.clone(), amount.clone())));
        if !amounts.is_empty() {
            bare.insert(list.into(), amounts.into());
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(cpu: &str) -> Value {
        json!({"metadata": {"name": "a"}, "status": {"qosClass": "Burstable"}, "spec": {"restartPolicy": "Always", "dnsPolicy": "Default", "terminationGracePeriodSeconds": 30, "containers": [
            {"name": "c", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File", "resources": {"requests": {"cpu": cpu, "memory": "1Mi"}}}
        ]}})
    }

    fn told(part: &str, new: &Value, old: &Value) -> Vec<String> {
        validate(part, new, old).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn amounts_may_change_and_nothing_else() {
        assert_eq!(told("resize", &pod("2"), &pod("1")), Vec::<String>::new());
        let mut less = pod("1");
        less["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "1"}});
        assert_eq!(told("resize", &less, &pod("1")), ["spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"]);
        let mut bounded = pod("1");
        bounded["spec"]["containers"][0]["resources"]["limits"] = json!({"cpu": "1", "memory": "1Mi", "ephemeral-storage": "1"});
        assert_eq!(told("resize", &bounded, &pod("1")), ["spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing", "spec: Forbidden: only cpu and memory resources are mutable"]);
        let mut renamed = pod("1");
        renamed["spec"]["containers"][0]["name"] = "d".into();
        assert_eq!(told("resize", &renamed, &pod("1")), ["spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize"]);
    }

    #[test]
    fn nodes_must_say_what_they_gave() {
        let mut running = pod("1");
        running["status"]["containerStatuses"] = json!([{"name": "c", "state": {"running": {}}}]);
        assert_eq!(told("resize", &pod("2"), &running), ["spec: Forbidden: Pod running on node without support for resize"]);
        running["metadata"]["annotations"] = json!({MIRROR: "x"});
        assert_eq!(told("resize", &pod("2"), &running), ["[]: Forbidden: static pods cannot be resized"]);
    }

    #[test]
    fn those_who_look_stay() {
        let with = |containers: Value| {
            let mut pod = pod("1");
            pod["spec"]["ephemeralContainers"] = containers;
            pod
        };
        let look = |image: &str| json!({"name": "look", "image": image, "imagePullPolicy": "Always", "terminationMessagePolicy": "File"});
        assert_eq!(told("ephemeralcontainers", &with(json!([look("i")])), &pod("1")), Vec::<String>::new());
        assert_eq!(told("ephemeralcontainers", &with(json!([])), &with(json!([look("i")]))), ["spec.ephemeralContainers: Forbidden: existing ephemeral containers \"look\" may not be removed\n"]);
        assert!(told("ephemeralcontainers", &with(json!([look("j")])), &with(json!([look("i")])))[0].contains("existing ephemeral containers \"look\" may not be changed"));
    }
}
