//! The endpoint slices of a service: at most 100 endpoints each, changed as little as possible. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Action, owner_reference, reference};
use k8s_openapi::api::core::v1::{Pod, Service};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use super::facts::{HEADLESS, Port, SERVICE_NAME, addresses, counts, host_name, is_headless, ports, publishes_unready};
use crate::pods;

pub(crate) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
pub(crate) const CONTROLLER: &str = "endpointslice-controller.k8s.io";
const PER_SLICE: usize = 100;

type Group = (String, Vec<Port>);

/// What every slice of one origin carries.
pub(crate) struct Origin {
    pub name: String,
    pub namespace: String,
    pub owner: OwnerReference,
    pub labels: BTreeMap<String, String>,
}

pub(crate) fn plan(service: &Service, pods: &[Arc<Pod>], zones: &BTreeMap<String, String>, existing: &[Arc<EndpointSlice>]) -> Vec<Action> {
    let families = service.spec.as_ref().and_then(|s| s.ip_families.clone()).filter(|f| !f.is_empty()).unwrap_or_else(|| vec!["IPv4".into()]);
    let mut wanted: BTreeMap<Group, Vec<Endpoint>> = BTreeMap::new();
    for family in &families {
        for pod in pods.iter().filter(|p| counts(p, true)) {
            let Some(ip) = addresses(pod, family).first().map(|ip| (*ip).to_owned()) else { continue };
            wanted.entry((family.clone(), ports(service, pod))).or_default().push(endpoint(service, pod, ip, zones));
        }
    }
    for family in &families {
        // A service without pods still has a slice, so that it is told apart from a service nobody looked at.
        if !wanted.keys().any(|(f, _)| f == family) {
            wanted.insert((family.clone(), Vec::new()), Vec::new());
        }
    }
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.remove(HEADLESS);
    if is_headless(service) {
        labels.insert(HEADLESS.into(), String::new());
    }
    labels.insert(SERVICE_NAME.into(), service.metadata.name.clone().unwrap_or_default());
    labels.insert(MANAGED_BY.into(), CONTROLLER.into());
    let origin = Origin { name: service.metadata.name.clone().unwrap_or_default(), namespace: service.metadata.namespace.clone().unwrap_or_default(), owner: owner_reference(service), labels };
    reconcile(&origin, wanted, existing)
}

fn endpoint(service: &Service, pod: &Pod, ip: String, zones: &BTreeMap<String, String>) -> Endpoint {
    let (serving, terminating) = (pods::is_ready(pod), pods::is_terminating(pod));
    let ready = publishes_unready(service) || serving && !terminating;
    let node = pods::node_name(pod);
    let mut target = reference(pod);
    target.api_version = None;
    target.resource_version = None;
    Endpoint {
        addresses: vec![ip],
        conditions: Some(EndpointConditions { ready: Some(ready), serving: Some(serving), terminating: Some(terminating) }),
        hostname: host_name(pod, service),
        node_name: Some(node.to_owned()).filter(|n| !n.is_empty()),
        target_ref: Some(target),
        zone: zones.get(node).cloned(),
        ..Endpoint::default()
    }
}

