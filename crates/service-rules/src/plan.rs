//! The rules for everything observed.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use k8s_openapi::api::core::v1::{ContainerPort, Pod, Service, ServicePort, ServiceSpec};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use sha2::{Digest, Sha256};

use crate::backend::{Backends, backends};
use crate::{Backend, Chain, Frontend, HealthCheck, HostPort, Observed, Protocol, Range, RuleSet, Target};

const SERVICE_NAME: &str = "kubernetes.io/service-name";
const OTHER_PROXY: &str = "service.kubernetes.io/service-proxy-name";
const AFFINITY_DEFAULT: i32 = 10_800;

pub fn plan(observed: &Observed) -> RuleSet {
    let mut rules = RuleSet {
        pod_range: observed.node.pod_range,
        service_range: observed.node.service_range,
        frontends: BTreeMap::new(),
        node_ports: BTreeMap::new(),
        host_ports: BTreeMap::new(),
        chains: BTreeMap::new(),
        health_checks: BTreeMap::new(),
    };
    let slices = by_service(observed);
    let mut services: Vec<&Service> = observed.services.iter().map(AsRef::as_ref).collect();
    services.sort_by_key(|s| (s.metadata.creation_timestamp.clone(), s.metadata.namespace.clone(), s.metadata.name.clone()));
    for service in services {
        let key = (service.metadata.namespace.as_deref().unwrap_or_default(), service.metadata.name.as_deref().unwrap_or_default());
        plan_service(&mut rules, &observed.node.name, service, slices.get(&key).map_or(&[], Vec::as_slice));
    }
    let mut pods: Vec<&Pod> = observed.pods.iter().map(AsRef::as_ref).collect();
    pods.sort_by_key(|pod| (pod.metadata.creation_timestamp.clone(), pod.metadata.namespace.clone(), pod.metadata.name.clone()));
    for pod in pods {
        plan_host_ports(&mut rules, pod);
    }
    rules
}

type ServiceKey<'a> = (&'a str, &'a str);

fn by_service(observed: &Observed) -> BTreeMap<ServiceKey<'_>, Vec<&EndpointSlice>> {
    let mut map: BTreeMap<ServiceKey<'_>, Vec<&EndpointSlice>> = BTreeMap::new();
    for slice in &observed.slices {
        let Some(name) = slice.metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_NAME)) else { continue };
        map.entry((slice.metadata.namespace.as_deref().unwrap_or_default(), name)).or_default().push(slice);
    }
    map
}

fn plan_service(rules: &mut RuleSet, node: &str, service: &Service, slices: &[&EndpointSlice]) {
    let Some(spec) = &service.spec else { return };
    let skipped = service.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(OTHER_PROXY));
    let Some(cluster_ip) = spec.cluster_ip.as_deref().and_then(|ip| ip.parse::<Ipv4Addr>().ok()) else { return };
    if skipped || spec.type_.as_deref() == Some("ExternalName") {
        return;
    }
    let name = format!("{}/{}", service.metadata.namespace.as_deref().unwrap_or_default(), service.metadata.name.as_deref().unwrap_or_default());
    let mut here = BTreeSet::new();
    for port in spec.ports.iter().flatten() {
        let Some(protocol) = Protocol::parse(port.protocol.as_deref()) else { continue };
        let Ok(number) = u16::try_from(port.port) else { continue };
        let port_name = port.name.as_deref().unwrap_or_default();
        let found = backends(slices, port_name, protocol, node);
        here.extend(found.here.iter().map(|b| b.ip));
        let one = OnePort { service, spec, port, protocol, number, id: id(&name, port_name, protocol), cluster_ip };
        one.plan(rules, &found);
    }
    let local = spec.external_traffic_policy.as_deref() == Some("Local");
    if local && let Some(check) = spec.health_check_node_port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p != 0) {
        let (namespace, name) = name.split_once('/').unwrap_or_default();
        rules.health_checks.insert(check, HealthCheck { namespace: namespace.into(), name: name.into(), local_endpoints: here.len() });
    }
}

/// Names of chains: short for the kernel, stable across restarts.
fn id(service: &str, port: &str, protocol: Protocol) -> String {
    let digest = Sha256::digest(format!("{service}:{port}/{}", protocol.word()));
    digest.iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

struct OnePort<'a> {
    service: &'a Service,
    spec: &'a ServiceSpec,
    port: &'a ServicePort,
    protocol: Protocol,
    number: u16,
    id: String,
    cluster_ip: Ipv4Addr,
}

