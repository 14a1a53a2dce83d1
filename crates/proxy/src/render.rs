//! The rule set as the content of one nftables table. Pure.
//!
//! One verdict map per protocol leads an address and port to the chain of its service, so the cost of a packet does not grow with the
//! number of services, and a changed service is a changed element. Chains are named by their content and never change: a changed
//! service is a new chain, an element led to it, and the old chain removed, all in one transaction. So what must be done follows from
//! names alone, also after a restart.
//!
//! Node ports on 127.0.0.1 are left alone on purpose, as under upstream's nftables proxy. Host ports answer there: the pod's own link is
//! opened for it (see `loopback`), and nothing that comes from a wire may carry a loopback address (CVE-2020-8558).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use nlink::netlink::nftables::{
    BaseChain, Chain as NftChain, ChainName, Expr, Family, FibFlags, FilterHook, Generated, LookupExpr, NatHook, NumgenKind, PacketField, Priority,
    Register, Rule, Set, SetElement, SetKeyType, Verdict,
};
use nlink::netlink::types::route::RouteType;
use service_rules::{Backend, Chain, HostPort, Protocol, Range, RuleSet, Target};
use sha2::{Digest, Sha256};

/// Packets to be masqueraded carry this bit until they leave, as under upstream's proxy.
const MARK: u32 = 0x4000;
const REFUSE: &str = "refuse";
const MASQUERADE: &str = "masquerade-mark";
/// Host ports for the node's own loopback addresses.
const LOOPBACK: &str = "loopback";
const LOOPBACK_RANGE: Range = Range { base: Ipv4Addr::new(127, 0, 0, 0), prefix: 8 };

/// Everything the table must hold.
pub(crate) struct Content {
    /// Hooks and what hangs on them; made with the table and never changed.
    pub skeleton: Skeleton,
    /// Chains by name, with their rules.
    pub chains: BTreeMap<String, Vec<Rule>>,
    /// Sets and maps of single chains, which live and go with them.
    pub sets: BTreeMap<String, (Set, Vec<SetElement>)>,
    /// The elements of the skeleton's maps.
    pub maps: BTreeMap<String, BTreeMap<Vec<u8>, SetElement>>,
}

pub(crate) struct Skeleton {
    /// Told by the table's comment: another one means another table.
    pub mark: String,
    pub chains: Vec<NftChain>,
    pub rules: Vec<Rule>,
    pub maps: BTreeMap<String, Set>,
}

impl Skeleton {
    pub fn owns_chain(name: &str) -> bool {
        [REFUSE, MASQUERADE, "services", "node-ports", "unserved", LOOPBACK].contains(&name) || name.starts_with("nat-") || name.starts_with("filter-")
    }
}

pub(crate) fn render(table: &str, rules: &RuleSet) -> Content {
    let mut content = Content { skeleton: skeleton(table, rules), chains: BTreeMap::new(), sets: BTreeMap::new(), maps: BTreeMap::new() };
    let mut writer = Writer { table, rules, content: &mut content };
    for (front, target) in &rules.frontends {
        let key = SetElement::concat([SetElement::ipv4(front.ip), SetElement::port(front.port)]);
        writer.lead(front.protocol, ["services", "no-endpoints"], key, target);
    }
    for ((protocol, port), target) in &rules.node_ports {
        writer.lead(*protocol, ["node-ports", "no-endpoint-ports"], SetElement::port(*port), target);
    }
    for (door, backend) in &rules.host_ports {
        let chain = writer.host_port(door, backend);
        let (map, key) = match door.ip {
            None => ("host-ports", SetElement::port(door.port)),
            Some(ip) => ("host-addresses", SetElement::concat([SetElement::ipv4(ip), SetElement::port(door.port)])),
        };
        writer.element(door.protocol, map, key.verdict(Verdict::GotoTo(name_of(&chain))));
    }
    content
}

