//! Disruption budgets: how many pods may be evicted now.
//!
//! It evicts nothing: the server's eviction reads what is written here. Upstream: pkg/controller/disruption.

use std::sync::Arc;
use std::time::Duration;

use client::{Action, Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, controller_owner, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use scheduling::labels::selects;
use tokio::task::JoinSet;

use crate::caches::Caches;
use crate::pods;

/// Upstream: DeletionTimeout: an eviction that did not lead to a deletion is forgotten.
const EVICTION_TAKES: i64 = 120;

struct Budgets {
    caches: Caches,
    budgets: Informer<PodDisruptionBudget>,
    deployments: Informer<Deployment>,
    stateful_sets: Informer<StatefulSet>,
    controllers: Informer<ReplicationController>,
}

pub(crate) struct Observed {
    budget: Arc<PodDisruptionBudget>,
    pods: Vec<Arc<Pod>>,
    /// What the owners of the pods want altogether.
    scale: i32,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let informers = &caches.informers;
    let controller = Budgets { caches: caches.clone(), budgets: informers.get(), deployments: informers.get(), stateful_sets: informers.get(), controllers: informers.get() };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_budget = queue.clone();
    controller.budgets.on_change(move |change| on_budget.add(ObjectKey::of(&**change.object())));
    let (on_pod, known) = (queue.clone(), controller.budgets.clone());
    caches.pods.on_change(move |change| {
        let pod = change.object();
        for budget in known.list_namespace(pod.metadata.namespace.as_deref().unwrap_or_default()) {
            if covers(&budget, pod) || change.old().is_some_and(|old| covers(&budget, old)) {
                on_pod.add(ObjectKey::of(&*budget));
            }
        }
    });
    // A new size of an owner changes what a percentage means.
    let (on_set, known) = (queue.clone(), controller.budgets.clone());
    caches.replica_sets.on_change(move |change| {
        if change.old().is_none_or(|old| old.spec.replicas != change.object().spec.replicas) {
            wake_namespace(change.object().metadata.namespace.as_deref(), &known, &on_set);
        }
    });
    let (on_set, known) = (queue.clone(), controller.budgets.clone());
    controller.stateful_sets.on_change(move |change| {
        if change.old().is_none_or(|old| old.spec.replicas != change.object().spec.replicas) {
            wake_namespace(change.object().metadata.namespace.as_deref(), &known, &on_set);
        }
    });
    tasks.spawn(run_controller(controller, queue, shell.clone(), 2));
}

fn wake_namespace(namespace: Option<&str>, budgets: &Informer<PodDisruptionBudget>, queue: &WorkQueue<ObjectKey>) {
    budgets.list_namespace(namespace.unwrap_or_default()).iter().for_each(|b| queue.add(ObjectKey::of(&**b)));
}

fn covers(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    budget.spec.as_ref().and_then(|s| s.selector.as_ref()).is_some_and(|s| selects(s, pod.metadata.labels.as_ref()))
}

impl Controller for Budgets {
    const NAME: &'static str = "disruption";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let Some(budget) = self.budgets.get_key(key) else { return Ok(None) };
        let pods: Vec<_> = self.caches.pods.list_namespace(&key.namespace).into_iter().filter(|p| covers(&budget, p)).collect();
        let mut owners: Vec<(String, i32)> = pods.iter().map(|p| self.scale_of(p, &key.namespace)).collect();
        owners.sort();
        owners.dedup();
        let scale = owners.iter().map(|(_, n)| *n).fold(0i32, i32::saturating_add);
        Ok(Some(Observed { budget, pods, scale }))
    }

    fn plan(observed: Observed, now: Timestamp) -> Plan {
        plan(&observed, now)
    }
}

