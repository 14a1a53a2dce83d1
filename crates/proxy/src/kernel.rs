//! Brings the kernel's table to the rules: the difference, in one transaction.
//!
//! Chains never change, so the difference is one of names and of map elements; what the kernel holds is read once and remembered.
//! Keeps true: after a failure, or when told that another program was at it, the kernel is read again before anything is sent.

use std::collections::{BTreeMap, BTreeSet};

use nix::sys::socket::{setsockopt, sockopt};
use nlink::netlink::nftables::{Chain, Family, NftablesGroup, SetElement, SetElementData, Transaction};
use nlink::netlink::{Connection, Nftables};
use service_rules::RuleSet;
use tokio::sync::Mutex;

use crate::Error;
use crate::render::{Content, Skeleton, render};

/// A transaction is one message to the kernel, which must hold all services at once after a restart.
const SEND_BUFFER: usize = 64 << 20;
/// An attribute of netlink counts its bytes in 16 bits.
const ELEMENTS_PER_MESSAGE: usize = 400;

type Elements = BTreeMap<Vec<u8>, Option<SetElementData>>;

/// What the kernel holds of ours.
#[derive(Default)]
struct Held {
    chains: BTreeSet<String>,
    sets: BTreeSet<String>,
    maps: BTreeMap<String, Elements>,
}

enum Found {
    Ours(Held),
    Nothing,
    /// A table of this name with another skeleton: replaced whole, in the same transaction.
    OfAnotherMake,
}

/// The one table of the cluster in this network namespace.
pub struct Kernel {
    connection: Connection<Nftables>,
    table: String,
    held: Mutex<Option<Held>>,
}

impl Kernel {
    pub fn open(table: impl Into<String>) -> Result<Self, Error> {
        let connection = Connection::<Nftables>::new()?;
        // Without the right to it the default stands, and a very large first transaction fails with a clear error.
        for outcome in [setsockopt(connection.socket(), sockopt::SndBufForce, &SEND_BUFFER), setsockopt(connection.socket(), sockopt::RcvBufForce, &SEND_BUFFER)] {
            if let Err(error) = outcome {
                tracing::debug!(%error, "netlink buffer was not enlarged");
            }
        }
        Ok(Self { connection, table: table.into(), held: Mutex::default() })
    }

    /// Gives the number of changes made. What is there already is left alone.
    pub async fn apply(&self, rules: &RuleSet) -> Result<usize, Error> {
        let content = render(&self.table, rules);
        let mut held = self.held.lock().await;
        let found = match held.take() {
            Some(known) => Found::Ours(known),
            None => self.read(&content.skeleton).await?,
        };
        let (transaction, changes) = self.difference(&content, &found);
        if changes > 0 {
            transaction.commit(&self.connection).await?;
        }
        *held = Some(Held {
            chains: content.chains.into_keys().collect(),
            sets: content.sets.into_keys().collect(),
            maps: content.maps.into_iter().map(|(name, elements)| (name, remembered(elements.into_values()))).collect(),
        });
        Ok(changes)
    }

    /// Forgets what is remembered: the next application reads the kernel again.
    pub async fn distrust(&self) {
        *self.held.lock().await = None;
    }

    /// Removes the table. True when it was there.
    pub async fn clear(&self) -> Result<bool, Error> {
        self.distrust().await;
        Ok(self.connection.del_table_if_exists(self.table.as_str(), Family::Ip).await?)
    }

    /// A second connection that hears when somebody else removes the table (a firewall's reload does).
    pub(crate) fn listen() -> Result<Connection<Nftables>, Error> {
        let connection = Connection::<Nftables>::new()?;
        connection.subscribe(&[NftablesGroup::All])?;
        Ok(connection)
    }

    async fn read(&self, skeleton: &Skeleton) -> Result<Found, Error> {
        let tables = self.connection.list_tables_in(Family::Ip).await?;
        let Some(table) = tables.iter().find(|t| t.name == self.table) else { return Ok(Found::Nothing) };
        if table.comment.as_deref() != Some(skeleton.mark.as_str()) {
            return Ok(Found::OfAnotherMake);
        }
        let mut held = Held::default();
        let chains = self.connection.list_chains_in(self.table.as_str(), Family::Ip).await?;
        held.chains.extend(chains.into_iter().map(|c| c.name).filter(|name| !Skeleton::owns_chain(name)));
        for set in self.connection.list_sets_in(&self.table, Family::Ip).await? {
            if skeleton.maps.contains_key(&set.name) {
                let elements = self.connection.list_set_elements(&self.table, &set.name, Family::Ip).await?;
                held.maps.insert(set.name, remembered(elements));
            } else {
                held.sets.insert(set.name);
            }
        }
        Ok(Found::Ours(held))
    }

