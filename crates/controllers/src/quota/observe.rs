//! Counts what falls under one quota and wires whatever may free some to its queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Action, Controller, Error, Informer, Kind, ObjectKey, Plan, Shell, WorkQueue, request_json, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, ResourceQuota, Service};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;
use tokio::task::JoinSet;

use super::usage::{Usage, count, counted, in_scope, of_claims, of_pods, of_services};
use crate::caches::Caches;
use crate::discovery::resources;
use crate::garbage::OnCounted;
use crate::pods;

struct Quotas {
    caches: Caches,
    quotas: Informer<ResourceQuota>,
    services: Informer<Service>,
    claims: Informer<PersistentVolumeClaim>,
    client: kube::Client,
}

pub(crate) struct Observed {
    quota: Arc<ResourceQuota>,
    used: Usage,
}

/// A burst of changes is counted once.
const SETTLE: Duration = Duration::from_millis(100);

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) -> OnCounted {
    let informers = &caches.informers;
    let quotas = informers.get::<ResourceQuota>();
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_quota = queue.clone();
    quotas.on_change(move |change| {
        // Our own counting, and the server's, is no reason to count again.
        let same = change.old().is_some_and(|old| old.spec == change.object().spec && old.status.as_ref().map(|s| &s.hard) == change.object().status.as_ref().map(|s| &s.hard));
        if !same {
            on_quota.add(ObjectKey::of(&**change.object()));
        }
    });
    let (on_pod, known) = (queue.clone(), quotas.clone());
    caches.pods.on_change(move |change| {
        let ended = change.old().is_some_and(|old| !pods::is_terminal(old)) && pods::is_terminal(change.object());
        if ended {
            let namespace = change.object().metadata.namespace.as_deref().unwrap_or_default();
            known.list_namespace(namespace).iter().for_each(|q| on_pod.add(ObjectKey::of(&**q)));
        }
    });
    let (on_counted, known) = (queue.clone(), quotas.clone());
    let controller = Quotas { caches: caches.clone(), quotas, services: informers.get(), claims: informers.get(), client: shell.executor.client().clone() };
    tasks.spawn(run_controller(controller, queue, shell.clone(), 2));
    Arc::new(move |_: &Kind, namespace: &str| {
        known.list_namespace(namespace).iter().for_each(|q| on_counted.add_after(ObjectKey::of(&**q), SETTLE));
    })
}

impl Controller for Quotas {
    const NAME: &'static str = "resource-quota";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let Some(quota) = self.quotas.get_key(key) else { return Ok(None) };
        let Some(spec) = &quota.spec else { return Ok(None) };
        let hard: Vec<&String> = spec.hard.iter().flat_map(|h| h.keys()).collect();
        let mut all = Usage::new();
        let scoped: Vec<_> = self.caches.pods.list_namespace(&key.namespace).into_iter().filter(|p| in_scope(spec, p)).collect();
        of_pods(&mut all, &scoped);
        of_services(&mut all, &self.services.list_namespace(&key.namespace));
        of_claims(&mut all, &self.claims.list_namespace(&key.namespace));
        let uncounted: Vec<(&String, (String, String))> = hard.iter().filter(|name| !all.contains_key(**name)).filter_map(|name| Some((*name, counted(name)?))).collect();
        if !uncounted.is_empty() {
            let found = resources(&self.client).await?;
            for (name, (plural, group)) in uncounted {
                let Some(resource) = found.iter().find(|r| r.kind.plural == plural && r.kind.group == group) else { continue };
                let list = request_json(&self.client, "GET", &resource.kind.path(&key.namespace), None).await?;
                count(&mut all, name, list["items"].as_array().map_or(0, Vec::len));
            }
        }
        let used = hard.into_iter().map(|name| (name.clone(), all.get(name).copied().unwrap_or_default())).collect();
        Ok(Some(Observed { quota, used }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        let quota = &*observed.quota;
        let hard = quota.spec.as_ref().and_then(|s| s.hard.clone());
        let known = quota.status.as_ref().and_then(|s| s.used.clone()).unwrap_or_default();
        let same = |name: &str, amount: &quantity::Quantity| known.get(name).and_then(|k| k.0.parse::<quantity::Quantity>().ok()).as_ref() == Some(amount);
        // An equal amount keeps its words, so that nothing is written for nothing.
        let used: BTreeMap<String, Text> = observed
            .used
            .iter()
            .map(|(name, amount)| (name.clone(), known.get(name).filter(|_| same(name, amount)).cloned().unwrap_or_else(|| Text(amount.to_string()))))
            .collect();
        let mut after = quota.clone();
        let status = after.status.get_or_insert_default();
        status.hard = hard;
        status.used = Some(used);
        Plan::of(Action::update_status(quota, &after))
    }
}
