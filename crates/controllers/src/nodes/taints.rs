//! The taints that follow from a node's conditions. Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub(crate) const NOT_READY: &str = "node.kubernetes.io/not-ready";
pub(crate) const UNREACHABLE: &str = "node.kubernetes.io/unreachable";

/// Taint keys that this controller owns, for NoSchedule.
const OWNED: [&str; 7] = [
    NOT_READY,
    UNREACHABLE,
    "node.kubernetes.io/unschedulable",
    "node.kubernetes.io/memory-pressure",
    "node.kubernetes.io/disk-pressure",
    "node.kubernetes.io/pid-pressure",
    "node.kubernetes.io/network-unavailable",
];

pub(crate) fn status_of<'n>(node: &'n Node, condition: &str) -> Option<&'n str> {
    let all = node.status.as_ref()?.conditions.as_deref()?;
    all.iter().find(|c| c.type_ == condition).map(|c| c.status.as_str())
}

/// The taints as they should be; those of others stay. `evict`: NoExecute taints may be put on.
pub(crate) fn wanted(node: &Node, evict: bool, now: Timestamp) -> Vec<Taint> {
    let ready = match status_of(node, "Ready") {
        Some("True") => None,
        Some("False") => Some(NOT_READY),
        Some("Unknown") => Some(UNREACHABLE),
        _ => Some(NOT_READY),
    };
    let mut keys: Vec<(&str, &str)> = ready.into_iter().map(|key| (key, "NoSchedule")).collect();
    for (condition, key) in [("MemoryPressure", OWNED[3]), ("DiskPressure", OWNED[4]), ("PIDPressure", OWNED[5]), ("NetworkUnavailable", OWNED[6])] {
        if status_of(node, condition) == Some("True") {
            keys.push((key, "NoSchedule"));
        }
    }
    if node.spec.as_ref().and_then(|s| s.unschedulable) == Some(true) {
        keys.push((OWNED[2], "NoSchedule"));
    }
    // Without any condition the node only registered: nothing to evict for.
    if let Some(key) = ready.filter(|_| evict && status_of(node, "Ready").is_some()) {
        keys.push((key, "NoExecute"));
    }
    let before = node.spec.as_ref().and_then(|s| s.taints.as_deref()).unwrap_or_default();
    let owned = |t: &Taint| t.effect == "NoSchedule" && OWNED.contains(&t.key.as_str()) || t.effect == "NoExecute" && [NOT_READY, UNREACHABLE].contains(&t.key.as_str());
    let is_wanted = |t: &Taint| keys.iter().any(|(key, effect)| t.key == *key && t.effect == *effect);
    let mut taints: Vec<Taint> = before.iter().filter(|t| !owned(t) || is_wanted(t)).cloned().collect();
    for (key, effect) in keys {
        if !taints.iter().any(|t| t.key == key && t.effect == effect) {
            taints.push(Taint { key: key.into(), effect: effect.into(), time_added: Some(Time(now)), value: None });
        }
    }
    taints
}
