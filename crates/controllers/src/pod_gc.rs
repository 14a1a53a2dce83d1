//! Removes pods that nobody else will: finished ones beyond a number, those of nodes that are gone, those deleted unscheduled.
//!
//! Upstream: pkg/controller/podgc.

use std::sync::Arc;
use std::time::Duration;

use client::{Action, Controller, Error, Plan, Shell, WorkQueue, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tokio::task::JoinSet;

use crate::caches::Caches;
use crate::pods;

/// A node may be back in a moment.
const QUARANTINE: Duration = Duration::from_secs(40);
const SETTLE: Duration = Duration::from_secs(2);

struct Sweeper {
    caches: Caches,
    limit: usize,
}

pub(crate) struct Observed {
    key: String,
    pods: Vec<Arc<Pod>>,
    node_exists: bool,
    limit: usize,
}

/// The one key that is no node.
const FINISHED: &str = "";

/// Keys are the names of nodes that were deleted, and [`FINISHED`].
pub(crate) fn start(caches: &Caches, shell: &Shell, limit: usize, tasks: &mut JoinSet<()>) {
    let queue: WorkQueue<String> = WorkQueue::default();
    let (on_pod, nodes) = (queue.clone(), caches.nodes.clone());
    caches.pods.on_change(move |change| {
        let pod = change.object();
        if matches!(change, client::Change::Deleted(_)) {
            return;
        }
        let node = pods::node_name(pod);
        if pods::is_terminal(pod) || node.is_empty() && pods::is_terminating(pod) {
            on_pod.add_after(FINISHED.to_owned(), SETTLE);
        }
        if !node.is_empty() && nodes.is_synced() && nodes.get("", node).is_none() {
            on_pod.add_after(node.to_owned(), QUARANTINE);
        }
    });
    let on_node = queue.clone();
    caches.nodes.on_change(move |change| {
        if let client::Change::Deleted(node) = change {
            on_node.add_after(node.metadata.name.clone().unwrap_or_default(), QUARANTINE);
        }
    });
    tasks.spawn(run_controller(Sweeper { caches: caches.clone(), limit }, queue, shell.clone(), 1));
}

impl Controller for Sweeper {
    const NAME: &'static str = "pod-garbage-collector";
    type Key = String;
    type Observed = Observed;

    async fn observe(&self, key: &String) -> Result<Option<Observed>, Error> {
        let pods = if key == FINISHED { self.caches.pods.list() } else { self.caches.pods_by_node.get(key) };
        Ok(Some(Observed { key: key.clone(), pods, node_exists: self.caches.nodes.get("", key).is_some(), limit: self.limit }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        let at_once = |pod: &Arc<Pod>| {
            let mut action = Action::delete(&**pod);
            if let Action::Delete { grace, .. } = &mut action {
                *grace = Some(0);
            }
            action
        };
        if observed.key != FINISHED {
            return Plan::of(observed.pods.iter().filter(|_| !observed.node_exists).map(at_once));
        }
        let unscheduled = observed.pods.iter().filter(|p| pods::node_name(p).is_empty() && pods::is_terminating(p));
        let mut plan = Plan::of(unscheduled.map(at_once));
        let mut finished: Vec<_> = observed.pods.iter().filter(|p| pods::is_terminal(p) && !pods::is_terminating(p)).collect();
        finished.sort_by_key(|p| p.metadata.creation_timestamp.as_ref().map(|t| t.0));
        plan.actions.extend(finished.iter().take(finished.len().saturating_sub(observed.limit)).map(|p| at_once(p)));
        plan
    }
}
