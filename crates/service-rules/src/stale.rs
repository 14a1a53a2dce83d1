//! Which remembered UDP flows must be forgotten when the rules change: UDP has no end, so the kernel would lead it to the old place for ever.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::{Backend, Chain, Protocol, RuleSet, Target};

/// Flows to forget: to `port` (of `ip`, or of any address when None), and, when `backend` is given, only those led there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stale {
    pub ip: Option<Ipv4Addr>,
    pub port: u16,
    pub backend: Option<Backend>,
}

// Upstream: pkg/proxy/conntrack/cleanup.go: entries of removed endpoints, and entries made while there was no endpoint.
pub fn plan_stale(old: &RuleSet, new: &RuleSet) -> Vec<Stale> {
    let mut stale = BTreeSet::new();
    let doors = |rules: &RuleSet| {
        let fronts = rules.frontends.iter().filter(|(f, _)| f.protocol == Protocol::Udp).map(|(f, t)| ((Some(f.ip), f.port), t.clone()));
        let nodes = rules.node_ports.iter().filter(|((p, _), _)| *p == Protocol::Udp).map(|((_, port), t)| ((None, *port), t.clone()));
        fronts.chain(nodes).collect::<std::collections::BTreeMap<_, _>>()
    };
    let (before, after) = (doors(old), doors(new));
    for (door, target) in &before {
        let now = after.get(door).map(|t| reach(new, t)).unwrap_or_default();
        for gone in reach(old, target).difference(&now) {
            stale.insert(Stale { ip: door.0, port: door.1, backend: Some(*gone) });
        }
    }
    for (door, target) in &after {
        let was_empty = before.get(door).is_none_or(|t| reach(old, t).is_empty());
        if was_empty && !reach(new, target).is_empty() {
            stale.insert(Stale { ip: door.0, port: door.1, backend: None });
        }
    }
    for (door, backend) in old.host_ports.iter().filter(|(door, _)| door.protocol == Protocol::Udp) {
        if new.host_ports.get(door) != Some(backend) {
            stale.insert(Stale { ip: door.ip, port: door.port, backend: Some(*backend) });
        }
    }
    stale.into_iter().collect()
}

fn reach(rules: &RuleSet, target: &Target) -> BTreeSet<Backend> {
    let Target::Chain(name) = target else { return BTreeSet::new() };
    match rules.chains.get(name) {
        Some(Chain::Endpoints { endpoints, .. }) => endpoints.iter().copied().collect(),
        Some(Chain::External { inside, next, .. }) => {
            inside.iter().chain(next).flat_map(|name| reach(rules, &Target::Chain(name.clone()))).collect()
        }
        None => BTreeSet::new(),
    }
}
