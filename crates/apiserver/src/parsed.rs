//! Objects that many requests look at, such as their namespace, read once for each write of theirs.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;
use store::{Record, Store, TableId};

use crate::object;

/// How many are kept at most, and how long each may be.
const MOST: usize = 1024;
const LONGEST: usize = 64 << 10;

type Known = HashMap<(TableId, Arc<str>), (u64, Arc<Value>)>;

/// Never stale: what was read is compared with the stored record's revision on each use.
#[derive(Default)]
pub struct Parsed {
    known: Mutex<Known>,
}

impl Parsed {
    pub fn get(&self, store: &Store, table: &str, key: &str) -> Option<Arc<Value>> {
        let table = store.table(table);
        let record = store.view().get(table, key)?.clone();
        Some(self.of(table, &record))
    }

    pub fn of(&self, table: TableId, record: &Record) -> Arc<Value> {
        let place = (table, record.key.clone());
        if let Some((revision, value)) = self.known.lock().get(&place)
            && *revision == record.revision
        {
            return value.clone();
        }
        let value = Arc::new(object::parse(&record.value));
        if record.value.len() <= LONGEST {
            let mut known = self.known.lock();
            if known.len() >= MOST {
                known.clear();
            }
            known.insert(place, (record.revision, value.clone()));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use store::{Expect, Index, Write};

    use super::*;

    #[tokio::test]
    async fn a_write_is_seen_by_the_next_look() {
        let store = Store::in_memory();
        let parsed = Parsed::default();
        let table = store.table("/registry/namespaces");
        let mut expect = Expect::Absent;
        for phase in ["Active", "Terminating"] {
            let value = object::encode(&serde_json::json!({"metadata": {"name": "n"}, "status": {"phase": phase}}));
            let written = store.write(Write::Put { table, key: "n".into(), value, index: Index::default(), expect }).await.expect("a write");
            expect = Expect::Revision(written.revision);
            let seen = parsed.get(&store, "/registry/namespaces", "n").expect("it is there");
            assert_eq!(seen["status"]["phase"], phase);
        }
        assert!(parsed.get(&store, "/registry/namespaces", "m").is_none());
    }
}