/// Brings the existing slices to the wanted endpoints: known ones stay where they are, new ones fill gaps.
pub(crate) fn reconcile(origin: &Origin, mut wanted: BTreeMap<Group, Vec<Endpoint>>, existing: &[Arc<EndpointSlice>]) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut by_group: BTreeMap<Group, Vec<&Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in existing {
        by_group.entry(group_of(slice)).or_default().push(slice);
    }
    let mut spare: Vec<&Arc<EndpointSlice>> = Vec::new();
    by_group.retain(|group, slices| {
        let keep = wanted.contains_key(group);
        if !keep {
            spare.append(slices);
        }
        keep
    });
    let mut writes = Vec::new();
    for (group, endpoints) in std::mem::take(&mut wanted) {
        let mut left: BTreeMap<(Option<String>, Vec<String>), Endpoint> = endpoints.into_iter().map(|e| (identity(&e), e)).collect();
        let mut slices: Vec<(Option<&Arc<EndpointSlice>>, Vec<Endpoint>)> = Vec::new();
        for slice in by_group.remove(&group).unwrap_or_default() {
            let kept = slice.endpoints.iter().flatten().filter_map(|e| left.remove(&identity(e))).collect();
            slices.push((Some(slice), kept));
        }
        let mut rest = left.into_values();
        for (_, endpoints) in &mut slices {
            endpoints.extend(rest.by_ref().take(PER_SLICE.saturating_sub(endpoints.len())));
        }
        let rest: Vec<Endpoint> = rest.collect();
        slices.extend(rest.chunks(PER_SLICE).map(|chunk| (None, chunk.to_vec())));
        // Empty slices go, but for one when there is nothing else.
        let filled = slices.iter().filter(|(_, e)| !e.is_empty()).count();
        let mut empty_left = usize::from(filled == 0);
        for (slice, endpoints) in slices {
            if endpoints.is_empty() && empty_left == 0 {
                spare.extend(slice);
                continue;
            }
            empty_left = if endpoints.is_empty() { 0 } else { empty_left };
            writes.push((group.clone(), slice, endpoints));
        }
        if filled == 0 && empty_left == 1 {
            writes.push((group, None, Vec::new()));
        }
    }
    for (group, slice, endpoints) in writes {
        // A slice that lost its group is filled anew rather than deleted and made again; its address type cannot change.
        let slice = slice.or_else(|| spare.iter().position(|s| s.address_type == group.0).map(|at| spare.remove(at)));
        actions.extend(write(origin, &group, slice, endpoints));
    }
    actions.extend(spare.into_iter().map(|slice| Action::delete(&**slice)));
    actions
}

fn identity(endpoint: &Endpoint) -> (Option<String>, Vec<String>) {
    (endpoint.target_ref.as_ref().and_then(|t| t.uid.clone()), endpoint.addresses.clone())
}

fn group_of(slice: &EndpointSlice) -> Group {
    let ports = slice.ports.iter().flatten().map(|p| Port {
        name: p.name.clone().unwrap_or_default(),
        protocol: p.protocol.clone().unwrap_or_else(|| "TCP".into()),
        number: p.port.unwrap_or(0),
        app_protocol: p.app_protocol.clone(),
    });
    (slice.address_type.clone(), ports.collect())
}

fn write(origin: &Origin, (family, ports): &Group, slice: Option<&Arc<EndpointSlice>>, endpoints: Vec<Endpoint>) -> Option<Action> {
    let ports: Vec<_> = ports.iter().map(|p| EndpointPort { name: Some(p.name.clone()), port: Some(p.number), protocol: Some(p.protocol.clone()), app_protocol: p.app_protocol.clone() }).collect();
    let mut wanted = slice.map(|s| (**s).clone()).unwrap_or_else(|| EndpointSlice {
        metadata: ObjectMeta { generate_name: Some(format!("{}-", origin.name)), namespace: Some(origin.namespace.clone()), ..ObjectMeta::default() },
        address_type: family.clone(),
        endpoints: None,
        ports: None,
    });
    wanted.metadata.labels = Some(origin.labels.clone());
    wanted.metadata.owner_references = Some(vec![origin.owner.clone()]);
    // Absent and empty are one here; keeping the form that is there avoids a write that changes nothing.
    if !(wanted.endpoints.is_none() && endpoints.is_empty()) {
        wanted.endpoints = Some(endpoints);
    }
    if !(wanted.ports.is_none() && ports.is_empty()) {
        wanted.ports = Some(ports);
    }
    match slice {
        None => {
            wanted.endpoints.get_or_insert_default();
            Some(Action::create(&wanted))
        }
        Some(old) => Action::update(&**old, &wanted),
    }
}
