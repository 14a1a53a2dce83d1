//! Deletes pods from nodes whose NoExecute taints they do not bear, or bear only for a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Action, Announce, Controller, Error, EventType, ObjectKey, Plan, Shell, Subresource, Target, WorkQueue, reference, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition, Taint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use parking_lot::Mutex;
use scheduling::labels::tolerates;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::caches::Caches;
use crate::pods;

struct Evictions {
    caches: Caches,
    /// Since when a pod bears the taints of its node: by uid, with the taints it was for.
    bearing: Mutex<HashMap<String, (Instant, Vec<Taint>)>>,
}

pub(crate) struct Observed {
    pod: Arc<Pod>,
    taints: Vec<Taint>,
    borne: Duration,
    /// A deletion was planned before and the taints are gone.
    relieved: bool,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let (on_node, seen) = (queue.clone(), caches.clone());
    caches.nodes.on_change(move |change| {
        let changed = change.old().map_or_else(|| !no_execute(change.object()).is_empty(), |old| no_execute(old) != no_execute(change.object()));
        if changed {
            super::lifecycle::keys_on(&seen, change).into_iter().for_each(|key| on_node.add(key));
        }
    });
    let (on_pod, nodes) = (queue.clone(), caches.nodes.clone());
    caches.pods.on_change(move |change| {
        let pod = change.object();
        let news = change.old().is_none_or(|old| pods::node_name(old) != pods::node_name(pod) || old.spec.as_ref().map(|s| &s.tolerations) != pod.spec.as_ref().map(|s| &s.tolerations));
        if news && nodes.get("", pods::node_name(pod)).is_some_and(|n| !no_execute(&n).is_empty()) {
            on_pod.add(ObjectKey::of(&**pod));
        }
    });
    let mut shell = shell.clone();
    shell.executor = shell.executor.named("taint-eviction-controller");
    tasks.spawn(run_controller(Evictions { caches: caches.clone(), bearing: Mutex::default() }, queue, shell, 4));
}

fn no_execute(node: &Node) -> Vec<Taint> {
    node.spec.iter().flat_map(|s| s.taints.iter().flatten()).filter(|t| t.effect == "NoExecute").cloned().collect()
}

impl Controller for Evictions {
    const NAME: &'static str = "taint-eviction";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let Some(pod) = self.caches.pods.get_key(key).filter(|p| !pods::is_terminating(p)) else { return Ok(None) };
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let taints = self.caches.nodes.get("", pods::node_name(&pod)).map(|n| no_execute(&n)).unwrap_or_default();
        let mut bearing = self.bearing.lock();
        if taints.is_empty() {
            let relieved = bearing.remove(&uid).is_some();
            return Ok(relieved.then_some(Observed { pod, taints, borne: Duration::ZERO, relieved }));
        }
        // Pods that went otherwise leave their entries behind; they are swept when there are many.
        if bearing.len() > 10_000 {
            bearing.retain(|_, (since, _)| since.elapsed() < Duration::from_secs(3600));
        }
        let (since, _) = bearing.entry(uid).or_insert_with(|| (Instant::now(), taints.clone()));
        let borne = since.elapsed();
        drop(bearing);
        Ok(Some(Observed { pod, taints, borne, relieved: false }))
    }

    fn plan(observed: Observed, now: Timestamp) -> Plan {
        plan(&observed, now)
    }
}

fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let pod = &*observed.pod;
    let name = ObjectKey::of(pod);
    if observed.relieved {
        return Plan::of([Action::event(reference(pod), EventType::Normal, "TaintManagerEviction", format!("Cancelling deletion of Pod {name}"))]);
    }
    let tolerations = pod.spec.as_ref().and_then(|s| s.tolerations.as_deref()).unwrap_or_default();
    let covering: Vec<_> = tolerations.iter().filter(|t| observed.taints.iter().any(|taint| tolerates(t, taint))).collect();
    let all_covered = observed.taints.iter().all(|taint| covering.iter().any(|t| tolerates(t, taint)));
    // The shortest time counts; one that is zero or less means at once, none at all means for ever.
    let limit = covering.iter().filter_map(|t| t.toleration_seconds).min();
    let left = match (all_covered, limit) {
        (false, _) => Duration::ZERO,
        (true, None) => return Plan::default(),
        (true, Some(seconds)) => Duration::from_secs(u64::try_from(seconds).unwrap_or(0)).saturating_sub(observed.borne),
    };
    if !left.is_zero() {
        return Plan { wake: Some(left), ..Plan::default() };
    }
    let mut conditions = pod.status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
    conditions.retain(|c| c.type_ != "DisruptionTarget");
    conditions.push(PodCondition {
        type_: "DisruptionTarget".into(),
        status: "True".into(),
        reason: Some("DeletionByTaintManager".into()),
        message: Some("Taint manager: deleting due to NoExecute taint".into()),
        last_transition_time: Some(Time(now)),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    });
    let mark = Action::Patch { target: Target::of(pod), subresource: Subresource::Status, body: json!({"status": {"conditions": conditions}}), announce: None };
    let told = Announce { regarding: reference(pod), done: Some(("TaintManagerEviction", format!("Marking for deletion Pod {name}"))), failed: None };
    Plan::of([mark, Action::delete(pod).announced(told)])
}
