//! Addresses and ranges as fields of objects say them.
//!
//! Upstream: apimachinery `pkg/util/validation/ip.go`. Fields that are older than its strict rules are read as Go once
//! read them, and what an object said before stays allowed; what is new must be written as everybody reads it
//! (StrictIPCIDRValidation, on since 1.36). Fields that came later take the canonical form alone.

use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

const NO_IP: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NO_RANGE: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// As Go's `ParseIPSloppy`: zeros may lead the parts of an IPv4 address.
pub fn parse(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| padded_v4(text).map(IpAddr::V4))
}

fn padded_v4(text: &str) -> Option<Ipv4Addr> {
    let mut parts = text.split('.').map(|part| Some(part).filter(|p| p.bytes().all(|b| b.is_ascii_digit())).and_then(|p| p.parse::<u32>().ok()).and_then(|n| u8::try_from(n).ok()));
    let octets = [parts.next()??, parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// Whether Go counts a text to IPv6: not what is IPv4 dressed as such.
pub fn is_v6(text: &str) -> bool {
    parse(text).is_some_and(|ip| ip.to_canonical().is_ipv6())
}

fn is_mapped(ip: &IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}

fn strict(text: &str) -> Result<IpAddr, &'static str> {
    match (text.parse::<IpAddr>(), parse(text)) {
        (Ok(ip), _) if is_mapped(&ip) => Err("must not be an IPv4-mapped IPv6 address"),
        (Ok(ip), _) => Ok(ip),
        (Err(_), Some(_)) => Err("must not have leading 0s"),
        (Err(_), None) => Err(NO_IP),
    }
}

/// An address in a field older than the strict rules; `known` are those that the object had before.
pub fn legacy(errors: &mut FieldErrors, path: &Path, text: &str, known: &[Value]) {
    if let Err(fault) = strict(text)
        && !known.iter().any(|old| old == text)
    {
        errors.push(FieldError::invalid(path, text, fault));
    }
}

/// Why a text is not an address in the form everybody writes it.
pub fn canonical_fault(text: &str) -> Option<String> {
    match strict(text) {
        Err(fault) => Some(fault.to_owned()),
        Ok(ip) => Some(ip.to_string()).filter(|form| form != text).map(|form| format!("must be in canonical form ({form:?})")),
    }
}

/// A range of addresses: one of them, and how many of its bits are the range's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub address: IpAddr,
    pub bits: u32,
}

impl Range {
    /// As Go's `ParseCIDRSloppy`.
    pub fn parse(text: &str) -> Option<Self> {
        let (ip, bits) = text.split_once('/')?;
        let address = parse(ip)?;
        let bits = Some(bits).filter(|b| !b.is_empty() && b.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()?;
        (bits <= width(&address)).then_some(Self { address, bits })
    }

    /// The range with the bits of its address that are not its own taken away.
    pub fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) & u32::MAX.checked_shl(32 - self.bits).unwrap_or(0)).into()),
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & u128::MAX.checked_shl(128 - self.bits).unwrap_or(0)).into()),
        };
        Self { address, bits: self.bits }
    }

    /// Whether another range lies in this one and is smaller.
    pub fn holds(self, inner: Self) -> bool {
        self.address.is_ipv4() == inner.address.is_ipv4() && inner.bits > self.bits && Self { address: inner.address, bits: self.bits }.masked() == self.masked()
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

fn width(ip: &IpAddr) -> u32 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn strict_range(text: &str) -> Result<Range, &'static str> {
    let range = Range::parse(text).ok_or(NO_RANGE)?;
    let (ip, bits) = text.split_once('/').unwrap_or_default();
    if ip.parse::<IpAddr>().is_err() || (bits.len() > 1 && bits.starts_with('0')) {
        Err("must not have leading 0s in IP or prefix length")
    } else if is_mapped(&range.address) {
        Err("must not have an IPv4-mapped IPv6 address")
    } else if range.masked() != range {
        Err("must not have bits set beyond the prefix length")
    } else {
        Ok(range)
    }
}

