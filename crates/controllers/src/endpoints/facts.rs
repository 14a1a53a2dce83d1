//! What a pod contributes to a service. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod, Service, ServicePort};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::pods;

pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";
pub(crate) const HEADLESS: &str = "service.kubernetes.io/headless";
pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";

/// One resolved port of a service on a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Port {
    pub name: String,
    pub protocol: String,
    pub number: i32,
    pub app_protocol: Option<String>,
}

pub(crate) fn publishes_unready(service: &Service) -> bool {
    let tolerated = service.metadata.annotations.as_ref().and_then(|a| a.get("service.alpha.kubernetes.io/tolerate-unready-endpoints"));
    service.spec.as_ref().and_then(|s| s.publish_not_ready_addresses) == Some(true) || tolerated.is_some_and(|v| v == "true")
}

pub(crate) fn is_headless(service: &Service) -> bool {
    service.spec.as_ref().and_then(|s| s.cluster_ip.as_deref()) == Some("None")
}

/// Does the pod belong to the service at all? Finished pods and those without an address do not.
pub(crate) fn counts(pod: &Pod, with_terminating: bool) -> bool {
    let has_address = pod.status.as_ref().is_some_and(|s| s.pod_ip.as_ref().is_some_and(|ip| !ip.is_empty()));
    !pods::is_terminal(pod) && has_address && (with_terminating || !pods::is_terminating(pod))
}

pub(crate) fn addresses<'p>(pod: &'p Pod, family: &str) -> Vec<&'p str> {
    let status = pod.status.as_ref();
    let all: Vec<&str> = status.iter().flat_map(|s| s.pod_ips.iter().flatten()).map(|ip| ip.ip.as_str()).collect();
    let all = if all.is_empty() { status.and_then(|s| s.pod_ip.as_deref()).into_iter().collect() } else { all };
    all.into_iter().filter(|ip| ip.contains(':') == (family == "IPv6")).collect()
}

/// The host name that DNS gives the pod under this service.
pub(crate) fn host_name(pod: &Pod, service: &Service) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let under = spec.subdomain.as_deref() == service.metadata.name.as_deref() && pod.metadata.namespace == service.metadata.namespace;
    spec.hostname.clone().filter(|h| under && !h.is_empty())
}

/// The ports of the service as this pod has them; a named port that the pod lacks is left out.
pub(crate) fn ports(service: &Service, pod: &Pod) -> Vec<Port> {
    let wanted = service.spec.iter().flat_map(|s| s.ports.iter().flatten());
    wanted.filter_map(|port| Some(Port { name: port.name.clone().unwrap_or_default(), protocol: protocol(port), number: target(port, pod)?, app_protocol: port.app_protocol.clone() })).collect()
}

fn protocol(port: &ServicePort) -> String {
    port.protocol.clone().unwrap_or_else(|| "TCP".into())
}

fn target(port: &ServicePort, pod: &Pod) -> Option<i32> {
    let name = match &port.target_port {
        None => return Some(port.port),
        Some(IntOrString::Int(0)) => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let spec = pod.spec.as_ref()?;
    let sidecars = spec.init_containers.iter().flatten().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let all = spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
    let protocol = protocol(port);
    all.into_iter().find(|p| p.name.as_ref() == Some(name) && p.protocol.as_deref().unwrap_or("TCP") == protocol).map(|p| p.container_port)
}

/// Zones by node name.
pub(crate) fn zones(nodes: &[Arc<Node>]) -> BTreeMap<String, String> {
    nodes.iter().filter_map(|n| Some((n.metadata.name.clone()?, n.metadata.labels.as_ref()?.get(ZONE)?.clone()))).collect()
}
