//! Addresses and networks. Upstream: k8s.io/apiserver/pkg/cel/library/{ip,cidr}.go, Go's net/netip.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::functions::{Run, Table, fail, mismatch};
use crate::value::{Evaluated, Value as V};

/// An address and a prefix length; bits beyond the prefix are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()), 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    }
}

impl Cidr {
    fn network(&self, address: IpAddr) -> u128 {
        let (value, width) = bits(address);
        let host = width - u32::from(self.prefix);
        if host == 128 { 0 } else { value >> host << host }
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && self.network(self.address) == self.network(address)
    }

    fn masked(&self) -> Cidr {
        let network = self.network(self.address);
        let address = match self.address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from_bits(network as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(network)),
        };
        Cidr { address, prefix: self.prefix }
    }
}

fn mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

fn parse_ip(text: &str) -> Result<IpAddr, String> {
    if let Some((address, zone)) = text.split_once('%')
        && address.parse::<Ipv6Addr>().is_ok()
        && !zone.is_empty()
    {
        return Err(format!("IP address {text:?} with zone value is not allowed"));
    }
    let address: IpAddr = text.parse().map_err(|_| format!("IP Address {text:?} parse error during conversion from string: ParseAddr({text:?}): {}", why(text)))?;
    if mapped(address) {
        return Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed"));
    }
    Ok(address)
}

/// Upstream: the commonest of netip.ParseAddr's reasons.
fn why(text: &str) -> &'static str {
    if text.contains(':') {
        return "unexpected character, want colon";
    }
    if !text.contains('.') {
        return "unable to parse IP";
    }
    let fields: Vec<&str> = text.split('.').collect();
    match () {
        () if fields.iter().any(|f| f.is_empty()) => "IPv4 field must have at least one digit",
        () if fields.iter().any(|f| !f.bytes().all(|b| b.is_ascii_digit())) => "unexpected character",
        () if fields.iter().any(|f| f.len() > 1 && f.starts_with('0')) => "IPv4 field has octet with leading zero",
        () if fields.iter().any(|f| f.parse::<u8>().is_err()) => "IPv4 field has value >255",
        () if fields.len() > 4 => "IPv4 address too long",
        () => "IPv4 address too short",
    }
}

fn parse_cidr(text: &str) -> Result<Cidr, String> {
    let bad = |reason: &str| format!("network address parse error during conversion from string: netip.ParsePrefix({text:?}): {reason}");
    let (address, prefix) = text.rsplit_once('/').ok_or_else(|| bad("no '/'"))?;
    let address: IpAddr = address.parse().map_err(|_| bad(&format!("ParseAddr({address:?}): {}", why(address))))?;
    if prefix.is_empty() || prefix.len() > 1 && prefix.starts_with('0') || !prefix.bytes().all(|b| b.is_ascii_digit()) {
        return Err(bad(&format!("bad bits after slash: {prefix:?}")));
    }
    let length = prefix.parse::<u8>().ok().filter(|p| u32::from(*p) <= bits(address).1).ok_or_else(|| bad("prefix length out of range"))?;
    if mapped(address) {
        return Err(format!("IPv4-mapped IPv6 address {text:?} is not allowed"));
    }
    Ok(Cidr { address, prefix: length })
}

fn ip<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match &a[0] {
        V::String(s) => parse_ip(s).map_or_else(fail, |ip| Ok(V::Ip(ip))),
        V::Cidr(cidr) => Ok(V::Ip(cidr.address)),
        _ => mismatch(),
    }
}

fn cidr<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match &a[0] {
        V::String(s) => parse_cidr(s).map_or_else(|e| fail(format!("network address parse error during conversion from string: {e}")), |c| Ok(V::Cidr(c))),
        _ => mismatch(),
    }
}

fn is_canonical<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    match &a[0] {
        V::String(s) => parse_ip(s).map_or_else(fail, |ip| Ok(V::Bool(ip.to_string() == **s))),
        _ => mismatch(),
    }
}