/// A range in a field older than the strict rules; `is_known` tells those that the object had before.
pub fn legacy_range(errors: &mut FieldErrors, path: &Path, text: &str, is_known: impl Fn(&str) -> bool) {
    if let Err(fault) = strict_range(text)
        && !is_known(text)
    {
        errors.push(FieldError::invalid(path, text, fault));
    }
}

/// A range in the form everybody writes it.
pub fn canonical_range(errors: &mut FieldErrors, path: &Path, text: &str) {
    match strict_range(text) {
        Err(fault) => errors.push(FieldError::invalid(path, text, fault)),
        Ok(range) if range.to_string() != text => errors.push(FieldError::invalid(path, text, format!("must be in canonical form ({:?})", range.to_string()))),
        Ok(_) => {}
    }
}

/// An address with the length of its network, in the form everybody writes it. Upstream: `IsValidInterfaceAddress`.
pub fn interface_address(errors: &mut FieldErrors, path: &Path, text: &str) {
    let form = Range::parse(text).map(|range| match range.address.to_canonical() {
        IpAddr::V4(v4) if range.bits > 32 => format!("{v4}/{}", range.bits - 96),
        address => format!("{address}/{}", range.bits),
    });
    match form {
        None => errors.push(FieldError::invalid(path, text, "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)")),
        Some(form) if form != text => errors.push(FieldError::invalid(path, text, format!("must be in canonical form ({form:?})"))),
        Some(_) => {}
    }
}