/// The hooks and what every packet passes.
fn skeleton(table: &str, rules: &RuleSet) -> Skeleton {
    let (pods, services) = (rules.pod_range, rules.service_range);
    let rule = |chain: &str| Rule::new(table, chain).family(Family::Ip);
    let chain = |name: &str| NftChain::new(table, name).unwrap_or_else(|e| unreachable!("a name of our own making was refused: {e}")).family(Family::Ip);
    let filter = |hook| BaseChain::filter(hook, Priority::Custom(-10));
    let mut chains: Vec<NftChain> = [REFUSE, MASQUERADE, "services", "node-ports", "unserved", LOOPBACK].into_iter().map(chain).collect();
    chains.push(chain("nat-prerouting").base(BaseChain::nat(NatHook::Prerouting, Priority::DstNat)));
    chains.push(chain("nat-output").base(BaseChain::nat(NatHook::Output, Priority::DstNat)));
    chains.push(chain("nat-postrouting").base(BaseChain::nat(NatHook::Postrouting, Priority::SrcNat)));
    chains.push(chain("filter-input").base(filter(FilterHook::Input)));
    chains.push(chain("filter-forward").base(filter(FilterHook::Forward)));
    chains.push(chain("filter-output").base(filter(FilterHook::Output)));
    chains.push(chain("filter-spoofed").base(BaseChain::filter(FilterHook::Prerouting, Priority::Raw)));
    let multicast = Ipv4Addr::new(224, 0, 0, 0);
    let mut lines = vec![
        rule(REFUSE).reject(),
        rule(MASQUERADE).set_mark_masked(MARK, MARK),
        rule("nat-postrouting").match_mark_masked(MARK, MARK).masquerade(),
        rule("nat-postrouting")
            .match_saddr_v4(pods.base, pods.prefix)
            .match_daddr_v4_not(pods.base, pods.prefix)
            .match_daddr_v4_not(multicast, 4)
            .masquerade(),
    ];
    let inner = LOOPBACK_RANGE;
    lines.extend([
        rule("filter-spoofed").match_iif_not("lo").match_daddr_v4(inner.base, inner.prefix).drop(),
        rule("filter-spoofed").match_iif_not("lo").match_saddr_v4(inner.base, inner.prefix).drop(),
        rule("nat-output").match_daddr_v4(inner.base, inner.prefix).jump(name_of(LOOPBACK)),
    ]);
    lines.extend(["nat-prerouting", "nat-output"].map(|from| rule(from).jump(name_of("services"))));
    lines.extend(["filter-input", "filter-forward", "filter-output"].map(|from| rule(from).jump(name_of("unserved"))));
    for p in Protocol::ALL {
        let (address_and_port, port) = (&[PacketField::Ip4Daddr, port_of(p)], port_of(p));
        lines.push(rule("services").vmap_concat(address_and_port, &map(p, "services")));
        lines.push(rule("node-ports").vmap(port, &map(p, "node-ports")));
        lines.push(rule("node-ports").vmap_concat(address_and_port, &map(p, "host-addresses")));
        lines.push(rule("node-ports").vmap(port, &map(p, "host-ports")));
        lines.push(rule(LOOPBACK).vmap_concat(address_and_port, &map(p, "host-addresses")));
        lines.push(rule(LOOPBACK).vmap(port, &map(p, "host-ports")));
        lines.push(rule("unserved").vmap_concat(address_and_port, &map(p, "no-endpoints")));
        lines.push(rule("unserved").match_fib_type(FibFlags::DADDR, RouteType::Local).vmap(port, &map(p, "no-endpoint-ports")));
    }
    let local = rule("services").match_fib_type(FibFlags::DADDR, RouteType::Local).match_daddr_v4_not(inner.base, inner.prefix);
    lines.push(local.goto(name_of("node-ports")));
    // What still carries a service address here belongs to no service, or to a port it does not have.
    lines.push(rule("unserved").match_daddr_v4(services.base, services.prefix).goto(name_of(REFUSE)));
    let mark = format!("knarr {}", digest(&format!("{lines:?}{pods}{services}")));
    Skeleton { mark, chains, rules: lines, maps: maps(table) }
}

fn maps(table: &str) -> BTreeMap<String, Set> {
    let both = SetKeyType::Concat(vec![SetKeyType::Ipv4Addr, SetKeyType::InetService]);
    let of = |name: String, key: SetKeyType| (name.clone(), Set::new(table, &name).family(Family::Ip).key_type(key).vmap());
    let per_protocol = |p| {
        let wide = ["services", "no-endpoints", "host-addresses"].map(|name| of(map(p, name), both.clone()));
        let narrow = ["node-ports", "no-endpoint-ports", "host-ports"].map(|name| of(map(p, name), SetKeyType::InetService));
        wide.into_iter().chain(narrow)
    };
    Protocol::ALL.into_iter().flat_map(per_protocol).collect()
}

