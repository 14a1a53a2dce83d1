//! The rule set as a declared nftables table. Pure.
//!
//! One verdict map per protocol leads an address and port to the chain of its service, so the cost of a packet does not grow with the
//! number of services, and a changed service is a changed element. Node ports on 127.0.0.1 are left alone on purpose: it would need
//! route_localnet, which opens the node's own loopback to its neighbours (CVE-2020-8558).

use std::net::Ipv4Addr;
use std::time::Duration;

use nlink::netlink::nftables::config::{DeclaredTableBuilder, NftablesConfig};
use nlink::netlink::nftables::{
    BaseChain, ChainName, Expr, Family, FibFlags, FilterHook, Generated, LookupExpr, NatHook, NumgenKind, PacketField, Priority, Register, Rule,
    SetDataType, SetElement, SetKeyType, Verdict,
};
use nlink::netlink::types::route::RouteType;
use service_rules::{Backend, Chain, Protocol, Range, RuleSet, Target};

/// Packets to be masqueraded carry this bit until they leave, as under upstream's proxy.
const MARK: u32 = 0x4000;
const REFUSE: &str = "refuse";
const MASQUERADE: &str = "masquerade-mark";

type Table = DeclaredTableBuilder;

pub(crate) fn render(table: &str, rules: &RuleSet) -> NftablesConfig {
    NftablesConfig::new().table(table, Family::Ip, |t| {
        let t = base(t, rules);
        let t = Protocol::ALL.into_iter().fold(t, |t, protocol| maps(t, rules, protocol));
        let t = rules.chains.iter().fold(t, |t, (name, chain)| match chain {
            Chain::Endpoints { protocol, masquerade_outside, affinity_seconds, endpoints } => {
                let outside = masquerade_outside.then_some(rules.pod_range);
                endpoints_chain(t, name, *protocol, outside, *affinity_seconds, endpoints)
            }
            Chain::External { sources, masquerade, inside, next } => {
                external_chain(t, name, rules.pod_range, sources, *masquerade, inside.as_deref(), next.as_deref())
            }
        });
        rules.host_ports.iter().fold(t, |t, (door, backend)| endpoints_chain(t, &host_chain(door), door.protocol, None, None, std::slice::from_ref(backend)))
    })
}

/// The hooks and what every packet passes.
fn base(t: Table, rules: &RuleSet) -> Table {
    let (pods, services) = (rules.pod_range, rules.service_range);
    let chain = |t: Table, name: &str, base: BaseChain| t.chain(name, move |c| c.base(base).exclusive());
    let t = chain(t, "nat-prerouting", BaseChain::nat(NatHook::Prerouting, Priority::DstNat));
    let t = chain(t, "nat-output", BaseChain::nat(NatHook::Output, Priority::DstNat));
    let t = chain(t, "nat-postrouting", BaseChain::nat(NatHook::Postrouting, Priority::SrcNat));
    let hooks = [("filter-input", FilterHook::Input), ("filter-forward", FilterHook::Forward), ("filter-output", FilterHook::Output)];
    let filters = hooks.each_ref().map(|(name, _)| *name);
    let t = hooks.into_iter().fold(t, |t, (name, hook)| chain(t, name, BaseChain::filter(hook, Priority::Custom(-10))));
    let t = ["services", "node-ports", "unserved", REFUSE, MASQUERADE].into_iter().fold(t, |t, name| t.chain(name, |c| c.exclusive()));
    let t = ["nat-prerouting", "nat-output"].into_iter().fold(t, |t, from| t.rule(from, |r| r.jump(name_of("services"))));
    let t = filters.into_iter().fold(t, |t, from| t.rule(from, |r| r.jump(name_of("unserved"))));
    let t = t.rule(REFUSE, |r| r.reject()).rule(MASQUERADE, |r| r.set_mark_masked(MARK, MARK));
    let t = t
        .rule("nat-postrouting", |r| r.match_mark_masked(MARK, MARK).masquerade())
        .rule("nat-postrouting", |r| {
            r.match_saddr_v4(pods.base, pods.prefix).match_daddr_v4_not(pods.base, pods.prefix).match_daddr_v4_not(Ipv4Addr::new(224, 0, 0, 0), 4).masquerade()
        });
    let t = Protocol::ALL.into_iter().fold(t, |t, p| {
        t.rule("services", |r| r.vmap_concat(&[PacketField::Ip4Daddr, port_of(p)], &map(p, "services")))
            .rule("node-ports", |r| r.vmap(port_of(p), &map(p, "node-ports")))
            .rule("node-ports", |r| r.vmap_concat(&[PacketField::Ip4Daddr, port_of(p)], &map(p, "host-addresses")))
            .rule("node-ports", |r| r.vmap(port_of(p), &map(p, "host-ports")))
            .rule("unserved", |r| r.vmap_concat(&[PacketField::Ip4Daddr, port_of(p)], &map(p, "no-endpoints")))
            .rule("unserved", |r| r.match_fib_type(FibFlags::DADDR, RouteType::Local).vmap(port_of(p), &map(p, "no-endpoint-ports")))
    });
    t.rule("services", |r| {
        r.match_fib_type(FibFlags::DADDR, RouteType::Local).match_daddr_v4_not(Ipv4Addr::new(127, 0, 0, 0), 8).goto(name_of("node-ports"))
    })
    // What still carries a service address here belongs to no service, or to a port it does not have.
    .rule("unserved", |r| r.match_daddr_v4(services.base, services.prefix).goto(name_of(REFUSE)))
}