impl Budgets {
    /// The owner that decides how many there are, and how many it wants; a pod without one stands for itself.
    fn scale_of(&self, pod: &Pod, namespace: &str) -> (String, i32) {
        let alone = || (pod.metadata.uid.clone().unwrap_or_default(), 1);
        let Some(owner) = controller_owner(pod) else { return alone() };
        let found = match owner.kind.as_str() {
            "ReplicaSet" => self.caches.replica_sets.get(namespace, &owner.name).map(|set| match controller_owner(&*set) {
                Some(above) if above.kind == "Deployment" => {
                    let replicas = self.deployments.get(namespace, &above.name).map_or(1, |d| d.spec.replicas.unwrap_or(1));
                    (above.uid.clone(), replicas)
                }
                _ => (owner.uid.clone(), set.spec.replicas.unwrap_or(1)),
            }),
            "StatefulSet" => self.stateful_sets.get(namespace, &owner.name).map(|s| (owner.uid.clone(), s.spec.replicas.unwrap_or(1))),
            "ReplicationController" => self.controllers.get(namespace, &owner.name).map(|c| (owner.uid.clone(), c.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1))),
            _ => None,
        };
        found.unwrap_or_else(alone)
    }
}

/// A number or a percentage, rounded up.
fn resolve(value: &IntOrString, total: i32) -> i32 {
    match value {
        IntOrString::Int(n) => *n,
        IntOrString::String(text) => {
            let percent = text.strip_suffix('%').and_then(|p| p.parse::<i64>().ok()).unwrap_or(0);
            i32::try_from((percent * i64::from(total) + 99) / 100).unwrap_or(i32::MAX)
        }
    }
}

fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let budget = &*observed.budget;
    let Some(spec) = &budget.spec else { return Plan::default() };
    let before = budget.status.clone().unwrap_or_default();
    let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let (expected, desired) = match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => (observed.scale, (observed.scale - resolve(most, observed.scale)).max(0)),
        (None, Some(IntOrString::Int(least))) => (number(observed.pods.len()), *least),
        (None, Some(least)) => (observed.scale, resolve(least, observed.scale)),
        (None, None) => (number(observed.pods.len()), 0),
    };
    let mut plan = Plan::default();
    let mut disrupted = before.disrupted_pods.clone().unwrap_or_default();
    disrupted.retain(|name, since| {
        let pod = observed.pods.iter().find(|p| p.metadata.name.as_ref() == Some(name));
        let left = EVICTION_TAKES - now.duration_since(since.0).as_secs();
        let keep = left > 0 && pod.is_some_and(|p| !pods::is_terminating(p));
        if keep {
            plan.wake_after(Duration::from_secs(left.unsigned_abs()));
        }
        keep
    });
    let healthy = |p: &&Arc<Pod>| !pods::is_terminating(p) && pods::is_ready(p) && p.metadata.name.as_ref().is_none_or(|n| !disrupted.contains_key(n));
    let healthy = number(observed.pods.iter().filter(healthy).count());
    let allowed = if expected <= 0 { 0 } else { (healthy - desired).max(0) };
    let mut after = budget.clone();
    let mut conditions = before.conditions.unwrap_or_default();
    set_condition(&mut conditions, allowed > 0, budget.metadata.generation, now);
    after.status = Some(PodDisruptionBudgetStatus {
        conditions: Some(conditions),
        current_healthy: Some(healthy),
        desired_healthy: Some(desired),
        expected_pods: Some(expected),
        disruptions_allowed: Some(allowed),
        disrupted_pods: Some(disrupted).filter(|d| !d.is_empty()),
        observed_generation: budget.metadata.generation,
    });
    plan.actions.extend(Action::update_status(budget, &after));
    plan
}

fn set_condition(conditions: &mut Vec<Condition>, allowed: bool, generation: Option<i64>, now: Timestamp) {
    let (status, reason) = if allowed { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let before = conditions.iter().find(|c| c.type_ == "DisruptionAllowed");
    let since = before.filter(|c| c.status == status).map_or(Time(now), |c| c.last_transition_time.clone());
    conditions.retain(|c| c.type_ != "DisruptionAllowed");
    conditions.push(Condition { type_: "DisruptionAllowed".into(), status: status.into(), reason: reason.into(), message: String::new(), observed_generation: generation, last_transition_time: since });
}
