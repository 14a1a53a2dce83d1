//! Writes: one transaction on the revision of one key, answered once the mirror shows it.
//!
//! When the connection breaks under a transaction nobody knows whether it happened. Where the key still has the old
//! revision the transaction is tried again: the comparison lets only one of the two happen. In any other case the write
//! fails as unknown, never as refused or done.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use super::wire::{self, Compare, DeleteRequest, KeyValue, Operation, PutRequest, RangeRequest, TxnRequest};
use super::{Ask, PATIENCE, Remote, told};
use crate::commit::{Expect, Write, WriteError};
use crate::record::{Index, Record, Stamped};
use crate::seal::Sealer;
use crate::state::{Shared, TableId};

/// Transactions of one write, the first among them.
const TRIES: usize = 4;
const PAUSE: Duration = Duration::from_millis(100);

/// The writing end.
#[derive(Clone)]
pub(crate) struct EtcdWriter(Arc<Inner>);

struct Inner {
    remote: Arc<Remote>,
    shared: Arc<Shared>,
    asks: mpsc::Sender<Ask>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// A write as etcd is asked for it.
struct Asked {
    table: TableId,
    key: Arc<str>,
    /// The key in etcd.
    stored: Vec<u8>,
    /// What is put; none deletes.
    value: Option<(Stamped, Index, Vec<u8>)>,
    /// What the writer saw there: a deletion shows what it deleted.
    before: Option<Arc<Record>>,
    expected: i64,
}

fn unavailable(status: &Status) -> WriteError {
    WriteError::Disk(told(status).into())
}

impl EtcdWriter {
    pub(super) fn new(remote: Arc<Remote>, shared: Arc<Shared>, asks: mpsc::Sender<Ask>, tasks: Vec<JoinHandle<()>>) -> Self {
        Self(Arc::new(Inner { remote, shared, asks, tasks }))
    }

    /// Waits until the mirror holds everything that was written before this was called.
    pub async fn fresh(&self) -> Result<(), WriteError> {
        let (ask, answer) = oneshot::channel();
        self.0.asks.send(ask).await.map_err(|_| WriteError::Closed)?;
        let revision = answer.await.map_err(|_| WriteError::Closed)?.map_err(|status| unavailable(&status))?;
        self.reach(revision).await
    }

    async fn reach(&self, revision: u64) -> Result<(), WriteError> {
        let reached = tokio::time::timeout(PATIENCE, self.0.shared.reach(revision)).await;
        reached.map_err(|_| WriteError::Disk("etcd has newer changes than its watch tells".into()))
    }

    pub async fn compact(&self, revision: u64) -> Result<(), WriteError> {
        self.0.remote.bounded(wire::compact(&self.0.remote.channel, revision as i64)).await.map_err(|status| unavailable(&status))
    }