struct Writer<'a> {
    table: &'a str,
    rules: &'a RuleSet,
    content: &'a mut Content,
}

impl Writer<'_> {
    fn lead(&mut self, protocol: Protocol, [served, unserved]: [&str; 2], key: SetElement, target: &Target) {
        match target {
            Target::Chain(name) => match self.chain(name) {
                Some(chain) => self.element(protocol, served, key.verdict(Verdict::GotoTo(name_of(&chain)))),
                None => self.element(protocol, unserved, key.verdict(Verdict::GotoTo(name_of(REFUSE)))),
            },
            Target::Reject => self.element(protocol, unserved, key.verdict(Verdict::GotoTo(name_of(REFUSE)))),
            Target::Drop => self.element(protocol, unserved, key.verdict(Verdict::Drop)),
        }
    }

    fn element(&mut self, protocol: Protocol, name: &str, element: SetElement) {
        self.content.maps.entry(map(protocol, name)).or_default().insert(element.key().to_vec(), element);
    }

    /// Writes a chain of the rule set, and those it leads to; gives its name. None: the rule set does not have it.
    fn chain(&mut self, planned: &str) -> Option<String> {
        let lines = match self.rules.chains.get(planned)? {
            Chain::Endpoints { protocol, masquerade_outside, affinity_seconds, endpoints } => {
                let outside = masquerade_outside.then_some(self.rules.pod_range);
                self.endpoints(planned, *protocol, outside, *affinity_seconds, endpoints)
            }
            Chain::External { sources, masquerade, inside, next } => {
                let inside = inside.as_ref().and_then(|chain| self.chain(chain));
                let next = next.as_ref().and_then(|chain| self.chain(chain));
                external(self.rules.pod_range, sources, *masquerade, inside.as_deref(), next.as_deref())
            }
        };
        Some(self.write(planned, lines))
    }

    /// Puts the lines under a name made of them.
    fn write(&mut self, prefix: &str, lines: Vec<Line>) -> String {
        let name = format!("{prefix}-{}", digest(&format!("{lines:?}")));
        if !self.content.chains.contains_key(&name) {
            let rule = || Rule::new(self.table, &name).family(Family::Ip);
            let rules = lines.iter().map(|line| line.rule(rule())).collect();
            self.content.chains.insert(name.clone(), rules);
        }
        name
    }

    fn endpoints(&mut self, planned: &str, protocol: Protocol, outside: Option<Range>, affinity: Option<u32>, endpoints: &[Backend]) -> Vec<Line> {
        let mut lines = Vec::new();
        lines.extend(outside.map(Line::MasqueradeUnlessFrom));
        let chains: Vec<(String, Option<String>)> = endpoints.iter().map(|e| self.endpoint(planned, protocol, affinity, e)).collect();
        lines.extend(chains.iter().filter_map(|(chain, seen)| Some(Line::GotoIfSeen(seen.clone()?, chain.clone()))));
        match chains.as_slice() {
            [(only, _)] => lines.push(Line::Goto(only.clone())),
            several => {
                let elements = (0u32..).zip(several).map(|(index, (chain, _))| SetElement::mark(index).verdict(Verdict::GotoTo(name_of(chain)))).collect();
                let pick = format!("pick-{planned}-{}", digest(&format!("{several:?}")));
                let set = Set::new(self.table, &pick).family(Family::Ip).key_type(SetKeyType::Mark).vmap();
                self.content.sets.insert(pick.clone(), (set, elements));
                lines.push(Line::PickOf(u32::try_from(several.len()).unwrap_or(u32::MAX), pick));
            }
        }
        lines
    }

    /// The chain of one endpoint, and the set of clients it has seen, which outlives changes of the other endpoints.
    fn endpoint(&mut self, planned: &str, protocol: Protocol, affinity: Option<u32>, endpoint: &Backend) -> (String, Option<String>) {
        let own = format!("{planned}-{}-{}", endpoint.ip, endpoint.port);
        // A pod that reaches itself through its service would answer itself directly: hide it behind the node.
        let mut lines = vec![Line::MasqueradeIfFrom(endpoint.ip)];
        let seen = affinity.map(|seconds| {
            let name = format!("seen-{own}-{seconds}");
            let lasting = Duration::from_secs(u64::from(seconds));
            let set = Set::new(self.table, &name).family(Family::Ip).key_type(SetKeyType::Ipv4Addr).dynamic().timeout(lasting);
            self.content.sets.insert(name.clone(), (set, Vec::new()));
            name
        });
        lines.extend(seen.clone().map(Line::Remember));
        lines.push(Line::LeadTo(protocol, *endpoint));
        (self.write(&own, lines), seen)
    }

    fn host_port(&mut self, door: &HostPort, backend: &Backend) -> String {
        let address = door.ip.map(|ip| format!("{ip}-")).unwrap_or_default();
        let name = format!("host-{}-{address}{}", door.protocol.word(), door.port);
        // What comes from the loopback must not leave with its address.
        let lines = vec![Line::MasqueradeIfFrom(backend.ip), Line::MasqueradeIfWithin(LOOPBACK_RANGE), Line::LeadTo(door.protocol, *backend)];
        self.write(&name, lines)
    }
}

