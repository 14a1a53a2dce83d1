//! What the store keeps: records, the stamp of their revision, and events.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

/// A value that wants its own revision written into it: the decimal revision is put in at byte `at`.
///
/// The bytes with the stamp are what disk, readers and watchers get; nobody encodes the object again.
#[derive(Debug, Clone)]
pub struct Stamped {
    pub bytes: Bytes,
    pub at: usize,
}

/// What selectors look at, taken from the value once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Index {
    /// Labels, sorted by key.
    pub labels: Box<[(Box<str>, Box<str>)]>,
    /// Selectable fields, in the order that the table's owner gave them.
    pub fields: Box<[Box<str>]>,
}

impl Index {
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.binary_search_by(|(k, _)| (**k).cmp(key)).ok().map(|at| &*self.labels[at].1)
    }
}

/// One stored object at one revision. Shared by the state, history and every reader.
#[derive(Debug)]
pub struct Record {
    /// The key within its table.
    pub key: Arc<str>,
    /// The bytes, revision stamped in.
    pub value: Bytes,
    /// Revision of the write that made the key.
    pub created: u64,
    /// Revision of this write; of the deletion in the record of a delete event.
    pub revision: u64,
    stamp: (u32, u32),
    index: OnceLock<Index>,
    protobuf: OnceLock<Bytes>,
}

impl Record {
    pub(crate) fn new(key: Arc<str>, value: &Stamped, created: u64, revision: u64, index: Option<Index>) -> Self {
        let digits = revision.to_string();
        let at = value.at.min(value.bytes.len());
        let mut bytes = Vec::with_capacity(value.bytes.len() + digits.len());
        bytes.extend_from_slice(&value.bytes[..at]);
        bytes.extend_from_slice(digits.as_bytes());
        bytes.extend_from_slice(&value.bytes[at..]);
        Self::stamped(key, bytes.into(), created, revision, (at as u32, digits.len() as u32), index)
    }

    /// A record that no store holds: what a dry run shows.
    pub fn dry(key: Arc<str>, value: &Stamped, revision: u64) -> Self {
        Self::new(key, value, revision, revision, None)
    }

    pub(crate) fn stamped(key: Arc<str>, value: Bytes, created: u64, revision: u64, stamp: (u32, u32), index: Option<Index>) -> Self {
        let slot = OnceLock::new();
        if let Some(index) = index {
            let _ = slot.set(index);
        }
        Self { key, value, created, revision, stamp, index: slot, protobuf: OnceLock::new() }
    }

    /// The record that a delete event shows: the last value, stamped with the revision of the deletion.
    pub(crate) fn deleted(&self, revision: u64) -> Self {
        let (at, len) = (self.stamp.0 as usize, self.stamp.1 as usize);
        let mut bytes = Vec::with_capacity(self.value.len() + 4);
        bytes.extend_from_slice(&self.value[..at]);
        bytes.extend_from_slice(&self.value[at + len..]);
        Self::new(self.key.clone(), &Stamped { bytes: bytes.into(), at }, self.created, revision, self.index.get().cloned())
    }

    pub(crate) fn stamp(&self) -> (u32, u32) {
        self.stamp
    }

    /// What selectors look at; `parse` fills it on first use.
    pub fn index(&self, parse: impl FnOnce(&[u8]) -> Index) -> &Index {
        self.index.get_or_init(|| parse(&self.value))
    }

    /// The protobuf form, encoded on first use and shared.
    pub fn protobuf(&self, encode: impl FnOnce(&[u8]) -> Bytes) -> &Bytes {
        self.protobuf.get_or_init(|| encode(&self.value))
    }

    pub(crate) fn weight(&self) -> usize {
        self.value.len() + self.key.len() + 160
    }
}

/// What happened to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Created,
    Updated,
    Deleted,
}

/// One change, shared by every watcher.
#[derive(Debug)]
pub struct Event {
    pub change: Change,
    /// The new record; for a deletion the last value under the revision of the deletion.
    pub record: Arc<Record>,
    /// What stood there before.
    pub previous: Option<Arc<Record>>,
}

impl Event {
    pub fn revision(&self) -> u64 {
        self.record.revision
    }

    /// The record before the change, under the revision of the change: what a watcher is told whose selector it left.
    pub fn left(&self) -> Option<Record> {
        self.previous.as_ref().map(|previous| previous.deleted(self.revision()))
    }
}