/// The verdict maps of one protocol.
fn maps(t: Table, rules: &RuleSet, protocol: Protocol) -> Table {
    let address_and_port = || SetKeyType::Concat(vec![SetKeyType::Ipv4Addr, SetKeyType::InetService]);
    let (mut served, mut unserved) = (Vec::new(), Vec::new());
    for (front, target) in rules.frontends.iter().filter(|(front, _)| front.protocol == protocol) {
        sort_out(SetElement::concat([SetElement::ipv4(front.ip), SetElement::port(front.port)]), target, &mut served, &mut unserved);
    }
    let (mut ports, mut dead_ports) = (Vec::new(), Vec::new());
    for ((_, port), target) in rules.node_ports.iter().filter(|((p, _), _)| *p == protocol) {
        sort_out(SetElement::port(*port), target, &mut ports, &mut dead_ports);
    }
    let (mut host_ports, mut host_addresses) = (Vec::new(), Vec::new());
    for door in rules.host_ports.keys().filter(|door| door.protocol == protocol) {
        let to = Verdict::GotoTo(name_of(&host_chain(door)));
        match door.ip {
            None => host_ports.push(SetElement::port(door.port).verdict(to)),
            Some(ip) => host_addresses.push(SetElement::concat([SetElement::ipv4(ip), SetElement::port(door.port)]).verdict(to)),
        }
    }
    let both = [("services", served), ("no-endpoints", unserved), ("host-addresses", host_addresses)];
    let t = both.into_iter().fold(t, |t, (name, elements)| t.set(map(protocol, name), |s| s.key_type(address_and_port()).map(SetDataType::Verdict).elements(elements)));
    let single = [("node-ports", ports), ("no-endpoint-ports", dead_ports), ("host-ports", host_ports)];
    single.into_iter().fold(t, |t, (name, elements)| t.set(map(protocol, name), |s| s.key_type(SetKeyType::InetService).map(SetDataType::Verdict).elements(elements)))
}

fn sort_out(key: SetElement, target: &Target, served: &mut Vec<SetElement>, unserved: &mut Vec<SetElement>) {
    match target {
        Target::Chain(name) => served.push(key.verdict(Verdict::GotoTo(name_of(name)))),
        Target::Reject => unserved.push(key.verdict(Verdict::GotoTo(name_of(REFUSE)))),
        Target::Drop => unserved.push(key.verdict(Verdict::Drop)),
    }
}

