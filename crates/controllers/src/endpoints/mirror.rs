//! Slices of hand-made Endpoints, for proxies that read only slices. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Action, owner_reference};
use k8s_openapi::api::core::v1::Endpoints;
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointSlice};

use super::facts::{Port, SERVICE_NAME};
use super::slices::{MANAGED_BY, Origin, reconcile};

pub(crate) const CONTROLLER: &str = "endpointslicemirroring-controller.k8s.io";
/// Upstream: the default of --mirroring-max-endpoints-per-subset.
const PER_SUBSET: usize = 1000;

/// Leader election records and those that ask not to be are not mirrored.
pub(crate) fn is_mirrored(endpoints: &Endpoints) -> bool {
    let meta = &endpoints.metadata;
    let skipped = meta.labels.as_ref().and_then(|l| l.get("endpointslice.kubernetes.io/skip-mirror")).is_some_and(|v| v == "true");
    let election = meta.annotations.as_ref().is_some_and(|a| a.contains_key("control-plane.alpha.kubernetes.io/leader"));
    !skipped && !election
}

/// `None`: nothing is mirrored, what was mirrored goes.
pub(crate) fn plan(endpoints: Option<&Endpoints>, existing: &[Arc<EndpointSlice>]) -> Vec<Action> {
    let Some(endpoints) = endpoints.filter(|e| is_mirrored(e)) else { return existing.iter().map(|s| Action::delete(&**s)).collect() };
    let mut wanted: BTreeMap<(String, Vec<Port>), Vec<Endpoint>> = BTreeMap::new();
    for subset in endpoints.subsets.iter().flatten() {
        let ports: Vec<Port> = subset
            .ports
            .iter()
            .flatten()
            .map(|p| Port { name: p.name.clone().unwrap_or_default(), protocol: p.protocol.clone().unwrap_or_else(|| "TCP".into()), number: p.port, app_protocol: p.app_protocol.clone() })
            .collect();
        let ready = subset.addresses.iter().flatten().map(|a| (a, true));
        let all = ready.chain(subset.not_ready_addresses.iter().flatten().map(|a| (a, false)));
        for (address, ready) in all.take(PER_SUBSET) {
            let family = if address.ip.contains(':') { "IPv6" } else { "IPv4" };
            wanted.entry((family.into(), ports.clone())).or_default().push(Endpoint {
                addresses: vec![address.ip.clone()],
                conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
                hostname: address.hostname.clone(),
                node_name: address.node_name.clone(),
                target_ref: address.target_ref.clone(),
                ..Endpoint::default()
            });
        }
    }
    let name = endpoints.metadata.name.clone().unwrap_or_default();
    let mut labels = endpoints.metadata.labels.clone().unwrap_or_default();
    labels.insert(SERVICE_NAME.into(), name.clone());
    labels.insert(MANAGED_BY.into(), CONTROLLER.into());
    let origin = Origin { name, namespace: endpoints.metadata.namespace.clone().unwrap_or_default(), owner: owner_reference(endpoints), labels };
    reconcile(&origin, wanted, existing)
}