fn contains_ip<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    if let (V::Cidr(c), V::Ip(ip)) = (&a[0], &a[1]) {
        return Ok(V::Bool(c.contains(*ip)));
    }
    match (&a[0], ip(&a[1..2])) {
        (V::Cidr(c), Ok(V::Ip(ip))) => Ok(V::Bool(c.contains(ip))),
        (V::Cidr(_), Err(e)) => Err(e),
        _ => mismatch(),
    }
}

fn contains_cidr<'a>(a: &[V<'a>]) -> Evaluated<'a> {
    let other = match &a[1] {
        V::Cidr(other) => *other,
        _ => match cidr(&a[1..2])? {
            V::Cidr(other) => other,
            _ => return mismatch(),
        },
    };
    match &a[0] {
        V::Cidr(c) => Ok(V::Bool(c.prefix <= other.prefix && c.contains(other.address))),
        _ => mismatch(),
    }
}

fn test<'a>(a: &[V<'a>], test: fn(IpAddr) -> bool) -> Evaluated<'a> {
    match &a[0] {
        V::Ip(ip) => Ok(V::Bool(test(*ip))),
        _ => mismatch(),
    }
}

fn link_local_multicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
    }
}

fn link_local_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

fn global_unicast(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    !broadcast && !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast() && !link_local_unicast(ip)
}

pub(crate) fn add(table: &mut Table) {
    table.add("ip", "string_to_ip", "(string) -> net.IP", ip);
    table.add_method("ip", "cidr_ip", "net.CIDR", "", "net.IP", ip);
    table.add("isIP", "is_ip", "(string) -> bool", |a| Ok(V::Bool(ip(a).is_ok())));
    table.add("ip.isCanonical", "ip_is_canonical", "(string) -> bool", is_canonical);
    table.add_method("family", "ip_family", "net.IP", "", "int", |a| match &a[0] {
        V::Ip(ip) => Ok(V::Int(if ip.is_ipv4() { 4 } else { 6 })),
        _ => mismatch(),
    });
    let tests: [(&'static str, &'static str, Run); 5] = [
        ("isUnspecified", "ip_is_unspecified", |a| test(a, |ip| ip.is_unspecified())),
        ("isLoopback", "ip_is_loopback", |a| test(a, |ip| ip.is_loopback())),
        ("isLinkLocalMulticast", "ip_is_link_local_multicast", |a| test(a, link_local_multicast)),
        ("isLinkLocalUnicast", "ip_is_link_local_unicast", |a| test(a, link_local_unicast)),
        ("isGlobalUnicast", "ip_is_global_unicast", |a| test(a, global_unicast)),
    ];
    for (function, id, run) in tests {
        table.add_method(function, id, "net.IP", "", "bool", run);
    }
    table.add("cidr", "string_to_cidr", "(string) -> net.CIDR", cidr);
    table.add("isCIDR", "is_cidr", "(string) -> bool", |a| Ok(V::Bool(cidr(a).is_ok())));
    table.add_method("containsIP", "cidr_contains_ip_string", "net.CIDR", "string", "bool", contains_ip);
    table.add_method("containsIP", "cidr_contains_ip_ip", "net.CIDR", "net.IP", "bool", contains_ip);
    table.add_method("containsCIDR", "cidr_contains_cidr_string", "net.CIDR", "string", "bool", contains_cidr);
    table.add_method("containsCIDR", "cidr_contains_cidr", "net.CIDR", "net.CIDR", "bool", contains_cidr);
    table.add_method("prefixLength", "cidr_prefix_length", "net.CIDR", "", "int", |a| match &a[0] {
        V::Cidr(c) => Ok(V::Int(i64::from(c.prefix))),
        _ => mismatch(),
    });
    table.add_method("masked", "cidr_masked", "net.CIDR", "", "net.CIDR", |a| match &a[0] {
        V::Cidr(c) => Ok(V::Cidr(c.masked())),
        _ => mismatch(),
    });
}