    /// What leads from what was found to `content`, in an order in which nothing is used before it is there or removed while it is used.
    fn difference(&self, content: &Content, found: &Found) -> (Transaction, usize) {
        let table = self.table.as_str();
        let mut t = self.connection.transaction();
        let mut changes = 0;
        let empty = Held::default();
        let before = match found {
            Found::Ours(held) => held,
            Found::Nothing | Found::OfAnotherMake => &empty,
        };
        if matches!(found, Found::OfAnotherMake) {
            t = t.del_table(table, Family::Ip);
        }
        if !matches!(found, Found::Ours(_)) {
            t = self.add_skeleton(t, &content.skeleton);
            changes += 1;
        }
        let new_sets: Vec<_> = content.sets.iter().filter(|(name, _)| !before.sets.contains(*name)).collect();
        let new_chains: Vec<_> = content.chains.iter().filter(|(name, _)| !before.chains.contains(*name)).collect();
        let old_sets: Vec<&String> = before.sets.iter().filter(|name| !content.sets.contains_key(*name)).collect();
        let old_chains: Vec<&String> = before.chains.iter().filter(|name| !content.chains.contains_key(*name)).collect();
        changes += new_sets.len() + new_chains.len() + old_sets.len() + old_chains.len();
        t = new_sets.iter().fold(t, |t, (_, (set, _))| t.add_set(set.clone()));
        t = new_chains.iter().fold(t, |t, (name, _)| match Chain::new(table, name.as_str()) {
            Ok(chain) => t.add_chain(chain.family(Family::Ip)),
            Err(_) => t,
        });
        t = new_chains.iter().flat_map(|(_, rules)| rules.iter()).fold(t, |t, rule| t.add_rule(rule.clone()));
        t = new_sets.iter().fold(t, |t, (_, (set, elements))| if elements.is_empty() { t } else { t.add_set_elements(set, elements) });
        let nothing = Elements::new();
        let none = BTreeMap::new();
        for (name, map) in &content.skeleton.maps {
            let (had, wanted) = (before.maps.get(name).unwrap_or(&nothing), content.maps.get(name).unwrap_or(&none));
            let differs = |key: &Vec<u8>| had.get(key).map(Option::as_ref) != wanted.get(key).map(SetElement::data);
            let gone: Vec<SetElement> = had.keys().filter(|key| differs(key)).map(|key| SetElement::new(key.clone())).collect();
            let come: Vec<SetElement> = wanted.iter().filter(|(key, _)| differs(key)).map(|(_, element)| element.clone()).collect();
            changes += gone.len() + come.len();
            t = gone.chunks(ELEMENTS_PER_MESSAGE).fold(t, |t, part| t.del_set_elements(map, part));
            t = come.chunks(ELEMENTS_PER_MESSAGE).fold(t, |t, part| t.add_set_elements(map, part));
        }
        // Emptied first: then no chain or map leads to another of them any more.
        t = old_chains.iter().fold(t, |t, name| t.flush_chain(table, name, Family::Ip));
        t = old_sets.iter().fold(t, |t, name| t.del_set(table, name, Family::Ip));
        t = old_chains.iter().fold(t, |t, name| t.del_chain(table, name, Family::Ip));
        (t, changes)
    }

    fn add_skeleton(&self, t: Transaction, skeleton: &Skeleton) -> Transaction {
        let t = t.add_table_with_comment(&self.table, Family::Ip, 0, Some(&skeleton.mark));
        let t = skeleton.maps.values().fold(t, |t, map| t.add_set(map.clone()));
        let t = skeleton.chains.iter().fold(t, |t, chain| t.add_chain(chain.clone()));
        skeleton.rules.iter().fold(t, |t, rule| t.add_rule(rule.clone()))
    }
}

fn remembered(elements: impl IntoIterator<Item = SetElement>) -> Elements {
    elements.into_iter().map(|element| (element.key().to_vec(), element.data().cloned())).collect()
}
