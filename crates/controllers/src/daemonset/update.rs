//! Replacing the pods of an old template, node by node. Pure. Upstream: pkg/controller/daemon/update.go.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::Pod;

use crate::history::POD_LABEL;
use crate::pods;

pub(crate) struct Limits {
    pub unavailable: usize,
    pub surge: usize,
}

pub(crate) fn limits(set: &DaemonSet, wanted: usize) -> Limits {
    let total = i32::try_from(wanted).unwrap_or(i32::MAX);
    let rolling = set.spec.update_strategy.as_ref().and_then(|s| s.rolling_update.as_ref());
    let resolve = |value: Option<&_>, default: i32| value.map_or(default, |v| crate::deployment::resolve(v, total, true));
    let surge = usize::try_from(resolve(rolling.and_then(|r| r.max_surge.as_ref()), 0)).unwrap_or(0);
    let unavailable = usize::try_from(resolve(rolling.and_then(|r| r.max_unavailable.as_ref()), 1)).unwrap_or(0);
    // Both zero would be a standstill.
    Limits { unavailable: if surge == 0 { unavailable.max(1) } else { unavailable }, surge }
}

pub(crate) fn is_new(pod: &Pod, hash: &str) -> bool {
    pod.metadata.labels.as_ref().and_then(|l| l.get(POD_LABEL)).is_some_and(|h| h == hash)
}

/// The old pods to delete now, and the nodes that get a second pod first.
pub(crate) fn replace(set: &DaemonSet, by_node: &BTreeMap<String, Vec<Arc<Pod>>>, wanted: &[String], hash: &str, now: Timestamp) -> (Vec<Arc<Pod>>, Vec<String>) {
    let limits = limits(set, wanted.len());
    let min_ready = set.spec.min_ready_seconds.unwrap_or(0);
    let available = |p: &Pod| pods::is_active(p) && pods::is_available(p, min_ready, now);
    let (mut delete, mut surge) = (Vec::new(), Vec::new());
    let (mut unavailable, mut surging) = (0, 0);
    let mut healthy_old = Vec::new();
    for node in wanted {
        let here = by_node.get(node).map(Vec::as_slice).unwrap_or_default();
        let live: Vec<_> = here.iter().filter(|p| pods::is_active(p)).collect();
        let old = live.iter().find(|p| !is_new(p, hash));
        let new = live.iter().find(|p| is_new(p, hash));
        match (old, new) {
            // Both: the old one goes as soon as the new one is available.
            (Some(old), Some(new)) if limits.surge > 0 => {
                surging += 1;
                if available(new) || !available(old) {
                    delete.push((**old).clone());
                }
            }
            (Some(old), _) if !available(old) => {
                unavailable += 1;
                // It serves nobody: replacing it costs nothing.
                delete.push((**old).clone());
            }
            (Some(old), _) => healthy_old.push((node, (**old).clone())),
            (None, Some(new)) => unavailable += usize::from(!available(new)),
            (None, None) => unavailable += 1,
        }
    }
    for (node, old) in healthy_old {
        if limits.surge > 0 {
            if surging < limits.surge {
                surging += 1;
                surge.push(node.clone());
            }
        } else if unavailable < limits.unavailable {
            unavailable += 1;
            delete.push(old);
        }
    }
    (delete, surge)
}