/// One of the endpoints: the one this client had before, else one at random.
fn endpoints_chain(t: Table, name: &str, protocol: Protocol, outside: Option<Range>, affinity: Option<u32>, endpoints: &[Backend]) -> Table {
    let mut t = t.chain(name, |c| c.exclusive());
    if let Some(pods) = outside {
        t = t.rule(name, |r| r.match_saddr_v4_not(pods.base, pods.prefix).jump(name_of(MASQUERADE)));
    }
    let seen = |e: &Backend| format!("seen-{}", endpoint_chain(name, e));
    if let Some(seconds) = affinity {
        let lasting = Duration::from_secs(u64::from(seconds));
        for endpoint in endpoints {
            t = t.set(seen(endpoint), |s| s.key_type(SetKeyType::Ipv4Addr).dynamic().timeout(lasting));
            t = t.rule(name, |r| r.match_saddr_in_set(&seen(endpoint)).goto(name_of(&endpoint_chain(name, endpoint))));
        }
    }
    t = match endpoints {
        [only] => t.rule(name, |r| r.goto(name_of(&endpoint_chain(name, only)))),
        several => pick_at_random(t, name, several),
    };
    for endpoint in endpoints {
        let own = endpoint_chain(name, endpoint);
        t = t.chain(&own, |c| c.exclusive());
        // A pod that reaches itself through its service would answer itself directly: hide it behind the node.
        t = t.rule(&own, |r| r.match_saddr_v4(endpoint.ip, 32).jump(name_of(MASQUERADE)));
        if affinity.is_some() {
            t = t.rule(&own, |r| r.update_in_set(PacketField::Ip4Saddr, &seen(endpoint), None));
        }
        t = t.rule(&own, |r| r.match_l4proto(number_of(protocol)).dnat(endpoint.ip, Some(endpoint.port)));
    }
    t
}

fn pick_at_random(t: Table, name: &str, endpoints: &[Backend]) -> Table {
    let pick = format!("pick-{name}");
    let elements: Vec<SetElement> = (0u32..)
        .zip(endpoints)
        .map(|(index, endpoint)| SetElement::mark(index).verdict(Verdict::GotoTo(name_of(&endpoint_chain(name, endpoint)))))
        .collect();
    let modulus = u32::try_from(endpoints.len()).unwrap_or(u32::MAX);
    let t = t.set(&pick, |s| s.key_type(SetKeyType::Mark).map(SetDataType::Verdict).elements(elements));
    t.rule(name, |r: Rule| {
        r.generate(Generated::Numgen { kind: NumgenKind::Random, modulus, offset: 0 })
            .expr(Expr::Lookup(LookupExpr::new(&pick, Register::R0).dreg(Register::Verdict)))
    })
}

fn external_chain(t: Table, name: &str, pods: Range, sources: &[Range], masquerade: bool, inside: Option<&str>, next: Option<&str>) -> Table {
    let mut t = t.chain(name, |c| c.exclusive());
    if let Some(inside) = inside {
        t = t.rule(name, |r| r.match_saddr_v4(pods.base, pods.prefix).goto(name_of(inside)));
        t = t.rule(name, |r| r.match_fib_type(FibFlags::SADDR, RouteType::Local).jump(name_of(MASQUERADE)));
        t = t.rule(name, |r| r.match_fib_type(FibFlags::SADDR, RouteType::Local).goto(name_of(inside)));
    }
    if masquerade {
        t = t.rule(name, |r| r.jump(name_of(MASQUERADE)));
    }
    match next {
        None => t.rule(name, |r| r.drop()),
        Some(next) if sources.is_empty() => t.rule(name, |r| r.goto(name_of(next))),
        Some(next) => {
            let t = sources.iter().fold(t, |t, range| t.rule(name, |r| r.match_saddr_v4(range.base, range.prefix).goto(name_of(next))));
            t.rule(name, |r| r.drop())
        }
    }
}

fn host_chain(door: &service_rules::HostPort) -> String {
    match door.ip {
        None => format!("host-{}-{}", door.protocol.word(), door.port),
        Some(ip) => format!("host-{}-{ip}-{}", door.protocol.word(), door.port),
    }
}

fn endpoint_chain(service: &str, endpoint: &Backend) -> String {
    format!("{service}-{}-{}", endpoint.ip, endpoint.port)
}

fn map(protocol: Protocol, name: &str) -> String {
    format!("{}-{name}", protocol.word())
}

fn port_of(protocol: Protocol) -> PacketField {
    match protocol {
        Protocol::Tcp => PacketField::TcpDport,
        Protocol::Udp => PacketField::UdpDport,
    }
}

fn number_of(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    }
}

/// Every name here is short, ASCII and not empty, which is all that is asked of one.
fn name_of(name: &str) -> ChainName {
    ChainName::new(name).unwrap_or_else(|e| unreachable!("a name of our own making was refused: {e}"))
}
