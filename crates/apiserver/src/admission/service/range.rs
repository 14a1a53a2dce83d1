//! A range of cluster addresses: which of its addresses services may have, and in which order they are tried.

use std::net::Ipv4Addr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    network: u32,
    bits: u32,
}

impl Range {
    /// `10.43.0.0/16`; none for anything else, IPv6 among it.
    pub fn parse(cidr: &str) -> Option<Self> {
        let (network, bits) = cidr.split_once('/')?;
        let bits: u32 = bits.parse().ok().filter(|bits| (1..=32).contains(bits))?;
        let network = u32::from(network.parse::<Ipv4Addr>().ok()?) & (u32::MAX << (32 - bits));
        Some(Self { network, bits })
    }

    /// Neither the network's own address nor that of the broadcast.
    pub fn contains(self, ip: Ipv4Addr) -> bool {
        (1..=self.usable()).contains(&u32::from(ip).wrapping_sub(self.network))
    }

    fn usable(self) -> u32 {
        ((1u64 << (32 - self.bits)) as u32).wrapping_sub(1).saturating_sub(1)
    }

    /// How many of the first addresses are left to those who ask for one. Upstream: `calculateRangeOffset`, KEP-3070.
    fn reserved(self) -> u32 {
        let size = self.usable() + 2;
        if size <= 16 { 0 } else { (size / 16).clamp(16, 256) }
    }

    /// Every address once, from the upper part first, beginning at `start` of it.
    pub fn in_order(self, start: u32) -> impl Iterator<Item = Ipv4Addr> {
        let (first, last) = (self.reserved() + 1, self.usable());
        let start = if last >= first { first + start % (last - first + 1) } else { first };
        (start..=last).chain(first..start.min(last + 1)).chain(1..first.min(last + 1)).map(move |offset| Ipv4Addr::from(self.network + offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_address_once_and_the_lower_ones_last() {
        for (cidr, count) in [("10.0.0.0/24", 254), ("10.0.0.0/29", 6), ("10.0.0.4/30", 2), ("10.0.0.0/16", 65_534), ("10.0.0.0/31", 0)] {
            let range = Range::parse(cidr).expect("a range");
            for start in [0, 1, 5, 1000, u32::MAX] {
                let order: Vec<_> = range.in_order(start).collect();
                assert_eq!((order.len(), order.iter().collect::<HashSet<_>>().len()), (count, count), "{cidr} from {start}");
                assert!(order.iter().all(|ip| range.contains(*ip)), "{cidr}");
            }
        }
        let last: Vec<_> = Range::parse("10.0.0.0/24").expect("a range").in_order(7).skip(254 - 16).collect();
        assert!(last.iter().all(|ip| ip.octets()[3] <= 16), "{last:?}");
    }

    #[test]
    fn its_own_ends_belong_to_nobody() {
        let range = Range::parse("10.0.0.0/24").expect("a range");
        for (ip, inside) in [("10.0.0.0", false), ("10.0.0.1", true), ("10.0.0.254", true), ("10.0.0.255", false), ("10.0.1.1", false), ("9.255.255.255", false)] {
            assert_eq!(range.contains(ip.parse().expect("an address")), inside, "{ip}");
        }
        assert!(["10.0.0.0", "fd00::/64", "10.0.0.0/33", "10.0.0/8", "x/8"].iter().all(|cidr| Range::parse(cidr).is_none()));
    }
}
