//! The definitions in force, each compiled once until what it says changes.
//!
//! Never polls: whoever needs the registry compares the table of definitions with the one that the registry was made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::{custom, walk};
use serde_json::{Value, json};
use store::{Range, Record, Store};
use tokio_util::sync::CancellationToken;

use crate::object;
use crate::registry::{Served, described};

/// All definitions of one state of their table.
pub struct Definitions {
    range: Range,
    by_name: BTreeMap<Arc<str>, Arc<Compiled>>,
}

/// One definition and what it makes served.
struct Compiled {
    record: Arc<Record>,
    /// What serving depends on; anything else may change without a new compilation.
    basis: Value,
    served: Vec<Arc<Served>>,
    /// Ends the watches that were begun under this definition.
    ended: CancellationToken,
    since: u64,
}

impl Definitions {
    /// The definitions of a table as it is now; those that did not change are taken over from `before`.
    pub fn new(range: Range, before: Option<&Self>, store: &Store) -> Self {
        let known = |key: &Arc<str>| before.and_then(|b| b.by_name.get(key));
        let by_name: BTreeMap<_, _> = range.scan("", "").map(|record| (record.key.clone(), compile(record, known(&record.key), store))).collect();
        for (name, old) in before.into_iter().flat_map(|b| &b.by_name) {
            if by_name.get(name).is_none_or(|new| new.since != old.since) {
                old.ended.cancel();
            }
        }
        Self { range, by_name }
    }

    pub fn is_of(&self, range: &Range) -> bool {
        self.range.is_same(range)
    }

    /// What is served, group by group, the version to be preferred first.
    pub fn served(&self) -> Vec<Arc<Served>> {
        let mut all: Vec<Arc<Served>> = self.by_name.values().flat_map(|c| c.served.iter().cloned()).collect();
        all.sort_by(|a, b| {
            let (a, b) = (&a.resource, &b.resource);
            a.group.cmp(&b.group).then_with(|| custom::definition::compare_versions(&b.version, &a.version)).then_with(|| a.plural.cmp(&b.plural))
        });
        all
    }
}

/// Spec and accepted names decide what is served and how.
fn basis(definition: &Value) -> Value {
    json!({"spec": walk::at(definition, "spec"), "names": walk::at(definition, "status.acceptedNames"), "uid": api::meta::uid(definition), "accepted": custom::status::is_true(definition, "NamesAccepted") || custom::status::is_true(definition, "Established")})
}

fn compile(record: &Arc<Record>, before: Option<&Arc<Compiled>>, store: &Store) -> Arc<Compiled> {
    if let Some(before) = before.filter(|b| Arc::ptr_eq(&b.record, record)) {
        return before.clone();
    }
    let definition = object::parse(&record.value);
    let basis = basis(&definition);
    let same = before.filter(|b| b.basis == basis);
    let terminating = custom::status::is_true(&definition, "Terminating");
    let was_terminating = |c: &Compiled| c.served.iter().any(|s| s.resource.custom.as_ref().is_some_and(|c| c.terminating));
    if let Some(same) = same.filter(|s| was_terminating(s) == terminating || s.served.is_empty()) {
        return Arc::new(Compiled { record: record.clone(), basis, served: same.served.clone(), ended: same.ended.clone(), since: same.since });
    }
    let (ended, since) = same.map_or_else(|| (CancellationToken::new(), record.revision), |s| (s.ended.clone(), s.since));
    let served = serve(&definition, store, &ended, since);
    Arc::new(Compiled { record: record.clone(), basis, served, ended, since })
}

fn serve(definition: &Value, store: &Store, ended: &CancellationToken, since: u64) -> Vec<Arc<Served>> {
    let all = custom::resources(definition);
    let Some(stored) = all.iter().find(|(r, _)| r.version == r.stored_version).map(|(r, _)| Arc::new(r.clone())) else { return Vec::new() };
    let table = store.table(&stored.table);
    let hashed = all.iter().any(|(r, served)| *served && r.version == r.stored_version);
    let one = |(resource, served): (catalog::Resource, bool)| {
        served.then(|| Arc::new(Served { described: described(&resource), resource, table, head_len: 1, stored: stored.clone(), since, ended: Some(ended.clone()), is_stored_version_served: hashed }))
    };
    all.into_iter().filter_map(one).collect()
}

/// The version of a definition that is stored, whether it is served or not: for the end of its instances.
pub fn stored(definition: &Value, store: &Store) -> Option<Arc<Served>> {
    let (resource, _) = custom::resources(definition).into_iter().find(|(r, _)| r.version == r.stored_version)?;
    let (table, stored) = (store.table(&resource.table), Arc::new(resource.clone()));
    Some(Arc::new(Served { described: described(&resource), resource, table, head_len: 1, stored, since: u64::MAX, ended: None, is_stored_version_served: true }))
}
