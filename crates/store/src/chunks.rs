//! A sorted map of records that is cheap to snapshot: two levels, copied on write.
//!
//! A clone costs one pointer; a write copies the list of chunks and one chunk, and only when a snapshot still holds
//! them. Reads walk plain slices.

use std::collections::HashSet;
use std::sync::Arc;

use crate::record::Record;

const MAX_CHUNK: usize = 256;

/// Records sorted by key.
#[derive(Debug, Clone, Default)]
pub struct Chunks {
    chunks: Vec<Arc<Vec<Arc<Record>>>>,
    len: usize,
}

/// Records that two states of a table do not share.
#[derive(Debug, Default)]
pub struct Difference {
    pub come: Vec<Arc<Record>>,
    pub gone: Vec<Arc<Record>>,
}

impl Chunks {
    pub fn len(&self) -> usize {
        self.len
    }

    /// The chunk that holds `key`, or that it would go into.
    fn chunk_of(&self, key: &str) -> usize {
        self.chunks.partition_point(|c| &*c[0].key <= key).saturating_sub(1)
    }

    pub fn get(&self, key: &str) -> Option<&Arc<Record>> {
        let chunk = self.chunks.get(self.chunk_of(key))?;
        chunk.binary_search_by(|r| (*r.key).cmp(key)).ok().map(|at| &chunk[at])
    }

    /// Puts a record in; returns what stood under its key.
    pub fn insert(&mut self, record: Arc<Record>) -> Option<Arc<Record>> {
        let at = self.chunk_of(&record.key);
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.chunks.push(Arc::new(vec![record]));
            self.len += 1;
            return None;
        };
        let chunk = Arc::make_mut(chunk);
        match chunk.binary_search_by(|r| (*r.key).cmp(&record.key)) {
            Ok(place) => Some(std::mem::replace(&mut chunk[place], record)),
            Err(place) => {
                chunk.insert(place, record);
                self.len += 1;
                if chunk.len() > MAX_CHUNK {
                    // Keys that come in order (names with a counter) fill chunks instead of leaving halves behind.
                    let cut = if place + 1 == chunk.len() { MAX_CHUNK } else { MAX_CHUNK / 2 };
                    let tail = chunk.split_off(cut);
                    self.chunks.insert(at + 1, Arc::new(tail));
                }
                None
            }
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Arc<Record>> {
        let at = self.chunk_of(key);
        let chunk = self.chunks.get_mut(at)?;
        let place = chunk.binary_search_by(|r| (*r.key).cmp(key)).ok()?;
        let chunk = Arc::make_mut(chunk);
        let removed = chunk.remove(place);
        if chunk.is_empty() {
            self.chunks.remove(at);
        }
        self.len -= 1;
        Some(removed)
    }

    /// Records with keys of at least `start`, in order.
    pub fn from<'a>(&'a self, start: &str) -> impl Iterator<Item = &'a Arc<Record>> + use<'a> {
        let first = self.chunk_of(start);
        let skip = self.chunks.get(first).map_or(0, |c| c.partition_point(|r| &*r.key < start));
        self.chunks.iter().skip(first).flat_map(|c| c.iter()).skip(skip)
    }

    /// What came and what went since `old`, each in order; a record that changed is in both. Costs what differs, not what there is.
    pub fn since(&self, old: &Self) -> Difference {
        let apart = |of: &Self, from: &Self| -> Vec<Arc<Record>> {
            let shared: HashSet<_> = from.chunks.iter().map(Arc::as_ptr).collect();
            of.chunks.iter().filter(|chunk| !shared.contains(&Arc::as_ptr(chunk))).flat_map(|chunk| chunk.iter().cloned()).collect()
        };
        let (mut come, mut gone) = (apart(self, old), apart(old, self));
        // A chunk that one record changed holds the others as they were.
        let kept: HashSet<_> = gone.iter().map(Arc::as_ptr).collect();
        let kept: HashSet<_> = come.iter().map(Arc::as_ptr).filter(|record| kept.contains(record)).collect();
        come.retain(|record| !kept.contains(&Arc::as_ptr(record)));
        gone.retain(|record| !kept.contains(&Arc::as_ptr(record)));
        Difference { come, gone }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.chunks.iter().flat_map(|c| c.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Stamped;
    use std::collections::BTreeMap;

    fn record(key: &str, revision: u64) -> Arc<Record> {
        let value = Stamped { bytes: bytes::Bytes::from_static(b""), at: 0 };
        Arc::new(Record::new(key.into(), &value, revision, revision, None))
    }

    #[test]
    fn behaves_as_a_sorted_map_and_snapshots_stay() {
        let (mut chunks, mut model) = (Chunks::default(), BTreeMap::new());
        let mut seed = 7u64;
        let mut snapshots = Vec::new();
        for revision in 1..20_000u64 {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let key = format!("k{:04}", (seed >> 33) % 3000);
            if seed.is_multiple_of(3) {
                assert_eq!(chunks.remove(&key).map(|r| r.revision), model.remove(&key));
            } else {
                assert_eq!(chunks.insert(record(&key, revision)).map(|r| r.revision), model.insert(key, revision));
            }
            if revision % 4999 == 0 {
                snapshots.push((chunks.clone(), model.clone()));
            }
        }
        snapshots.push((chunks, model));
        for pair in snapshots.windows(2) {
            let [(old, before), (new, after)] = pair else { continue };
            let found = new.since(old);
            let told = |records: &[Arc<Record>]| records.iter().map(|r| (r.key.to_string(), r.revision)).collect::<Vec<_>>();
            let only = |of: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>| of.iter().filter(|(k, v)| other.get(*k) != Some(v)).map(|(k, v)| (k.clone(), *v)).collect::<Vec<_>>();
            assert_eq!((told(&found.come), told(&found.gone)), (only(after, before), only(before, after)));
            let none = new.since(new);
            assert!(none.come.is_empty() && none.gone.is_empty());
        }
        for (chunks, model) in snapshots {
            assert_eq!(chunks.len(), model.len());
            assert!(chunks.iter().map(|r| (&*r.key, r.revision)).eq(model.iter().map(|(k, v)| (k.as_str(), *v))));
            for start in ["", "k0000", "k1500x", "k2999", "z"] {
                assert!(chunks.from(start).map(|r| &*r.key).eq(model.range(start.to_owned()..).map(|(k, _)| k.as_str())), "{start}");
            }
            assert!(model.keys().all(|k| chunks.get(k).is_some()) && chunks.get("absent").is_none());
        }
    }
}