impl OnePort<'_> {
    fn plan(&self, rules: &mut RuleSet, found: &Backends) {
        let everywhere = self.endpoints_chain(rules, "svc", &found.everywhere);
        let internal_local = self.spec.internal_traffic_policy.as_deref() == Some("Local");
        let external_local = self.spec.external_traffic_policy.as_deref() == Some("Local");
        let here = if internal_local || external_local { self.endpoints_chain(rules, "loc", &found.here) } else { None };
        let internal = match (internal_local, &everywhere, &here) {
            (_, None, _) => Target::Reject,
            (true, _, Some(chain)) | (false, Some(chain), _) => Target::Chain(chain.clone()),
            (true, _, None) => Target::Drop,
        };
        self.front(rules, self.cluster_ip, internal);
        let external = self.external_target(rules, external_local, everywhere, here);
        for ip in self.spec.external_ips.iter().flatten().filter_map(|ip| ip.parse().ok()) {
            self.front(rules, ip, external.clone());
        }
        self.plan_load_balancer(rules, &external);
        if let Some(node_port) = self.port.node_port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p != 0) {
            rules.node_ports.entry((self.protocol, node_port)).or_insert(external);
        }
    }

    fn endpoints_chain(&self, rules: &mut RuleSet, prefix: &str, endpoints: &[Backend]) -> Option<String> {
        if endpoints.is_empty() {
            return None;
        }
        let affinity_seconds = (self.spec.session_affinity.as_deref() == Some("ClientIP")).then(|| {
            let config = self.spec.session_affinity_config.as_ref().and_then(|c| c.client_ip.as_ref());
            u32::try_from(config.and_then(|c| c.timeout_seconds).unwrap_or(AFFINITY_DEFAULT)).unwrap_or(1).max(1)
        });
        let name = format!("{prefix}-{}", self.id);
        let chain =
            Chain::Endpoints { protocol: self.protocol, masquerade_outside: prefix == "svc", affinity_seconds, endpoints: endpoints.to_vec() };
        rules.chains.insert(name.clone(), chain);
        Some(name)
    }

    /// How traffic from outside is led on. Only made when something from outside can come.
    fn external_target(&self, rules: &mut RuleSet, local: bool, everywhere: Option<String>, here: Option<String>) -> Target {
        let Some(everywhere) = everywhere else { return Target::Reject };
        if !self.is_external() {
            return Target::Reject;
        }
        let name = format!("ext-{}", self.id);
        let chain = if local {
            Chain::External { sources: Vec::new(), masquerade: false, inside: Some(everywhere), next: here }
        } else {
            Chain::External { sources: Vec::new(), masquerade: true, inside: None, next: Some(everywhere) }
        };
        rules.chains.insert(name.clone(), chain);
        Target::Chain(name)
    }

    fn is_external(&self) -> bool {
        matches!(self.spec.type_.as_deref(), Some("NodePort" | "LoadBalancer")) || self.spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty())
    }

    fn plan_load_balancer(&self, rules: &mut RuleSet, external: &Target) {
        if self.spec.type_.as_deref() != Some("LoadBalancer") {
            return;
        }
        let ranges: Vec<&String> = self.spec.load_balancer_source_ranges.iter().flatten().collect();
        let mut target = external.clone();
        if let (false, Target::Chain(next)) = (ranges.is_empty(), external) {
            let sources: Vec<Range> = ranges.iter().filter_map(|text| Range::parse(text)).collect::<BTreeSet<_>>().into_iter().collect();
            // Ranges that none can be read of must not open the door to all.
            let nobody = Range { base: Ipv4Addr::UNSPECIFIED, prefix: 32 };
            let sources = if sources.is_empty() { vec![nobody] } else { sources };
            let name = format!("fw-{}", self.id);
            rules.chains.insert(name.clone(), Chain::External { sources, masquerade: false, inside: None, next: Some(next.clone()) });
            target = Target::Chain(name);
        }
        let status = self.service.status.as_ref().and_then(|s| s.load_balancer.as_ref());
        for ingress in status.and_then(|s| s.ingress.as_ref()).into_iter().flatten() {
            // Upstream: KEP-1860: with ipMode Proxy the balancer sends to the node itself.
            let direct = ingress.ip_mode.as_deref() != Some("Proxy");
            if let Some(ip) = ingress.ip.as_deref().and_then(|ip| ip.parse().ok()).filter(|_| direct) {
                self.front(rules, ip, target.clone());
            }
        }
    }

    /// The older service wins where two claim the same address and port.
    fn front(&self, rules: &mut RuleSet, ip: Ipv4Addr, target: Target) {
        rules.frontends.entry(Frontend { ip, protocol: self.protocol, port: self.number }).or_insert(target);
    }
}

fn plan_host_ports(rules: &mut RuleSet, pod: &Pod) {
    let (Some(spec), Some(status)) = (&pod.spec, &pod.status) else { return };
    if spec.host_network == Some(true) || matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return;
    }
    let Some(pod_ip) = status.pod_ip.as_deref().and_then(|ip| ip.parse().ok()) else { return };
    let sidecars = spec.init_containers.iter().flatten().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    for port in spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten()) {
        if let Some((host_port, backend)) = host_port(port, pod_ip) {
            rules.host_ports.entry(host_port).or_insert(backend);
        }
    }
}

fn host_port(port: &ContainerPort, pod_ip: Ipv4Addr) -> Option<(HostPort, Backend)> {
    let number = u16::try_from(port.host_port?).ok().filter(|p| *p != 0)?;
    let ip = match port.host_ip.as_deref() {
        None | Some("" | "0.0.0.0" | "::") => None,
        Some(ip) => Some(ip.parse().ok()?),
    };
    let backend = Backend { ip: pod_ip, port: u16::try_from(port.container_port).ok()? };
    Some((HostPort { protocol: Protocol::parse(port.protocol.as_deref())?, port: number, ip }, backend))
}
