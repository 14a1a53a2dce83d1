//! The cluster's names as one value, built from the caches. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Namespace, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// Everything answers are made of. All names are lower case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Zone {
    /// Such as `cluster.local`, without the last dot.
    pub domain: String,
    pub dns_address: Option<IpAddr>,
    pub namespaces: BTreeSet<String>,
    /// By namespace and name.
    pub services: BTreeMap<(String, String), Entry>,
    /// Names without the domain, by address.
    pub by_address: BTreeMap<IpAddr, Vec<String>>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Empty for a headless service.
    pub cluster_ips: Vec<IpAddr>,
    pub external_name: Option<String>,
    pub ports: Vec<Port>,
    pub endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Port {
    pub name: String,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    pub number: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub address: IpAddr,
    /// The pod's hostname, or the address with dashes.
    pub name: String,
    pub ports: Vec<Port>,
}

impl Zone {
    pub fn build(
        domain: &str,
        dns_address: Option<IpAddr>,
        namespaces: &[Arc<Namespace>],
        services: &[Arc<Service>],
        slices: &[Arc<EndpointSlice>],
    ) -> Self {
        let mut zone = Self { domain: domain.trim_matches('.').to_ascii_lowercase(), dns_address, ..Self::default() };
        zone.namespaces = namespaces.iter().filter_map(|n| n.metadata.name.clone()).collect();
        for service in services {
            if let (Some(namespace), Some(name)) = (&service.metadata.namespace, &service.metadata.name) {
                zone.services.insert((namespace.clone(), name.clone()), entry(service));
            }
        }
        for slice in slices {
            let name = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME));
            let (Some(namespace), Some(name)) = (&slice.metadata.namespace, name) else { continue };
            if let Some(entry) = zone.services.get_mut(&(namespace.clone(), name.clone())) {
                entry.endpoints.extend(endpoints(slice));
            }
        }
        zone.index();
        zone
    }

    fn index(&mut self) {
        for ((namespace, name), entry) in &mut self.services {
            entry.endpoints.sort();
            entry.endpoints.dedup();
            let service = format!("{name}.{namespace}.svc");
            for ip in &entry.cluster_ips {
                self.by_address.entry(*ip).or_default().push(service.clone());
            }
            for endpoint in &entry.endpoints {
                self.by_address.entry(endpoint.address).or_default().push(format!("{}.{service}", endpoint.name));
            }
        }
        self.by_address.values_mut().for_each(|names| {
            names.sort();
            names.dedup();
        });
    }
}

fn entry(service: &Service) -> Entry {
    let Some(spec) = &service.spec else { return Entry::default() };
    if spec.type_.as_deref() == Some("ExternalName") {
        return Entry { external_name: spec.external_name.as_ref().map(|n| n.trim_end_matches('.').to_owned()), ..Entry::default() };
    }
    let addresses: BTreeSet<IpAddr> =
        spec.cluster_ips.iter().flatten().chain(spec.cluster_ip.as_ref()).filter_map(|ip| ip.parse().ok()).collect();
    let ports = spec.ports.iter().flatten().filter_map(|p| port(p.name.as_deref(), p.protocol.as_deref(), Some(p.port)));
    Entry { cluster_ips: addresses.into_iter().collect(), ports: ports.collect(), ..Entry::default() }
}

fn port(name: Option<&str>, protocol: Option<&str>, number: Option<i32>) -> Option<Port> {
    Some(Port {
        name: name.unwrap_or_default().to_ascii_lowercase(),
        protocol: protocol.unwrap_or("TCP").to_ascii_lowercase(),
        number: u16::try_from(number?).ok()?,
    })
}

fn endpoints(slice: &EndpointSlice) -> impl Iterator<Item = Endpoint> {
    let ports: Vec<Port> =
        slice.ports.iter().flatten().filter_map(|p| port(p.name.as_deref(), p.protocol.as_deref(), p.port)).collect();
    // Addresses that are not ready are not told; services that publish them have slices that call them ready.
    let ready = slice.endpoints.iter().flatten().filter(|e| e.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true));
    ready.flat_map(move |endpoint| {
        let ports = ports.clone();
        let hostname = endpoint.hostname.clone().filter(|name| !name.is_empty());
        endpoint.addresses.iter().filter_map(|a| a.parse::<IpAddr>().ok()).map(move |address| {
            let dashed = || address.to_string().replace(['.', ':'], "-");
            Endpoint { address, name: hostname.clone().unwrap_or_else(dashed).to_ascii_lowercase(), ports: ports.clone() }
        })
    })
}
