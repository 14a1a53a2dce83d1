//! What the proxy must hold, as plain ordered data.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// The field as services, slices and pods write it; unset means TCP. None for what is not proxied (SCTP).
    pub fn parse(text: Option<&str>) -> Option<Self> {
        match text {
            None | Some("" | "TCP") => Some(Self::Tcp),
            Some("UDP") => Some(Self::Udp),
            Some(_) => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// An IPv4 range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    pub base: Ipv4Addr,
    pub prefix: u8,
}

impl Range {
    /// Bits beyond the prefix are cut off. A bare address is a range of one.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, prefix) = text.trim().split_once('/').unwrap_or((text.trim(), "32"));
        let (base, prefix): (Ipv4Addr, u8) = (base.parse().ok()?, prefix.parse().ok()?);
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        (prefix <= 32).then(|| Self { base: Ipv4Addr::from_bits(base.to_bits() & mask), prefix })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

/// Where clients knock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frontend {
    pub ip: Ipv4Addr,
    pub protocol: Protocol,
    pub port: u16,
}

/// Where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Backend {
    pub ip: Ipv4Addr,
    pub port: u16,
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ip, self.port)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A chain of [`RuleSet::chains`].
    Chain(String),
    /// No endpoint anywhere: the client is told at once.
    Reject,
    /// No endpoint here, and the policy forbids the others: health checks must see a timeout, not a refusal.
    Drop,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// One of the endpoints, at random or the one this client had.
    Endpoints {
        protocol: Protocol,
        /// Clients outside the pod range are masqueraded, so that answers come back this way.
        masquerade_outside: bool,
        affinity_seconds: Option<u32>,
        endpoints: Vec<Backend>,
    },
    /// Traffic to a node port, load balancer address or external address, before it goes on.
    External {
        /// Clients from elsewhere are dropped; empty means all may.
        sources: Vec<Range>,
        masquerade: bool,
        /// Pods and the node itself go there at once, as if they had used the cluster address.
        inside: Option<String>,
        /// None: nobody here; dropped.
        next: Option<String>,
    },
}

/// A port of the node that belongs to one pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    pub protocol: Protocol,
    pub port: u16,
    /// None: on each address of the node.
    pub ip: Option<Ipv4Addr>,
}

/// What a load balancer asks a node about a service with the policy Local.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    pub namespace: String,
    pub name: String,
    pub local_endpoints: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    pub pod_range: Range,
    pub service_range: Range,
    pub frontends: BTreeMap<Frontend, Target>,
    pub node_ports: BTreeMap<(Protocol, u16), Target>,
    pub host_ports: BTreeMap<HostPort, Backend>,
    pub chains: BTreeMap<String, Chain>,
    /// By node port.
    pub health_checks: BTreeMap<u16, HealthCheck>,
}