/// An address that pods can stand behind: not loopback, not link-local, not everybody's. Upstream: `ValidateEndpointIP`.
pub fn endpoint(errors: &mut FieldErrors, path: &Path, text: &str) {
    let mut say = |fault: &str| errors.push(FieldError::invalid(path, text, fault));
    // As in Go, an IPv4 address dressed as IPv6 is judged by what it is.
    let Some(ip) = parse(text).map(|ip| ip.to_canonical()) else { return say("must be a valid IP address") };
    if ip.is_unspecified() {
        say(&format!("may not be unspecified ({text})"));
    }
    if ip.is_loopback() {
        say("may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    let (local, group) = match ip {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.is_unicast_link_local(), v6.segments()[0] & 0xff0f == 0xff02),
    };
    if local {
        say("may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if group {
        say("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

/// Whoever writes an address otherwise than everybody does is told how. Upstream: `GetWarningsForIP`.
pub fn warn(told: &mut Vec<String>, path: impl Display, text: &str) {
    let Some(ip) = parse(text) else { return };
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => {}
        Ok(ip) if !is_mapped(&ip) => {
            let form = ip.to_string();
            if form != text {
                told.push(format!("{path}: IPv6 address {text:?} should be in RFC 5952 canonical format ({form:?})"));
            }
        }
        _ => told.push(format!("{path}: non-standard IP address {text:?} will be considered invalid in a future Kubernetes release: use {:?}", ip.to_canonical().to_string())),
    }
}

/// The same of a range. Upstream: `GetWarningsForCIDR`.
pub fn warn_range(told: &mut Vec<String>, path: impl Display, text: &str) {
    let Some(range) = Range::parse(text) else { return };
    let (before, masked) = (told.len(), as_go(range.masked()));
    if range.masked() != range {
        let single = format!("{}/{}", range.address.to_canonical(), width(&range.address));
        told.push(format!("{path}: CIDR value {text:?} is ambiguous in this context (should be {masked:?} or {single:?}?)"));
    }
    if matches!(strict_range(text), Err(fault) if fault.contains("leading") || fault.contains("mapped")) {
        told.push(format!("{path}: non-standard CIDR value {text:?} will be considered invalid in a future Kubernetes release: use {masked:?}"));
    }
    if told.len() == before && range.address.is_ipv6() && range.to_string() != text {
        told.push(format!("{path}: IPv6 CIDR value {text:?} should be in RFC 5952 canonical format ({:?})", range.to_string()));
    }
}

/// A range as Go prints it: IPv4 dressed as IPv6 by what it is.
fn as_go(range: Range) -> String {
    match range.address.to_canonical() {
        IpAddr::V4(v4) if range.address.is_ipv6() => format!("{v4}/{}", range.bits.saturating_sub(96)),
        address => format!("{address}/{}", range.bits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(check: impl Fn(&mut FieldErrors)) -> Vec<String> {
        let mut errors = FieldErrors::new();
        check(&mut errors);
        errors.into_iter().map(|e| e.detail).collect()
    }

    #[test]
    fn old_fields_keep_what_they_had() {
        let known = [Value::from("010.0.0.1")];
        for (text, fault) in [("10.0.0.1", ""), ("FE80::ABC", ""), ("010.0.0.1", ""), ("010.0.0.2", "must not have leading 0s"), ("::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"), ("1.2.3", NO_IP), ("1.2.3.256", NO_IP)] {
            assert_eq!(told(|e| legacy(e, &Path::new("ip"), text, &known)).join(""), fault, "{text}");
        }
    }

    #[test]
    fn ranges_are_their_own_first_address() {
        for (text, fault) in [
            ("10.0.0.0/8", ""),
            ("::/0", ""),
            ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
            ("10.0.0.0/08", "must not have leading 0s in IP or prefix length"),
            ("010.0.0.0/8", "must not have leading 0s in IP or prefix length"),
            ("::ffff:10.0.0.0/104", "must not have an IPv4-mapped IPv6 address"),
            ("10.0.0.0/33", NO_RANGE),
        ] {
            assert_eq!(told(|e| legacy_range(e, &Path::new("cidr"), text, |_| false)).join(""), fault, "{text}");
        }
        assert_eq!(told(|e| canonical_range(e, &Path::new("cidr"), "2001:DB8::/64")), ["must be in canonical form (\"2001:db8::/64\")"]);
    }

    #[test]
    fn odd_spellings_are_told() {
        let ip = |text: &str| {
            let mut told = Vec::new();
            warn(&mut told, "ip", text);
            told.join(" ")
        };
        for text in ["10.0.0.1", "2001:db8::1", "x"] {
            assert_eq!(ip(text), "");
        }
        assert_eq!(ip("010.0.0.1"), "ip: non-standard IP address \"010.0.0.1\" will be considered invalid in a future Kubernetes release: use \"10.0.0.1\"");
        assert_eq!(ip("::ffff:1.2.3.4"), "ip: non-standard IP address \"::ffff:1.2.3.4\" will be considered invalid in a future Kubernetes release: use \"1.2.3.4\"");
        assert_eq!(ip("2001:DB8:0::1"), "ip: IPv6 address \"2001:DB8:0::1\" should be in RFC 5952 canonical format (\"2001:db8::1\")");
        let range = |text: &str| {
            let mut told = Vec::new();
            warn_range(&mut told, "cidr", text);
            told.join(" ")
        };
        assert_eq!(range("10.0.0.0/8"), "");
        assert_eq!(range("192.168.1.5/24"), "cidr: CIDR value \"192.168.1.5/24\" is ambiguous in this context (should be \"192.168.1.0/24\" or \"192.168.1.5/32\"?)");
        assert_eq!(range("192.012.2.0/24"), "cidr: non-standard CIDR value \"192.012.2.0/24\" will be considered invalid in a future Kubernetes release: use \"192.12.2.0/24\"");
        assert_eq!(range("::ffff:10.0.0.0/104"), "cidr: non-standard CIDR value \"::ffff:10.0.0.0/104\" will be considered invalid in a future Kubernetes release: use \"10.0.0.0/8\"");
        assert_eq!(range("2001:DB8::/64"), "cidr: IPv6 CIDR value \"2001:DB8::/64\" should be in RFC 5952 canonical format (\"2001:db8::/64\")");
    }

    #[test]
    fn ranges_hold_smaller_ones() {
        let range = |text| Range::parse(text).unwrap();
        assert!(range("10.0.0.0/8").holds(range("10.1.0.0/16")) && !range("10.0.0.0/8").holds(range("10.0.0.0/8")));
        assert!(range("::/0").holds(range("2001:db8::/32")) && !range("0.0.0.0/0").holds(range("2001:db8::/32")));
    }
}