fn external(pods: Range, sources: &[Range], masquerade: bool, inside: Option<&str>, next: Option<&str>) -> Vec<Line> {
    let mut lines = Vec::new();
    if let Some(inside) = inside {
        lines.extend([Line::GotoIfFrom(pods, inside.into()), Line::MasqueradeIfLocal, Line::GotoIfLocal(inside.into())]);
    }
    if masquerade {
        lines.push(Line::Masquerade);
    }
    match next {
        None => lines.push(Line::Drop),
        Some(next) if sources.is_empty() => lines.push(Line::Goto(next.into())),
        Some(next) => {
            lines.extend(sources.iter().map(|range| Line::GotoIfFrom(*range, next.into())));
            lines.push(Line::Drop);
        }
    }
    lines
}

/// One rule, as data: what a chain's name is made of.
#[derive(Debug)]
enum Line {
    Masquerade,
    MasqueradeUnlessFrom(Range),
    MasqueradeIfFrom(Ipv4Addr),
    MasqueradeIfWithin(Range),
    MasqueradeIfLocal,
    Goto(String),
    GotoIfFrom(Range, String),
    GotoIfLocal(String),
    GotoIfSeen(String, String),
    PickOf(u32, String),
    Remember(String),
    LeadTo(Protocol, Backend),
    Drop,
}

impl Line {
    fn rule(&self, r: Rule) -> Rule {
        let mark = || name_of(MASQUERADE);
        match self {
            Self::Masquerade => r.jump(mark()),
            Self::MasqueradeUnlessFrom(range) => r.match_saddr_v4_not(range.base, range.prefix).jump(mark()),
            Self::MasqueradeIfFrom(ip) => r.match_saddr_v4(*ip, 32).jump(mark()),
            Self::MasqueradeIfWithin(range) => r.match_saddr_v4(range.base, range.prefix).jump(mark()),
            Self::MasqueradeIfLocal => r.match_fib_type(FibFlags::SADDR, RouteType::Local).jump(mark()),
            Self::Goto(chain) => r.goto(name_of(chain)),
            Self::GotoIfFrom(range, chain) => r.match_saddr_v4(range.base, range.prefix).goto(name_of(chain)),
            Self::GotoIfLocal(chain) => r.match_fib_type(FibFlags::SADDR, RouteType::Local).goto(name_of(chain)),
            Self::GotoIfSeen(seen, chain) => r.match_saddr_in_set(seen).goto(name_of(chain)),
            Self::PickOf(count, pick) => r
                .generate(Generated::Numgen { kind: NumgenKind::Random, modulus: *count, offset: 0 })
                .expr(Expr::Lookup(LookupExpr::new(pick, Register::R0).dreg(Register::Verdict))),
            Self::Remember(seen) => r.update_in_set(PacketField::Ip4Saddr, seen, None),
            Self::LeadTo(protocol, to) => r.match_l4proto(number_of(*protocol)).dnat(to.ip, Some(to.port)),
            Self::Drop => r.drop(),
        }
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().take(6).fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
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
