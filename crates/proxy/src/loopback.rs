//! Host ports on 127.0.0.1: answers of a pod must be let in although they carry a loopback address after translation.
//!
//! Only the links of pods with such ports are opened, and they go with their pods; the rules drop what others send under that name.

use std::net::Ipv4Addr;

use service_rules::RuleSet;

/// Opens the links that lead to pods with host ports.
pub(crate) fn open(rules: &RuleSet) {
    let doors = rules.host_ports.iter().filter(|(door, _)| door.ip.is_none_or(|ip| ip.is_loopback()));
    let mut pods: Vec<Ipv4Addr> = doors.map(|(_, backend)| backend.ip).collect();
    pods.sort_unstable();
    pods.dedup();
    if pods.is_empty() {
        return;
    }
    let routes = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
    for link in pods.iter().filter_map(|ip| link_of(&routes, *ip)) {
        let path = format!("/proc/sys/net/ipv4/conf/{link}/route_localnet");
        if std::fs::read_to_string(&path).is_ok_and(|now| now.trim() == "0")
            && let Err(error) = std::fs::write(&path, "1")
        {
            tracing::warn!(link, %error, "host ports of a pod do not answer on the loopback");
        }
    }
}

/// The link of the route to one address.
fn link_of(routes: &str, ip: Ipv4Addr) -> Option<&str> {
    let wanted = format!("{:08X}", u32::from_le_bytes(ip.octets()));
    routes.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let (link, destination) = (fields.next()?, fields.next()?);
        (destination == wanted && fields.nth(5)? == "FFFFFFFF").then_some(link)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_found_by_its_host_route() {
        let routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\neth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\nveth1\t04009A0A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0\n";
        assert_eq!(link_of(routes, Ipv4Addr::new(10, 154, 0, 4)), Some("veth1"));
        assert_eq!(link_of(routes, Ipv4Addr::new(10, 154, 0, 5)), None);
    }
}
