//! What addresses and ports are taken, and what is held for writes under way.
//!
//! What is taken is what the stored services and claims say, so no book can disagree with them (see the ledger). Writes
//! of this server hold what they were given apart from each other; writes of other servers meet at the claims.

use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::sync::Arc;

use api::meta;
use catalog::walk;
use parking_lot::Mutex;
use rand::Rng;
use serde_json::Value;
use store::Store;

use super::claims;
use super::ledger::Ledger;
use super::range::Range;
use crate::derived::Derived;
use crate::object;
use crate::server::Server;

/// A node port and its protocol.
pub type Port = (i64, String);

#[derive(Default)]
pub struct Taken {
    pub addresses: HashSet<String>,
    pub ports: HashSet<Port>,
}

/// The books of addresses and ports.
pub struct Books {
    ledger: Arc<Mutex<Ledger>>,
    ranges: Derived<Vec<Range>>,
    /// The range of the settings, while no ServiceCIDR says otherwise.
    configured: Range,
    node_ports: RangeInclusive<i64>,
}

/// What a service has: its addresses, and its ports on nodes.
pub fn holdings(service: &Value) -> Taken {
    let addresses = walk::list(service, "spec.clusterIPs").iter().filter_map(Value::as_str).filter(|ip| *ip != "None").map(str::to_owned).collect();
    let ports = walk::list(service, "spec.ports").iter().map(|port| (walk::int(port, "nodePort"), walk::text(port, "protocol").to_owned()));
    let health = (walk::int(service, "spec.healthCheckNodePort"), "TCP".to_owned());
    Taken { addresses, ports: ports.chain([health]).filter(|(port, _)| *port != 0).collect() }
}

/// Upstream: a range without a condition counts as ready, one that is being deleted does not.
fn read_ranges(tables: &[store::Range]) -> Vec<Range> {
    let objects = tables.iter().flat_map(|table| table.scan("", "")).map(|record| object::parse(&record.value));
    let usable = objects.filter(|range| {
        let ready = walk::list(range, "status.conditions").iter().find(|c| walk::text(c, "type") == "Ready");
        !meta::is_deleting(range) && ready.is_none_or(|c| walk::text(c, "status") == "True")
    });
    usable.flat_map(|range| walk::list(&range, "spec.cidrs").iter().filter_map(|cidr| Range::parse(cidr.as_str()?)).collect::<Vec<_>>()).collect()
}

impl Books {
    /// `cidr` is the range of cluster addresses, `10.43.0.0/16`.
    pub fn new(store: &Store, cidr: &str, node_ports: RangeInclusive<i64>) -> Result<Self, String> {
        let bits = cidr.split_once('/').and_then(|(_, bits)| bits.parse().ok()).filter(|bits: &u32| (8..=28).contains(bits));
        let configured = bits.and_then(|_| Range::parse(cidr)).ok_or_else(|| format!("service CIDR {cidr:?} is not an IPv4 network such as 10.43.0.0/16"))?;
        let ranges = Derived::new(vec![store.table("/registry/servicecidrs")], read_ranges);
        Ok(Self { ledger: Arc::new(Mutex::new(Ledger::new(store))), ranges, configured, node_ports })
    }

    /// Opens the books for one write.
    pub fn open(&self, server: &Arc<Server>) -> Draft {
        let store = &server.store;
        let mut ranges = (*self.ranges.get(store)).clone();
        if ranges.is_empty() && store.view().table(store.table("/registry/servicecidrs")).len() == 0 {
            ranges.push(self.configured);
        }
        Draft { ranges, node_ports: self.node_ports.clone(), lost: Taken::default(), reserved: Reserved { server: server.clone(), ledger: self.ledger.clone(), given: Taken::default(), claimed: None } }
    }
}

/// One write's look into the books, and what it was given.
pub struct Draft {
    ranges: Vec<Range>,
    pub node_ports: RangeInclusive<i64>,
    /// What another server was faster to claim.
    pub lost: Taken,
    pub reserved: Reserved,
}

impl Draft {
    pub fn in_range(&self, ip: Ipv4Addr) -> bool {
        self.ranges.iter().any(|range| range.contains(ip))
    }

    /// Takes an address, or says that somebody has it.
    pub fn take_address(&mut self, ip: &str) -> bool {
        let reserved = &self.reserved;
        let free = !self.lost.addresses.contains(ip) && reserved.ledger.lock().take_address(&reserved.server.store, ip);
        if free {
            self.reserved.given.addresses.insert(ip.to_owned());
        }
        free
    }

    pub fn pick_address(&mut self) -> Option<String> {
        let start = rand::rng().random();
        let ranges = self.ranges.clone();
        ranges.into_iter().flat_map(|range| range.in_order(start)).map(|ip| ip.to_string()).find(|ip| self.take_address(ip))
    }

    pub fn take_port(&mut self, port: &Port) -> bool {
        let reserved = &self.reserved;
        let free = !self.lost.ports.contains(port) && reserved.ledger.lock().take_port(&reserved.server.store, port);
        if free {
            self.reserved.given.ports.insert(port.clone());
        }
        free
    }

    pub fn pick_port(&mut self, protocol: &str) -> Option<i64> {
        let ports = self.node_ports.clone();
        if ports.is_empty() {
            return None;
        }
        let start = rand::rng().random_range(ports.clone());
        (start..=*ports.end()).chain(*ports.start()..start).find(|port| self.take_port(&(*port, protocol.to_owned())))
    }
}

/// Numbers held for a write under way; let go when it is known, or when the request is given up.
pub struct Reserved {
    server: Arc<Server>,
    ledger: Arc<Mutex<Ledger>>,
    pub given: Taken,
    /// The service for which claims were made.
    pub claimed: Option<Value>,
}

impl Reserved {
    /// An address that turned out to be somebody else's.
    pub fn forget_address(&mut self, address: &str) {
        if let Some(address) = self.given.addresses.take(address) {
            self.ledger.lock().settle(&Taken { addresses: HashSet::from([address]), ports: HashSet::new() });
        }
    }

    pub fn forget_port(&mut self, port: &Port) {
        if let Some(port) = self.given.ports.take(port) {
            self.ledger.lock().settle(&Taken { addresses: HashSet::new(), ports: HashSet::from([port]) });
        }
    }

    /// The write is done, one way or the other: what is stored now tells what is taken.
    pub fn settle(&mut self, stored: bool) {
        let given = std::mem::take(&mut self.given);
        if given.addresses.is_empty() && given.ports.is_empty() {
            return;
        }
        self.ledger.lock().settle(&given);
        if let Some(service) = self.claimed.take().filter(|_| !stored) {
            claims::release_later(self.server.clone(), service, given);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.settle(false);
    }
}