    pub async fn write(&self, write: Write) -> Result<Arc<Record>, WriteError> {
        let asked = self.asked(write)?;
        let mut unknown = None;
        for _ in 0..TRIES {
            let answer = self.0.remote.bounded(wire::txn(&self.0.remote.channel, request(&asked))).await;
            match answer {
                Ok(answer) if answer.succeeded => return self.done(&asked, answer.header.map_or(0, |h| h.revision as u64)).await,
                Ok(answer) => {
                    let found = answer.responses.into_iter().next().and_then(|r| r.range).and_then(|r| r.kvs.into_iter().next());
                    return Err(unknown.unwrap_or_else(|| self.refused(&asked, found)));
                }
                Err(status) if is_lasting(&status) => return Err(unavailable(&status)),
                Err(status) => unknown = Some(unavailable(&status)),
            }
            if !self.may_try_again(&asked).await {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(unknown.unwrap_or(WriteError::Closed))
    }

    fn asked(&self, write: Write) -> Result<Asked, WriteError> {
        let seen = |table, key: &str| self.0.shared.current().get(table, key).cloned();
        let name = |table| self.0.shared.table_name(table).ok_or(WriteError::Missing);
        let layout = &self.0.remote.options.layout;
        match write {
            Write::Put { table, key, value, index, expect } => {
                let name = name(table)?;
                let bytes = match self.0.shared.sealer().map(Sealer::current).filter(|s| s.covers(&name)) {
                    Some(seals) => seals.seal_alone(&name, &key, &value.bytes).map_err(|e| WriteError::Disk(e.to_string().into()))?,
                    None => value.bytes.to_vec(),
                };
                let expected = match expect {
                    Expect::Absent => 0,
                    Expect::Revision(revision) => revision as i64,
                };
                Ok(Asked { table, stored: layout.key_of(&name, &key).into_bytes(), before: seen(table, &key), key, value: Some((value, index, bytes)), expected })
            }
            Write::Delete { table, key, revision } => {
                let stored = layout.key_of(&*name(table)?, &key).into_bytes();
                Ok(Asked { table, stored, before: seen(table, &key), key, value: None, expected: revision as i64 })
            }
        }
    }

    /// The transaction happened: what it made, once readers see it.
    async fn done(&self, asked: &Asked, revision: u64) -> Result<Arc<Record>, WriteError> {
        let before = asked.before.as_ref();
        self.reach(revision).await?;
        match &asked.value {
            Some((value, index, _)) => {
                let now = self.0.shared.current().get(asked.table, &asked.key).cloned();
                Ok(match now {
                    Some(record) if record.revision == revision => record,
                    // Somebody was faster with the next change: this is what ours was.
                    _ => Arc::new(Record::new(asked.key.clone(), value, before.filter(|_| asked.expected > 0).map_or(revision, |b| b.created), revision, Some(index.clone()))),
                })
            }
            None => before.map(|b| Arc::new(b.deleted(revision))).ok_or(WriteError::Missing),
        }
    }

    /// The transaction did not happen: what stands there.
    fn refused(&self, asked: &Asked, found: Option<KeyValue>) -> WriteError {
        let Some(kv) = found else { return WriteError::Missing };
        let stamped = (self.0.remote.options.read)(kv.value).unwrap_or(Stamped { bytes: bytes::Bytes::new(), at: 0 });
        let record = Arc::new(Record::new(asked.key.clone(), &stamped, kv.create_revision as u64, kv.mod_revision as u64, None));
        if asked.expected == 0 { WriteError::Exists(record) } else { WriteError::Modified(record) }
    }

    /// Whether the key is as it was before a transaction that was never answered. A member that cannot tell is no reason
    /// to give up: the comparison guards the next attempt.
    async fn may_try_again(&self, asked: &Asked) -> bool {
        let request = RangeRequest { key: asked.stored.clone(), ..Default::default() };
        match self.0.remote.bounded(wire::range(&self.0.remote.channel, request)).await {
            Ok(answer) => answer.kvs.first().map_or(0, |kv| kv.mod_revision) == asked.expected,
            Err(_) => true,
        }
    }
}

/// Whether another attempt would fail the same way.
fn is_lasting(status: &Status) -> bool {
    !matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Unknown | Code::Cancelled | Code::Internal)
}

fn request(asked: &Asked) -> TxnRequest {
    let compare = Compare { result: 0, target: 2, key: asked.stored.clone(), mod_revision: Some(asked.expected) };
    let act = match &asked.value {
        Some((_, _, bytes)) => Operation { put: Some(PutRequest { key: asked.stored.clone(), value: bytes.clone() }), ..Default::default() },
        None => Operation { delete: Some(DeleteRequest { key: asked.stored.clone() }), ..Default::default() },
    };
    let look = Operation { range: Some(RangeRequest { key: asked.stored.clone(), ..Default::default() }), ..Default::default() };
    TxnRequest { compare: vec![compare], success: vec![act], failure: vec![look] }
}
