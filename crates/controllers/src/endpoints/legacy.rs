//! The Endpoints object of a service. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Action, reference};
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Endpoints, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::facts::{HEADLESS, Port, addresses, counts, host_name, is_headless, ports, publishes_unready};
use crate::pods;

/// Upstream: maxCapacity.
const CAPACITY: usize = 1000;
const OVER_CAPACITY: &str = "endpoints.kubernetes.io/over-capacity";
const MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

pub(crate) fn plan(service: &Service, pods: &[Arc<Pod>], existing: Option<&Endpoints>) -> Vec<Action> {
    let family = service.spec.as_ref().and_then(|s| s.ip_families.as_ref()).and_then(|f| f.first()).map_or("IPv4", String::as_str);
    let publish = publishes_unready(service);
    let mut groups: BTreeMap<Vec<Port>, (Vec<EndpointAddress>, Vec<EndpointAddress>)> = BTreeMap::new();
    for pod in pods.iter().filter(|p| counts(p, publish)) {
        let Some(ip) = addresses(pod, family).first().map(|ip| (*ip).to_owned()) else { continue };
        let ports = ports(service, pod);
        if ports.is_empty() && !(is_headless(service) && service.spec.as_ref().is_none_or(|s| s.ports.is_none())) {
            continue;
        }
        let mut target = reference(&**pod);
        target.api_version = None;
        target.resource_version = None;
        let address = EndpointAddress { ip, hostname: host_name(pod, service), node_name: Some(pods::node_name(pod).to_owned()), target_ref: Some(target) };
        let group = groups.entry(ports).or_default();
        if publish || pods::is_ready(pod) { group.0.push(address) } else { group.1.push(address) }
    }
    let over = groups.values().map(|(ready, not)| ready.len() + not.len()).sum::<usize>() > CAPACITY;
    let mut room = CAPACITY;
    let subsets: Vec<EndpointSubset> = groups.into_iter().map(|(ports, (ready, unready))| subset(ports, ready, unready, &mut room)).collect();
    write(service, (!subsets.is_empty()).then_some(subsets), over, existing).into_iter().collect()
}

fn subset(ports: Vec<Port>, mut ready: Vec<EndpointAddress>, mut unready: Vec<EndpointAddress>, room: &mut usize) -> EndpointSubset {
    for list in [&mut ready, &mut unready] {
        list.sort_by(|a, b| a.ip.cmp(&b.ip));
        list.truncate(*room);
        *room -= list.len();
    }
    let some = |list: Vec<EndpointAddress>| (!list.is_empty()).then_some(list);
    let ports = ports.into_iter().map(|p| EndpointPort { name: Some(p.name).filter(|n| !n.is_empty()), port: p.number, protocol: Some(p.protocol), app_protocol: p.app_protocol });
    EndpointSubset { addresses: some(ready), not_ready_addresses: some(unready), ports: Some(ports.collect::<Vec<_>>()).filter(|p| !p.is_empty()) }
}

fn write(service: &Service, subsets: Option<Vec<EndpointSubset>>, over: bool, existing: Option<&Endpoints>) -> Option<Action> {
    let mut labels = service.metadata.labels.clone().unwrap_or_default();
    labels.insert(MANAGED_BY.into(), "endpoint-controller".into());
    if is_headless(service) {
        labels.insert(HEADLESS.into(), String::new());
    } else {
        labels.remove(HEADLESS);
    }
    let mut wanted = existing.cloned().unwrap_or_else(|| Endpoints {
        metadata: ObjectMeta { name: service.metadata.name.clone(), namespace: service.metadata.namespace.clone(), ..ObjectMeta::default() },
        subsets: None,
    });
    wanted.metadata.labels = Some(labels);
    wanted.subsets = subsets;
    if over {
        wanted.metadata.annotations.get_or_insert_default().insert(OVER_CAPACITY.into(), "truncated".into());
    } else if let Some(annotations) = &mut wanted.metadata.annotations {
        annotations.remove(OVER_CAPACITY);
    }
    match existing {
        None => Some(Action::create(&wanted)),
        Some(old) => Action::update(old, &wanted),
    }
}
