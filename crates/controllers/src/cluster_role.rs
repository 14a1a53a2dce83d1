//! Cluster roles that gather the rules of others. Upstream: pkg/controller/clusterroleaggregation.

use std::sync::Arc;

use client::{Action, Controller, Error, Informer, Plan, Shell, WorkQueue, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::ClusterRole;
use scheduling::labels::selects;
use tokio::task::JoinSet;

use crate::caches::Caches;

struct Roles {
    roles: Informer<ClusterRole>,
}

pub(crate) struct Observed {
    role: Arc<ClusterRole>,
    all: Vec<Arc<ClusterRole>>,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let controller = Roles { roles: caches.informers.get() };
    let queue: WorkQueue<String> = WorkQueue::default();
    let (on_role, known) = (queue.clone(), controller.roles.clone());
    controller.roles.on_change(move |change| {
        let changed = change.object();
        let gathers = |role: &ClusterRole| {
            let hit = |r: &ClusterRole| selectors(role).any(|s| selects(s, r.metadata.labels.as_ref()));
            hit(changed) || change.old().is_some_and(|old| hit(old))
        };
        for role in known.list().iter().filter(|r| r.aggregation_rule.is_some() && (r.metadata.name == changed.metadata.name || gathers(r))) {
            on_role.add(role.metadata.name.clone().unwrap_or_default());
        }
    });
    tasks.spawn(run_controller(controller, queue, shell.clone(), 1));
}

fn selectors(role: &ClusterRole) -> impl Iterator<Item = &k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector> {
    role.aggregation_rule.iter().flat_map(|r| r.cluster_role_selectors.iter().flatten())
}

impl Controller for Roles {
    const NAME: &'static str = "clusterrole-aggregation";
    type Key = String;
    type Observed = Observed;

    async fn observe(&self, key: &String) -> Result<Option<Observed>, Error> {
        Ok(self.roles.get("", key).map(|role| Observed { role, all: self.roles.list() }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        let role = &*observed.role;
        if role.aggregation_rule.is_none() {
            return Plan::default();
        }
        let mut rules = Vec::new();
        for selector in selectors(role) {
            let others = observed.all.iter().filter(|r| r.metadata.name != role.metadata.name && selects(selector, r.metadata.labels.as_ref()));
            for rule in others.flat_map(|r| r.rules.iter().flatten()) {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
        let mut after = role.clone();
        if !(rules.is_empty() && role.rules.is_none()) {
            after.rules = Some(rules);
        }
        Plan::of(Action::update(role, &after))
    }
}
