//! Facts about pods that every workload controller asks: active, ready, available, which to delete first, made from a template.
//!
//! Pure. Upstream: pkg/controller/controller_utils.go, pkg/api/v1/pod/util.go.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodCondition, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.phase.as_deref()).unwrap_or_default()
}

pub(crate) fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

pub(crate) fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Neither finished nor on its way out.
pub(crate) fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && !is_terminating(pod)
}

pub(crate) fn condition<'p>(pod: &'p Pod, name: &str) -> Option<&'p PodCondition> {
    pod.status.as_ref()?.conditions.as_deref()?.iter().find(|c| c.type_ == name)
}

fn ready_since(pod: &Pod) -> Option<Option<Timestamp>> {
    condition(pod, "Ready").filter(|c| c.status == "True").map(|c| c.last_transition_time.as_ref().map(|t| t.0))
}

pub(crate) fn is_ready(pod: &Pod) -> bool {
    ready_since(pod).is_some()
}

/// Ready for at least `min_ready` seconds.
pub(crate) fn is_available(pod: &Pod, min_ready: i32, now: Timestamp) -> bool {
    match ready_since(pod) {
        None => false,
        Some(_) if min_ready <= 0 => true,
        Some(since) => since.is_some_and(|since| now.duration_since(since).as_secs() >= i64::from(min_ready)),
    }
}

/// Seconds until the first of the ready pods becomes available.
pub(crate) fn next_available(pods: &[Arc<Pod>], min_ready: i32, now: Timestamp) -> Option<u64> {
    let waits = pods.iter().filter(|p| !is_available(p, min_ready, now)).filter_map(|p| ready_since(p).flatten());
    waits.map(|since| (i64::from(min_ready) - now.duration_since(since).as_secs()).max(0).unsigned_abs() + 1).min()
}

pub(crate) fn node_name(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or_default()
}

fn restarts(pod: &Pod) -> i32 {
    pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten()).map(|c| c.restart_count).max().unwrap_or(0)
}

fn deletion_cost(pod: &Pod) -> i32 {
    let cost = pod.metadata.annotations.as_ref().and_then(|a| a.get("controller.kubernetes.io/pod-deletion-cost"));
    cost.and_then(|c| c.parse().ok()).unwrap_or(0)
}

/// Orders pods so that those to delete first come first. `crowd` counts the related pods on a node.
pub(crate) fn deletion_order(a: &Pod, b: &Pod, crowd: impl Fn(&str) -> usize, now: Timestamp) -> Ordering {
    let phase_rank = |pod: &Pod| match phase(pod) {
        "Pending" | "" => 0,
        "Unknown" => 1,
        _ => 2,
    };
    // Ages count in powers of two, so that pods of about one age are not told apart by it.
    let bucket = |since: Option<Timestamp>| since.map_or(i64::MIN, |t| i64::from(now.duration_since(t).as_secs().max(1).ilog2()));
    let created = |pod: &Pod| pod.metadata.creation_timestamp.as_ref().map(|t| t.0);
    (!node_name(a).is_empty())
        .cmp(&!node_name(b).is_empty())
        .then_with(|| phase_rank(a).cmp(&phase_rank(b)))
        .then_with(|| is_ready(a).cmp(&is_ready(b)))
        .then_with(|| deletion_cost(a).cmp(&deletion_cost(b)))
        .then_with(|| crowd(node_name(b)).cmp(&crowd(node_name(a))))
        .then_with(|| match (ready_since(a).flatten(), ready_since(b).flatten()) {
            (Some(since_a), Some(since_b)) => bucket(Some(since_a)).cmp(&bucket(Some(since_b))),
            _ => Ordering::Equal,
        })
        .then_with(|| restarts(b).cmp(&restarts(a)))
        .then_with(|| bucket(created(a)).cmp(&bucket(created(b))))
        .then_with(|| a.metadata.uid.cmp(&b.metadata.uid))
}

/// A pod of `template` owned by `owner`; the server makes the rest of the name.
pub(crate) fn from_template(template: &PodTemplateSpec, namespace: &str, owner_name: &str, owner: OwnerReference) -> Pod {
    let meta = template.metadata.clone().unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            namespace: Some(namespace.to_owned()),
            generate_name: Some(format!("{owner_name}-")),
            labels: meta.labels,
            annotations: meta.annotations,
            finalizers: meta.finalizers,
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    }
}
