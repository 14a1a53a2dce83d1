//! NodeRestriction: a kubelet writes its own node and the pods bound to it, nothing of others.
//!
//! Upstream: `plugin/pkg/admission/noderestriction`.

use catalog::walk;
use serde_json::Value;

/// What a node asks for.
pub struct Write<'a> {
    pub node: &'a str,
    pub creates: bool,
    pub plural: &'a str,
    pub subresource: &'a str,
    pub name: &'a str,
    pub new: Option<&'a Value>,
    pub old: Option<&'a Value>,
}

/// The name of the node that a user is, if it is one.
pub fn node_of<'a>(user: &'a str, groups: &[String]) -> Option<&'a str> {
    let name = user.strip_prefix("system:node:").filter(|n| !n.is_empty())?;
    groups.iter().any(|g| g == "system:nodes").then_some(name)
}

/// Why the write is refused, if it is.
pub fn refusal(write: &Write<'_>) -> Option<String> {
    match write.plural {
        "nodes" => node_write(write),
        "pods" => pod_write(write),
        _ => None,
    }
}

fn node_write(write: &Write<'_>) -> Option<String> {
    let node = write.node;
    let name = if write.creates { write.new.map(api::meta::name).unwrap_or_default() } else { write.name };
    if name != node {
        return Some(format!("node {node:?} is not allowed to modify node {name:?}"));
    }
    let (Some(new), true) = (write.new, matches!(write.subresource, "" | "status")) else { return None };
    if let Some(old) = write.old {
        if walk::at(new, "spec.taints") != walk::at(old, "spec.taints") {
            return Some(format!("node {node:?} is not allowed to modify taints"));
        }
        // A reference to something that is not there would have the node collected (CVE-2025-5187).
        if walk::list(new, "metadata.ownerReferences") != walk::list(old, "metadata.ownerReferences") {
            return Some(format!("node {node:?} is not allowed to modify ownerReferences"));
        }
    }
    let touched = changed_labels(new, write.old);
    let forbidden: Vec<_> = touched.into_iter().filter(|label| !own_label(label)).collect();
    (!forbidden.is_empty()).then(|| format!("is not allowed to modify labels: {}", forbidden.join(", ")))
}

fn changed_labels(new: &Value, old: Option<&Value>) -> Vec<String> {
    let of = |object: Option<&Value>| object.and_then(|o| walk::map(o, "metadata.labels")).cloned().unwrap_or_default();
    let (new, old) = (of(Some(new)), of(old));
    let keys: std::collections::BTreeSet<_> = new.keys().chain(old.keys()).cloned().collect();
    keys.into_iter().filter(|key| new.get(key) != old.get(key)).collect()
}

/// Labels of Kubernetes' domains are not a node's to set, but for those it must.
fn own_label(label: &str) -> bool {
    let Some((domain, _)) = label.split_once('/') else { return true };
    let under = |parent: &str| domain == parent || domain.ends_with(&format!(".{parent}"));
    if under("node-restriction.kubernetes.io") {
        return false;
    }
    if !under("kubernetes.io") && !under("k8s.io") {
        return true;
    }
    let known = [
        "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch", "beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type", "node.kubernetes.io/windows-build",
        "failure-domain.beta.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/region", "topology.kubernetes.io/zone",
    ];
    known.contains(&label) || under("kubelet.kubernetes.io") || under("node.kubernetes.io")
}

fn pod_write(write: &Write<'_>) -> Option<String> {
    let (node, bound) = (write.node, |pod: &Value| walk::text(pod, "spec.nodeName") == write.node);
    if write.creates && write.subresource.is_empty() {
        let pod = write.new?;
        if api::meta::annotation(pod, "kubernetes.io/config.mirror").is_none() {
            return Some(format!("pod does not have \"kubernetes.io/config.mirror\" annotation, node {node:?} can only create mirror pods"));
        }
        if !bound(pod) {
            return Some(format!("node {node:?} can only create pods with spec.nodeName set to itself"));
        }
        if !matches!(walk::text(pod, "spec.serviceAccountName"), "") {
            return Some(format!("node {node:?} can not create pods that reference a service account"));
        }
        return None;
    }
    let pod = write.old?;
    match write.subresource {
        "" | "status" | "eviction" if !bound(pod) => Some(format!("node {node:?} can only change pods with spec.nodeName set to itself")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_node_gives_itself_no_owners() {
        let (old, new) = (json!({"metadata": {"name": "a"}}), json!({"metadata": {"name": "a", "ownerReferences": [{"kind": "Node", "name": "gone", "uid": "x"}]}}));
        let write = super::Write { node: "a", creates: false, plural: "nodes", subresource: "", name: "a", new: Some(&new), old: Some(&old) };
        assert_eq!(super::refusal(&write).as_deref(), Some("node \"a\" is not allowed to modify ownerReferences"));
        assert!(super::refusal(&super::Write { new: Some(&old), ..write }).is_none());
    }

    #[test]
    fn a_node_keeps_to_itself() {
        let pod = json!({"spec": {"nodeName": "b"}});
        let write = super::Write { node: "a", creates: false, plural: "pods", subresource: "status", name: "p", new: Some(&pod), old: Some(&pod) };
        assert!(super::refusal(&write).is_some());
        assert!(super::refusal(&super::Write { node: "b", ..write }).is_none());
    }
}
