//! Which endpoints of a service port are used: the ready ones, or those that still serve while they end.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::{Backend, Protocol};

/// The endpoints of one service port.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Backends {
    pub everywhere: Vec<Backend>,
    pub here: Vec<Backend>,
    /// Whether there are any at all, usable or not by policy.
    pub any: bool,
}

pub(crate) fn backends(slices: &[&EndpointSlice], port_name: &str, protocol: Protocol, node: &str) -> Backends {
    let (mut ready, mut ending) = (BTreeSet::new(), BTreeSet::new());
    for slice in slices.iter().filter(|slice| slice.address_type == "IPv4") {
        let ports = slice.ports.iter().flatten();
        let matching = ports.filter(|p| p.name.as_deref().unwrap_or_default() == port_name && Protocol::parse(p.protocol.as_deref()) == Some(protocol));
        for port in matching.filter_map(|p| u16::try_from(p.port?).ok()).filter(|p| *p != 0) {
            for endpoint in slice.endpoints.iter().flatten() {
                let Some(ip) = endpoint.addresses.first().and_then(|a| a.parse::<Ipv4Addr>().ok()).filter(usable) else { continue };
                let local = endpoint.node_name.as_deref() == Some(node);
                let conditions = endpoint.conditions.as_ref();
                let is = |read: fn(&k8s_openapi::api::discovery::v1::EndpointConditions) -> Option<bool>, unset| conditions.and_then(read).unwrap_or(unset);
                // Upstream: staging/src/k8s.io/api/discovery/v1/types.go EndpointConditions: nil means ready and serving.
                let is_ready = is(|c| c.ready, true);
                if is_ready {
                    ready.insert((Backend { ip, port }, local));
                } else if is(|c| c.serving, is_ready) && is(|c| c.terminating, false) {
                    ending.insert((Backend { ip, port }, local));
                }
            }
        }
    }
    // Upstream: pkg/proxy/topology.go CategorizeEndpoints: each view falls back to the ending ones on its own.
    let pick = |only_local: bool| -> Vec<Backend> {
        let of = |from: &BTreeSet<(Backend, bool)>| from.iter().filter(|(_, local)| *local || !only_local).map(|(b, _)| *b).collect::<BTreeSet<_>>();
        let first = of(&ready);
        let chosen = if first.is_empty() { of(&ending) } else { first };
        chosen.into_iter().collect()
    };
    let everywhere = pick(false);
    Backends { any: !everywhere.is_empty(), here: pick(true), everywhere }
}

/// Endpoints written by hand must not lead into the node itself or to everybody (CVE-2021-25737).
fn usable(ip: &Ipv4Addr) -> bool {
    !(ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || ip.is_unspecified() || ip.is_broadcast())
}
