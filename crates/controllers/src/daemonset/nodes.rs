//! Which nodes a daemon set is for, and the pod it gets there. Pure. Upstream: daemonset_util.go.

use client::owner_reference;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Affinity, Node, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod, PodSpec, Toleration};
use scheduling::affinity::selector_matches;
use scheduling::labels::untolerated;

use crate::history::POD_LABEL;
use crate::pods;

/// Daemons stay and go where other pods may not.
fn tolerations(spec: &PodSpec) -> Vec<Toleration> {
    let mut all = spec.tolerations.clone().unwrap_or_default();
    let mut add = |key: &str, effect: &str| {
        let toleration = Toleration { key: Some(format!("node.kubernetes.io/{key}")), operator: Some("Exists".into()), effect: Some(effect.into()), ..Toleration::default() };
        if !all.contains(&toleration) {
            all.push(toleration);
        }
    };
    add("not-ready", "NoExecute");
    add("unreachable", "NoExecute");
    add("disk-pressure", "NoSchedule");
    add("memory-pressure", "NoSchedule");
    add("pid-pressure", "NoSchedule");
    add("unschedulable", "NoSchedule");
    if spec.host_network == Some(true) {
        add("network-unavailable", "NoSchedule");
    }
    all
}

/// (may start there, may stay there)
pub(crate) fn suits(set: &DaemonSet, node: &Node) -> (bool, bool) {
    let empty = PodSpec::default();
    let spec = set.spec.template.spec.as_ref().unwrap_or(&empty);
    if spec.node_name.as_deref().is_some_and(|n| !n.is_empty() && Some(n) != node.metadata.name.as_deref()) {
        return (false, false);
    }
    let labels = node.metadata.labels.as_ref();
    let selected = spec.node_selector.iter().flatten().all(|(k, v)| labels.and_then(|l| l.get(k)) == Some(v));
    let required = spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref()).and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    if !selected || required.is_some_and(|r| !selector_matches(r, node)) {
        return (false, false);
    }
    let tolerations = tolerations(spec);
    let taints = node.spec.as_ref().and_then(|s| s.taints.as_deref()).unwrap_or_default();
    let start = untolerated(&tolerations, taints, |t| t.effect == "NoSchedule" || t.effect == "NoExecute").is_none();
    let stay = untolerated(&tolerations, taints, |t| t.effect == "NoExecute").is_none();
    (start, stay)
}

/// The pod of the set for one node.
pub(crate) fn pod_for(set: &DaemonSet, node: &str, hash: &str) -> Pod {
    let meta = &set.metadata;
    let mut pod = pods::from_template(&set.spec.template, meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default(), owner_reference(set));
    let labels = pod.metadata.labels.get_or_insert_default();
    labels.insert(POD_LABEL.into(), hash.to_owned());
    // Upstream: a number that cannot be read is left out.
    if let Some(number) = meta.annotations.as_ref().and_then(|all| all.get("deprecated.daemonset.template.generation")).filter(|text| text.parse::<i64>().is_ok()) {
        labels.insert("pod-template-generation".into(), number.clone());
    }
    let spec = pod.spec.get_or_insert_default();
    spec.tolerations = Some(tolerations(spec));
    let here = NodeSelectorRequirement { key: "metadata.name".into(), operator: "In".into(), values: Some(vec![node.to_owned()]) };
    let required = NodeSelector { node_selector_terms: vec![NodeSelectorTerm { match_fields: Some(vec![here]), match_expressions: None }] };
    let affinity: &mut Affinity = spec.affinity.get_or_insert_default();
    let node_affinity: &mut NodeAffinity = affinity.node_affinity.get_or_insert_default();
    node_affinity.required_during_scheduling_ignored_during_execution = Some(required);
    pod
}

/// The node a pod is on, or is meant for.
pub(crate) fn node_of(pod: &Pod) -> String {
    let bound = pods::node_name(pod);
    if !bound.is_empty() {
        return bound.to_owned();
    }
    let affinity = pod.spec.as_ref().and_then(|s| s.affinity.as_ref()).and_then(|a| a.node_affinity.as_ref());
    let terms = affinity.and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref()).map(|r| r.node_selector_terms.as_slice()).unwrap_or_default();
    let fields = terms.iter().flat_map(|t| t.match_fields.iter().flatten());
    let named = fields.filter(|f| f.key == "metadata.name" && f.operator == "In").flat_map(|f| f.values.iter().flatten());
    named.into_iter().next().cloned().unwrap_or_default()
}
