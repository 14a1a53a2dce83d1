//! Reads the caches for one service and wires pods, services, endpoints and slices to its queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Action, Change, Controller, Error, Index, Informer, ObjectKey, Plan, Shell, WorkQueue, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use scheduling::labels::map_selects;
use tokio::task::JoinSet;

use super::facts::{SERVICE_NAME, zones};
use super::{legacy, mirror, slices};
use crate::caches::Caches;

struct Services {
    caches: Caches,
    services: Informer<Service>,
    endpoints: Informer<Endpoints>,
    slices_by_service: Index<EndpointSlice>,
}

pub(crate) struct Observed {
    key: ObjectKey,
    service: Option<Arc<Service>>,
    pods: Vec<Arc<Pod>>,
    endpoints: Option<Arc<Endpoints>>,
    slices: Vec<Arc<EndpointSlice>>,
    /// The server has slices at all.
    sliced: bool,
    zones: BTreeMap<String, String>,
}

fn slice_key(namespace: &str, service: &str) -> String {
    format!("{namespace}/{service}")
}

fn service_of(slice: &EndpointSlice) -> Option<&String> {
    slice.metadata.labels.as_ref()?.get(SERVICE_NAME)
}

fn managed_by(slice: &EndpointSlice, controller: &str) -> bool {
    slice.metadata.labels.as_ref().and_then(|l| l.get(slices::MANAGED_BY)).is_some_and(|v| v == controller)
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let all_slices = caches.informers.get::<EndpointSlice>();
    let services = caches.informers.get::<Service>();
    let endpoints = caches.informers.get::<Endpoints>();
    let slices_by_service = all_slices.index(|s: &EndpointSlice| {
        let namespace = s.metadata.namespace.as_deref().unwrap_or_default();
        service_of(s).map(|name| slice_key(namespace, name)).into_iter().collect()
    });
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_service = queue.clone();
    services.on_change(move |change| on_service.add(ObjectKey::of(&**change.object())));
    let on_endpoints = queue.clone();
    endpoints.on_change(move |change| on_endpoints.add(ObjectKey::of(&**change.object())));
    let on_slice = queue.clone();
    all_slices.on_change(move |change| {
        let slice = change.object();
        if let Some(name) = service_of(slice) {
            on_slice.add(ObjectKey::new(slice.metadata.namespace.clone().unwrap_or_default(), name.clone()));
        }
    });
    let (on_pod, known) = (queue.clone(), services.clone());
    caches.pods.on_change(move |change| wake_services(change, &known, &on_pod));
    let controller = Services { caches: caches.clone(), services, endpoints, slices_by_service };
    tasks.spawn(run_controller(controller, queue, shell.clone(), 4));
}

fn wake_services(change: &Change<Pod>, services: &Informer<Service>, queue: &WorkQueue<ObjectKey>) {
    let pod = change.object();
    if change.old().is_some_and(|old| same_for_services(old, pod)) {
        return;
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    for service in services.list_namespace(namespace) {
        let selector = service.spec.as_ref().and_then(|s| s.selector.as_ref());
        let selected = |p: &Pod| selector.is_some_and(|s| map_selects(s, p.metadata.labels.as_ref()));
        if selected(pod) || change.old().is_some_and(|old| selected(old)) {
            queue.add(ObjectKey::of(&*service));
        }
    }
}

/// True when nothing that a service could see has changed.
fn same_for_services(old: &Pod, new: &Pod) -> bool {
    let ready = crate::pods::is_ready;
    let ip = |p: &Pod| p.status.as_ref().map(|s| (s.pod_ip.clone(), s.pod_ips.clone()));
    old.metadata.labels == new.metadata.labels
        && ready(old) == ready(new)
        && ip(old) == ip(new)
        && crate::pods::is_terminal(old) == crate::pods::is_terminal(new)
        && old.metadata.deletion_timestamp.is_some() == new.metadata.deletion_timestamp.is_some()
        && crate::pods::node_name(old) == crate::pods::node_name(new)
}

impl Controller for Services {
    const NAME: &'static str = "endpoints";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let service = self.services.get_key(key);
        let selector = service.as_ref().and_then(|s| s.spec.as_ref()).and_then(|s| s.selector.clone()).unwrap_or_default();
        let pods = match selector.is_empty() {
            true => Vec::new(),
            false => self.caches.pods.list_namespace(&key.namespace).into_iter().filter(|p| map_selects(&selector, p.metadata.labels.as_ref())).collect(),
        };
        Ok(Some(Observed {
            key: key.clone(),
            pods,
            endpoints: self.endpoints.get_key(key),
            slices: self.slices_by_service.get(&slice_key(&key.namespace, &key.name)),
            sliced: self.caches.informers.has::<EndpointSlice>(),
            zones: zones(&self.caches.nodes.list()),
            service,
        }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        plan(&observed)
    }
}

fn plan(observed: &Observed) -> Plan {
    let own: Vec<_> = observed.slices.iter().filter(|s| managed_by(s, slices::CONTROLLER)).cloned().collect();
    let mirrored: Vec<_> = observed.slices.iter().filter(|s| managed_by(s, mirror::CONTROLLER)).cloned().collect();
    let Some(service) = &observed.service else { return without_service(observed, &own, &mirrored) };
    let spec = service.spec.as_ref();
    let external = spec.and_then(|s| s.type_.as_deref()) == Some("ExternalName");
    let selects = spec.and_then(|s| s.selector.as_ref()).is_some_and(|s| !s.is_empty());
    if external || service.metadata.deletion_timestamp.is_some() {
        let mut plan = Plan::of(own.iter().map(|s| Action::delete(&**s)));
        plan.actions.extend(mirror::plan(None, &mirrored));
        return plan;
    }
    if !selects {
        // Somebody else's Endpoints: ours to mirror, not to write.
        let mut plan = Plan::of(own.iter().map(|s| Action::delete(&**s)));
        let endpoints = observed.endpoints.as_deref().filter(|_| observed.sliced);
        plan.actions.extend(mirror::plan(endpoints, &mirrored));
        return plan;
    }
    let mut plan = Plan::of(legacy::plan(service, &observed.pods, observed.endpoints.as_deref()));
    if !observed.sliced {
        return plan;
    }
    plan.actions.splice(0..0, slices::plan(service, &observed.pods, &observed.zones, &own));
    plan.actions.extend(mirror::plan(None, &mirrored));
    plan
}

/// The service is gone: its slices and the Endpoints that this controller made go too.
fn without_service(observed: &Observed, own: &[Arc<EndpointSlice>], mirrored: &[Arc<EndpointSlice>]) -> Plan {
    let mut plan = Plan::of(own.iter().chain(mirrored).map(|s| Action::delete(&**s)));
    let managed = |e: &Endpoints| e.metadata.labels.as_ref().is_some_and(|l| l.contains_key("endpoints.kubernetes.io/managed-by"));
    if let Some(endpoints) = observed.endpoints.as_deref().filter(|e| managed(e)) {
        tracing::debug!(service = %observed.key, "service is gone, its endpoints go");
        plan.actions.push(Action::delete(endpoints));
    }
    plan
}
