//! Services of type LoadBalancer get the addresses of the ready nodes: a load balancer without a cloud.
//!
//! It never touches services that name a class: those belong to somebody else.

use std::sync::Arc;

use client::{Action, Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LoadBalancerIngress, LoadBalancerStatus, Node, Service};
use tokio::task::JoinSet;

use crate::caches::Caches;

struct Balancers {
    services: Informer<Service>,
    nodes: Informer<Node>,
}

pub(crate) struct Observed {
    service: Arc<Service>,
    nodes: Vec<Arc<Node>>,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let controller = Balancers { services: caches.informers.get(), nodes: caches.nodes.clone() };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_service = queue.clone();
    controller.services.on_change(move |change| on_service.add(ObjectKey::of(&**change.object())));
    let (on_node, services) = (queue.clone(), controller.services.clone());
    controller.nodes.on_change(move |change| {
        let new = change.object();
        if change.old().is_some_and(|old| addresses(old) == addresses(new)) {
            return;
        }
        for service in services.list().iter().filter(|s| is_balanced(s)) {
            on_node.add(ObjectKey::of(&**service));
        }
    });
    tasks.spawn(run_controller(controller, queue, shell.clone(), 1));
}

fn is_balanced(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.and_then(|s| s.type_.as_deref()) == Some("LoadBalancer") && spec.is_some_and(|s| s.load_balancer_class.is_none())
}

/// The addresses of a node that takes traffic: external ones, else internal ones.
fn addresses(node: &Node) -> Vec<String> {
    let status = node.status.as_ref();
    let ready = status.iter().flat_map(|s| s.conditions.iter().flatten()).any(|c| c.type_ == "Ready" && c.status == "True");
    let excluded = node.metadata.labels.as_ref().is_some_and(|l| l.contains_key("node.kubernetes.io/exclude-from-external-load-balancers"));
    if !ready || excluded {
        return Vec::new();
    }
    let of = |kind: &str| status.iter().flat_map(|s| s.addresses.iter().flatten()).filter(|a| a.type_ == kind).map(|a| a.address.clone()).collect::<Vec<_>>();
    let external = of("ExternalIP");
    if external.is_empty() { of("InternalIP") } else { external }
}

impl Controller for Balancers {
    const NAME: &'static str = "service-load-balancer";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        Ok(self.services.get_key(key).map(|service| Observed { service, nodes: self.nodes.list() }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        let service = &*observed.service;
        let class = service.spec.as_ref().and_then(|s| s.load_balancer_class.as_ref());
        let mut after = service.clone();
        let status = after.status.get_or_insert_default();
        if is_balanced(service) {
            let mut ips: Vec<String> = observed.nodes.iter().flat_map(|n| addresses(n)).collect();
            ips.sort();
            ips.dedup();
            let ingress = ips.into_iter().map(|ip| LoadBalancerIngress { ip: Some(ip), ip_mode: Some("VIP".into()), ..LoadBalancerIngress::default() }).collect::<Vec<_>>();
            status.load_balancer = Some(LoadBalancerStatus { ingress: Some(ingress).filter(|i| !i.is_empty()) });
        } else if class.is_none() && status.load_balancer.as_ref().is_some_and(|l| l.ingress.is_some()) {
            status.load_balancer = Some(LoadBalancerStatus::default());
        } else {
            return Plan::default();
        }
        Plan::of(Action::update_status(service, &after))
    }
}
