//! What addresses and ports are taken: by what is stored, and by writes under way.
//!
//! The sums follow the stored tables: each look compares the tables with those that were summed up last and adds what
//! differs. A look and what it takes are one step, so that nothing falls between a write that ends and the next one.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use store::{Range, Record, Store, TableId};

use super::books::{Port, Taken, holdings};
use super::claims;
use crate::object;

/// How many records hold each value.
struct Held<T>(HashMap<T, u32>);

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Hash + Eq> Held<T> {
    fn add(&mut self, value: T) {
        *self.0.entry(value).or_default() += 1;
    }

    fn remove(&mut self, value: &T) {
        if let Some(count) = self.0.get_mut(value) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(value);
            }
        }
    }

    fn has(&self, value: &T) -> bool {
        self.0.contains_key(value)
    }
}

pub struct Ledger {
    /// Services, claims on addresses, claims on ports; with the state that was summed up.
    tables: [(TableId, Option<Range>); 3],
    addresses: Held<String>,
    ports: Held<Port>,
    pending: Taken,
}

/// What a record of one of the tables holds.
fn held(table: usize, record: &Record) -> Taken {
    match table {
        0 => holdings(&object::parse(&record.value)),
        1 => Taken { addresses: HashSet::from([record.key.to_string()]), ports: HashSet::new() },
        _ => Taken { addresses: HashSet::new(), ports: claims::port_of(&record.key).into_iter().collect() },
    }
}

impl Ledger {
    pub fn new(store: &Store) -> Self {
        let tables = ["/registry/services/specs", claims::ADDRESSES, claims::PORTS].map(|name| (store.table(name), None));
        Self { tables, addresses: Held::default(), ports: Held::default(), pending: Taken::default() }
    }

    /// Brings the sums to what is stored now.
    fn follow(&mut self, store: &Store) {
        let view = store.view();
        for at in 0..self.tables.len() {
            let (id, seen) = &mut self.tables[at];
            let now = view.table(*id);
            let Some(seen) = seen.replace(now.clone()) else {
                now.scan("", "").for_each(|record| self.count(held(at, record)));
                continue;
            };
            if seen.is_same(&now) {
                continue;
            }
            let differing = now.since(&seen);
            differing.gone.iter().for_each(|record| self.discount(&held(at, record)));
            differing.come.iter().for_each(|record| self.count(held(at, record)));
        }
    }

    fn count(&mut self, taken: Taken) {
        taken.addresses.into_iter().for_each(|address| self.addresses.add(address));
        taken.ports.into_iter().for_each(|port| self.ports.add(port));
    }

    fn discount(&mut self, taken: &Taken) {
        taken.addresses.iter().for_each(|address| self.addresses.remove(address));
        taken.ports.iter().for_each(|port| self.ports.remove(port));
    }

    /// Takes an address for a write under way, or says that somebody has it.
    pub fn take_address(&mut self, store: &Store, address: &str) -> bool {
        self.follow(store);
        let address = address.to_owned();
        !self.addresses.has(&address) && self.pending.addresses.insert(address)
    }

    pub fn take_port(&mut self, store: &Store, port: &Port) -> bool {
        self.follow(store);
        !self.ports.has(port) && self.pending.ports.insert(port.clone())
    }

    /// Lets go what a write under way had taken: it is stored now, or not needed.
    pub fn settle(&mut self, given: &Taken) {
        self.pending.addresses.retain(|address| !given.addresses.contains(address));
        self.pending.ports.retain(|port| !given.ports.contains(port));
    }
}
