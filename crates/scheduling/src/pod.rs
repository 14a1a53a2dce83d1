//! A pod as the scheduler sees it: everything that is asked for often, computed once.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, PodSpec, Toleration, TopologySpreadConstraint};

use crate::affinity::PodTerm;
use crate::labels::Labels;
use crate::resources::{Amounts, nominal_requests, requests};

/// A port wanted on the node itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    pub ip: String,
    pub protocol: String,
    pub port: i32,
}

impl HostPort {
    /// Addresses collide when they are equal or one of them is every address.
    pub fn collides(&self, other: &Self) -> bool {
        let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0" || ip == "::";
        self.port == other.port && self.protocol == other.protocol && (self.ip == other.ip || any(&self.ip) || any(&other.ip))
    }
}

/// Terms between pods.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    pub required_affinity: Vec<PodTerm>,
    pub required_anti: Vec<PodTerm>,
    pub preferred_affinity: Vec<PodTerm>,
    pub preferred_anti: Vec<PodTerm>,
}

impl Terms {
    fn of(pod: &Pod) -> Self {
        let Some(affinity) = pod.spec.as_ref().and_then(|s| s.affinity.as_ref()) else { return Self::default() };
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let mut terms = Self::default();
        if let Some(a) = &affinity.pod_affinity {
            terms.required_affinity = a.required_during_scheduling_ignored_during_execution.iter().flatten().map(|t| PodTerm::new(t, 0, namespace)).collect();
            terms.preferred_affinity = a.preferred_during_scheduling_ignored_during_execution.iter().flatten().map(|t| PodTerm::new(&t.pod_affinity_term, i64::from(t.weight), namespace)).collect();
        }
        if let Some(a) = &affinity.pod_anti_affinity {
            terms.required_anti = a.required_during_scheduling_ignored_during_execution.iter().flatten().map(|t| PodTerm::new(t, 0, namespace)).collect();
            terms.preferred_anti = a.preferred_during_scheduling_ignored_during_execution.iter().flatten().map(|t| PodTerm::new(&t.pod_affinity_term, i64::from(t.weight), namespace)).collect();
        }
        terms
    }

    pub fn is_empty(&self) -> bool {
        self.required_affinity.is_empty() && self.required_anti.is_empty() && self.preferred_affinity.is_empty() && self.preferred_anti.is_empty()
    }
}

#[derive(Clone, Debug)]
pub struct PodFacts {
    pub pod: Arc<Pod>,
    pub requests: Amounts,
    pub nominal: Amounts,
    pub ports: Vec<HostPort>,
    pub terms: Terms,
    pub priority: i32,
    /// The uid of the controlling owner: pods of one owner are spread.
    pub owner: Option<String>,
    /// Claims mounted, by name in the pod's namespace.
    pub claims: Vec<String>,
}

impl PodFacts {
    pub fn new(pod: Arc<Pod>) -> Self {
        let empty = PodSpec::default();
        let spec = pod.spec.as_ref().unwrap_or(&empty);
        let owner = pod.metadata.owner_references.iter().flatten().find(|o| o.controller == Some(true)).map(|o| o.uid.clone());
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let claims = spec.volumes.iter().flatten().filter_map(|v| match (&v.persistent_volume_claim, &v.ephemeral) {
            (Some(claim), _) => Some(claim.claim_name.clone()),
            (None, Some(_)) => Some(format!("{name}-{}", v.name)),
            _ => None,
        });
        Self {
            requests: requests(spec),
            nominal: nominal_requests(spec),
            ports: host_ports(spec),
            terms: Terms::of(&pod),
            priority: spec.priority.unwrap_or(0),
            owner,
            claims: claims.collect(),
            pod,
        }
    }

    pub fn namespace(&self) -> &str {
        self.pod.metadata.namespace.as_deref().unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    pub fn uid(&self) -> &str {
        self.pod.metadata.uid.as_deref().unwrap_or_default()
    }

    pub fn labels(&self) -> Option<&Labels> {
        self.pod.metadata.labels.as_ref()
    }

    pub fn spec(&self) -> Option<&PodSpec> {
        self.pod.spec.as_ref()
    }

    pub fn tolerations(&self) -> &[Toleration] {
        self.spec().and_then(|s| s.tolerations.as_deref()).unwrap_or_default()
    }

    pub fn spread(&self) -> &[TopologySpreadConstraint] {
        self.spec().and_then(|s| s.topology_spread_constraints.as_deref()).unwrap_or_default()
    }

    pub fn is_terminating(&self) -> bool {
        self.pod.metadata.deletion_timestamp.is_some()
    }
}

fn host_ports(spec: &PodSpec) -> Vec<HostPort> {
    let host_network = spec.host_network == Some(true);
    let sidecars = spec.init_containers.iter().flatten().filter(|c| c.restart_policy.as_deref() == Some("Always"));
    let all = spec.containers.iter().chain(sidecars).flat_map(|c| c.ports.iter().flatten());
    all.filter_map(|p| {
        let port = p.host_port.filter(|port| *port > 0).or_else(|| host_network.then_some(p.container_port))?;
        Some(HostPort { ip: p.host_ip.clone().unwrap_or_default(), protocol: p.protocol.clone().unwrap_or_else(|| "TCP".into()), port })
    })
    .collect()
}
