//! Plug-ins about pods that are off until somebody asks for them.
//!
//! Upstream: `plugin/pkg/admission/alwayspullimages`, `extendedresourcetoleration`, `antiaffinity`.

use std::collections::BTreeSet;

use api::{FieldError, Path};
use catalog::walk;
use serde_json::{Value, json};

const LISTS: [&str; 3] = ["spec.initContainers", "spec.containers", "spec.ephemeralContainers"];

/// Whether an update brings an image that the pod did not have. Upstream: `isUpdateWithNoNewImages`.
pub fn has_new_images(pod: &Value, old: &Value) -> bool {
    let images = |pod: &Value| -> BTreeSet<String> { LISTS.iter().flat_map(|list| walk::list(pod, list)).map(|c| walk::text(c, "image").to_owned()).collect() };
    !images(pod).is_subset(&images(old))
}

/// All that is wrong with a pod that would run an image without pulling it.
pub fn pull_faults(pod: &Value) -> Vec<FieldError> {
    let spec = Path::new("spec");
    let all = ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|list| walk::list(walk::at(pod, "spec"), list).iter().enumerate().map(move |(i, c)| (list, i, c)));
    let bad = all.filter(|(_, _, container)| walk::text(container, "imagePullPolicy") != "Always");
    let told = |(list, i, container): (&str, usize, &Value)| FieldError::not_supported(&spec.child(list).index(i).child("imagePullPolicy"), walk::text(container, "imagePullPolicy"), &["Always"]);
    bad.map(told).collect()
}

/// Whoever runs an image must be able to pull it.
pub fn always_pull(pod: &mut Value) {
    for list in LISTS {
        for container in walk::list_mut(pod, list) {
            container["imagePullPolicy"] = "Always".into();
        }
        for volume in walk::list_mut(pod, "spec.volumes") {
            if volume["image"].is_object() {
                volume["image"]["pullPolicy"] = "Always".into();
            }
        }
    }
}

/// Pods that ask for what only some nodes have tolerate the taints of these nodes.
pub fn tolerate_extended(pod: &mut Value) {
    let mut names = BTreeSet::new();
    for container in LISTS.iter().take(2).flat_map(|list| walk::list(pod, list)) {
        names.extend(walk::map(container, "resources.requests").into_iter().flatten().map(|(name, _)| name.clone()).filter(|name| is_extended(name)));
    }
    let Some(list) = walk::object_mut(pod, "spec").map(|s| s.entry("tolerations").or_insert_with(|| json!([]))).and_then(Value::as_array_mut) else { return };
    for name in names {
        let wanted = json!({"key": name, "operator": "Exists"});
        if !list.iter().any(|t| t["key"] == wanted["key"] && t["operator"] == "Exists" && matches!(walk::text(t, "effect"), "" | "NoSchedule")) {
            list.push(json!({"key": name, "operator": "Exists"}));
        }
    }
}

/// Upstream: `IsExtendedResourceName`: of a domain that is not Kubernetes' own.
fn is_extended(name: &str) -> bool {
    let Some((domain, _)) = name.split_once('/') else { return false };
    domain != "kubernetes.io" && !domain.ends_with(".kubernetes.io") && !name.starts_with("requests.")
}

/// What is wrong with a pod that keeps others away from more than its node.
pub fn anti_affinity_fault(pod: &Value) -> Option<&'static str> {
    let terms = walk::list(pod, "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution");
    let wide = terms.iter().any(|term| walk::text(term, "topologyKey") != "kubernetes.io/hostname");
    wide.then_some("affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey and only key kubernetes.io/hostname is allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_changed_and_judged() {
        let mut pod = json!({"spec": {"containers": [{"image": "a", "imagePullPolicy": "Never", "resources": {"requests": {"cpu": "1", "example.org/gpu": "1", "node.kubernetes.io/x": "1"}}}], "initContainers": [{"image": "b"}]}});
        assert_eq!(pull_faults(&pod).len(), 2);
        always_pull(&mut pod);
        assert_eq!(pull_faults(&pod), []);
        assert_eq!((&pod["spec"]["containers"][0]["imagePullPolicy"], &pod["spec"]["initContainers"][0]["imagePullPolicy"]), (&json!("Always"), &json!("Always")));
        tolerate_extended(&mut pod);
        tolerate_extended(&mut pod);
        assert_eq!(pod["spec"]["tolerations"], json!([{"key": "example.org/gpu", "operator": "Exists"}]));
        assert_eq!(anti_affinity_fault(&pod), None);
        let term = |key: &str| json!({"spec": {"affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": key}]}}}});
        assert!(anti_affinity_fault(&term("kubernetes.io/hostname")).is_none() && anti_affinity_fault(&term("zone")).is_some());
    }
}
