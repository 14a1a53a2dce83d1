//! Counts what is left in a namespace that is being deleted.

use std::collections::BTreeMap;

use client::{Change, Controller, Error, Informer, Plan, Shell, WorkQueue, bounded, request_json, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use serde_json::Value;
use tokio::task::JoinSet;

use super::plan::{Left, Observed, plan};
use crate::caches::Caches;
use crate::discovery::{Resource, resources};

const LISTS_AT_ONCE: usize = 8;

struct Namespaces {
    namespaces: Informer<Namespace>,
    client: kube::Client,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let controller = Namespaces { namespaces: caches.informers.get(), client: shell.executor.client().clone() };
    let queue: WorkQueue<String> = WorkQueue::default();
    let on_namespace = queue.clone();
    controller.namespaces.on_change(move |change| {
        if !matches!(change, Change::Deleted(_)) && super::is_terminating(change.object()) {
            on_namespace.add(change.object().metadata.name.clone().unwrap_or_default());
        }
    });
    let (on_pod, known) = (queue.clone(), controller.namespaces.clone());
    caches.pods.on_change(move |change| {
        if let Change::Deleted(pod) = change {
            let name = pod.metadata.namespace.clone().unwrap_or_default();
            if known.get("", &name).is_some_and(|n| super::is_terminating(&n)) {
                on_pod.add(name);
            }
        }
    });
    tasks.spawn(run_controller(controller, queue, shell.clone(), 4));
}

impl Controller for Namespaces {
    const NAME: &'static str = "namespace";
    type Key = String;
    type Observed = Observed;

    async fn observe(&self, key: &String) -> Result<Option<Observed>, Error> {
        let Some(namespace) = self.namespaces.get("", key).filter(|n| n.metadata.deletion_timestamp.is_some()) else { return Ok(None) };
        let found = match resources(&self.client).await {
            Ok(found) => found,
            Err(error) => return Ok(Some(Observed { namespace, left: Vec::new(), discovery_error: Some(error.to_string()), list_errors: Vec::new() })),
        };
        let asked = found.into_iter().filter(|r| r.namespaced && r.supports("list") && r.supports("delete"));
        // Events are deleted like everything else, but nobody waits for the core and the events group both: they are one store.
        let asked = asked.filter(|r| r.kind.group != "events.k8s.io");
        let (mut left, mut list_errors) = (Vec::new(), Vec::new());
        for answer in bounded(LISTS_AT_ONCE, asked.map(|resource| self.count(resource, key))).await {
            match answer {
                Ok(Some(some)) => left.push(some),
                Ok(None) => {}
                Err(error) => list_errors.push(error),
            }
        }
        left.sort_by(|a, b| (&a.resource.kind.plural, &a.resource.kind.group).cmp(&(&b.resource.kind.plural, &b.resource.kind.group)));
        list_errors.sort();
        Ok(Some(Observed { namespace, left, discovery_error: None, list_errors }))
    }

    fn plan(observed: Observed, now: Timestamp) -> Plan {
        plan(&observed, now)
    }
}

impl Namespaces {
    async fn count(&self, resource: Resource, namespace: &str) -> Result<Option<Left>, String> {
        let path = resource.kind.path(namespace);
        let list = match request_json(&self.client, "GET", &path, None).await {
            Ok(list) => list,
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 405 => return Ok(None),
            Err(error) => return Err(format!("{}: {}", resource.kind.plural, client::api_message(&error))),
        };
        let items = list["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        if items.is_empty() {
            return Ok(None);
        }
        let mut finalizers = BTreeMap::new();
        let mut undeleted = 0;
        for item in items {
            undeleted += usize::from(item["metadata"]["deletionTimestamp"].is_null());
            for finalizer in item["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                *finalizers.entry(finalizer.to_owned()).or_insert(0) += 1;
            }
        }
        Ok(Some(Left { resource, count: items.len(), undeleted, finalizers }))
    }
}
