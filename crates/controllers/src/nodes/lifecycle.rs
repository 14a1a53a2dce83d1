//! Watches the leases of nodes, marks silent nodes, taints nodes, and tells their pods.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Action, Change, Controller, Error, EventType, Informer, ObjectKey, Plan, Shell, WorkQueue, reference, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, NodeCondition, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use parking_lot::Mutex;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::taints::{status_of, wanted};
use crate::caches::Caches;
use crate::pods;

/// The last sign of life by our own clock: a renewed lease, or a heartbeat in the status.
struct Sign {
    token: String,
    seen: Instant,
    /// The Ready status after the last look, for telling transitions.
    ready: Option<String>,
}

struct Nodes {
    caches: Caches,
    signs: Arc<Mutex<HashMap<String, Sign>>>,
    grace: Duration,
}

pub(crate) struct Observed {
    node: Arc<Node>,
    pods: Vec<Arc<Pod>>,
    silent: Duration,
    grace: Duration,
    /// Some other node is ready: the fault is not on our side.
    others_ready: bool,
    first: bool,
    ready_before: Option<String>,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, grace: Duration, paged: bool, tasks: &mut JoinSet<()>) {
    let options = client::InformerOptions { streaming: !paged, ..Default::default() };
    let leases = Informer::start(kube::Api::<Lease>::namespaced(caches.informers.client().clone(), "kube-node-lease"), options, shell.shutdown.clone());
    let controller = Nodes { caches: caches.clone(), signs: Arc::default(), grace };
    let queue: WorkQueue<String> = WorkQueue::default();
    let (on_lease, signs) = (queue.clone(), controller.signs.clone());
    leases.on_change(move |change| {
        let name = change.object().metadata.name.clone().unwrap_or_default();
        if let Some(sign) = signs.lock().get_mut(&name).filter(|_| !matches!(change, Change::Deleted(_))) {
            // One that was given up speaks again.
            if sign.seen.elapsed() >= grace {
                on_lease.add(name);
            }
            sign.seen = Instant::now();
        }
    });
    let on_node = queue.clone();
    caches.nodes.on_change(move |change| on_node.add(change.object().metadata.name.clone().unwrap_or_default()));
    let mut shell = shell.clone();
    shell.executor = shell.executor.named("node-controller");
    tasks.spawn(async move {
        // Before the leases are known every node would look silent.
        if leases.wait_synced().await.is_ok() {
            run_controller(controller, queue, shell, 2).await;
        }
    });
}

impl Controller for Nodes {
    const NAME: &'static str = "node-lifecycle";
    type Key = String;
    type Observed = Observed;

    async fn observe(&self, name: &String) -> Result<Option<Observed>, Error> {
        let Some(node) = self.caches.nodes.get("", name) else {
            self.signs.lock().remove(name);
            return Ok(None);
        };
        let heartbeat = node.status.iter().flat_map(|s| s.conditions.iter().flatten()).filter(|c| c.type_ == "Ready" && c.status != "Unknown");
        let token = heartbeat.filter_map(|c| c.last_heartbeat_time.as_ref()).map(|t| t.0.to_string()).collect::<String>();
        let ready = status_of(&node, "Ready").map(str::to_owned);
        let mut signs = self.signs.lock();
        let first = !signs.contains_key(name);
        let sign = signs.entry(name.clone()).or_insert_with(|| Sign { token: token.clone(), seen: Instant::now(), ready: ready.clone() });
        if sign.token != token {
            (sign.token, sign.seen) = (token, Instant::now());
        }
        let silent = sign.seen.elapsed();
        let ready_before = std::mem::replace(&mut sign.ready, if silent >= self.grace { Some("Unknown".into()) } else { ready });
        drop(signs);
        let others_ready = self.caches.nodes.list().iter().any(|n| n.metadata.name.as_ref() != Some(name) && status_of(n, "Ready") == Some("True"));
        Ok(Some(Observed { pods: self.caches.pods_by_node.get(name), node, silent, grace: self.grace, others_ready, first, ready_before }))
    }

    fn plan(observed: Observed, now: Timestamp) -> Plan {
        plan(&observed, now)
    }
}

fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let node = &*observed.node;
    let name = node.metadata.name.as_deref().unwrap_or_default();
    let mut plan = Plan::default();
    // Upstream: events of nodes carry the name as uid.
    let regarding = || {
        let mut regarding = reference(node);
        regarding.uid = node.metadata.name.clone();
        regarding.resource_version = None;
        regarding
    };
    if observed.first {
        plan.actions.push(Action::event(regarding(), EventType::Normal, "RegisteredNode", format!("Node {name} event: Registered Node {name} in Controller")));
    }
    let mut after = node.clone();
    if observed.silent >= observed.grace {
        silence(&mut after, now);
        let mut shown = node.clone();
        shown.status.clone_from(&after.status);
        plan.actions.extend(Action::update_status(node, &shown));
    } else {
        plan.wake_after(observed.grace - observed.silent);
    }
    let ready = status_of(&after, "Ready");
    if observed.ready_before.as_deref() == Some("True") && ready.is_some_and(|r| r != "True") {
        plan.actions.push(Action::event(regarding(), EventType::Normal, "NodeNotReady", format!("Node {name} status is now: NodeNotReady")));
    }
    if ready.is_some_and(|r| r != "True") {
        plan.actions.extend(observed.pods.iter().filter(|p| pods::is_ready(p) && !is_daemon(p)).flat_map(|pod| unready(pod, now)));
    }
    let taints = wanted(&after, observed.others_ready, now);
    if node.spec.as_ref().and_then(|s| s.taints.clone()).unwrap_or_default() != taints {
        let moved = plan.actions.iter().any(|a| matches!(a, Action::Patch { target, .. } if target.uid == node.metadata.uid));
        let mut patch = Action::patch(node, json!({"spec": {"taints": taints}}));
        if let Action::Patch { target, .. } = &mut patch {
            target.resource_version = target.resource_version.take().filter(|_| !moved);
        }
        plan.actions.push(patch);
    }
    plan
}

fn is_daemon(pod: &Pod) -> bool {
    client::controller_owner(pod).is_some_and(|o| o.kind == "DaemonSet")
}

/// All that the kubelet used to say becomes unknown.
fn silence(node: &mut Node, now: Timestamp) {
    let created = node.metadata.creation_timestamp.clone();
    let conditions = node.status.get_or_insert_default().conditions.get_or_insert_default();
    for name in ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"] {
        match conditions.iter_mut().find(|c| c.type_ == name) {
            Some(condition) if condition.status == "Unknown" => {}
            Some(condition) => {
                condition.status = "Unknown".into();
                condition.reason = Some("NodeStatusUnknown".into());
                condition.message = Some("Kubelet stopped posting node status.".into());
                condition.last_transition_time = Some(Time(now));
            }
            None => conditions.push(NodeCondition {
                type_: name.into(),
                status: "Unknown".into(),
                reason: Some("NodeStatusNeverUpdated".into()),
                message: Some("Kubelet never posted node status.".into()),
                last_heartbeat_time: created.clone(),
                last_transition_time: Some(Time(now)),
            }),
        }
    }
}

/// The pod does not answer as far as anybody knows.
fn unready(pod: &Arc<Pod>, now: Timestamp) -> Vec<Action> {
    let mut after = (**pod).clone();
    for condition in after.status.iter_mut().flat_map(|s| s.conditions.iter_mut().flatten()).filter(|c| c.type_ == "Ready") {
        condition.status = "False".into();
        condition.last_transition_time = Some(Time(now));
    }
    let told = Action::event(reference(&**pod), EventType::Warning, "NodeNotReady", "Node is not ready");
    Action::update_status(&**pod, &after).into_iter().chain([told]).collect()
}

/// Keys of pods on a node, for whoever wants to look at them.
pub(super) fn keys_on(caches: &Caches, change: &Change<Node>) -> Vec<ObjectKey> {
    let name = change.object().metadata.name.as_deref().unwrap_or_default();
    caches.pods_by_node.get(name).iter().map(|p| ObjectKey::of(&**p)).collect()
}
