//! Forgets remembered UDP flows that lead to where nobody answers any more.

use std::net::IpAddr;

use nlink::netlink::netfilter::{ConntrackEntry, IpProtocol};
use nlink::netlink::{Connection, Netfilter};
use service_rules::Stale;

use crate::Error;

/// Gives the number of flows forgotten.
pub(crate) async fn forget(stale: &[Stale]) -> Result<usize, Error> {
    if stale.is_empty() {
        return Ok(0);
    }
    let connection = Connection::<Netfilter>::new()?;
    let mut count = 0;
    for entry in connection.get_conntrack().await?.iter().filter(|entry| entry.proto == IpProtocol::Udp) {
        if stale.iter().any(|stale| concerns(stale, entry)) {
            match connection.del_conntrack_entry(entry).await {
                Ok(()) => count += 1,
                // It ran out by itself meanwhile.
                Err(e) if e.is_not_found() => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
    Ok(count)
}

fn concerns(stale: &Stale, entry: &ConntrackEntry) -> bool {
    let to_door = entry.orig.dst_port == Some(stale.port) && stale.ip.is_none_or(|ip| entry.orig.dst_ip == Some(IpAddr::V4(ip)));
    let to_backend = match stale.backend {
        None => true,
        Some(backend) => entry.reply.src_ip == Some(IpAddr::V4(backend.ip)) && entry.reply.src_port == Some(backend.port),
    };
    to_door && to_backend
}
