//! The mirror: everything in etcd, loaded once and then followed revision by revision.
//!
//! A revision is shown whole or not at all. When the connection breaks, another member is asked to go on from the last
//! revision; when etcd has forgotten that one, everything is loaded anew and watchers here are told 410.

use std::sync::Arc;
use std::time::Duration;

use tonic::Status;

use super::wire::{self, KeyValue, RangeRequest};
use super::{Remote, told};
use crate::record::{Change, Event, Record};
use crate::seal;
use crate::state::{Shared, State, TableId};

/// Keys of one page.
const PAGE: i64 = 2000;
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// All keys at one revision.
pub struct Everything {
    pub revision: u64,
    keys: Vec<KeyValue>,
}

pub async fn load(remote: &Remote) -> Result<Everything, Status> {
    let prefix = format!("{}/", remote.options.layout.prefix).into_bytes();
    let mut range_end = prefix.clone();
    // The first key that does not begin with the prefix: its last byte, a slash, one further.
    if let Some(last) = range_end.last_mut() {
        *last += 1;
    }
    let mut keys: Vec<KeyValue> = Vec::new();
    let mut start = prefix;
    let mut revision = 0;
    loop {
        let request = RangeRequest { key: start, range_end: range_end.clone(), limit: PAGE, revision, ..Default::default() };
        let page = remote.bounded(wire::range(&remote.channel, request)).await?;
        if revision == 0 {
            revision = page.header.as_ref().map_or(0, |h| h.revision);
        }
        let more = page.more;
        keys.extend(page.kvs);
        match keys.last() {
            Some(last) if more => start = [&last.key[..], &[0]].concat(),
            _ => return Ok(Everything { revision: revision as u64, keys }),
        }
    }
}

/// The tables of all keys.
pub fn state_of(remote: &Remote, shared: &Shared, everything: Everything) -> State {
    let mut state = State { revision: everything.revision, tables: Vec::new() };
    for kv in everything.keys {
        if let Some((table, record)) = record_of(remote, shared, kv) {
            state.table_mut(table).insert(Arc::new(record));
        }
    }
    state
}

/// The record of a key; none for keys and values that are nobody's here.
fn record_of(remote: &Remote, shared: &Shared, kv: KeyValue) -> Option<(TableId, Record)> {
    let (table, key) = remote.options.layout.table_of(std::str::from_utf8(&kv.key).ok()?)?;
    let value = match seal::foreign(&kv.value) {
        Some(sealed) => match shared.sealer().map(|s| s.open_alone(&table, &key, sealed)) {
            Some(Ok(value)) => value.into(),
            Some(Err(error)) => {
                tracing::error!(%error, table, key, "could not decrypt a value");
                return None;
            }
            None => return None,
        },
        None => kv.value,
    };
    let Some(stamped) = (remote.options.read)(value) else {
        tracing::warn!(table, key, "a value in etcd is in no form that is known here; it is passed over");
        return None;
    };
    let record = Record::new(key.into(), &stamped, kv.create_revision as u64, kv.mod_revision as u64, None);
    Some((shared.table(&table), record))
}

/// Why following stopped.
enum Broken {
    /// The connection; another attempt goes on from the same revision.
    Connection(Status),
    /// etcd has forgotten the revision.
    Compacted,
}

/// Follows for ever.
pub async fn follow(remote: Arc<Remote>, shared: Arc<Shared>) {
    let mut wait = FIRST_WAIT;
    loop {
        let before = shared.view().revision();
        match follow_once(&remote, &shared).await {
            Broken::Connection(status) => tracing::warn!(why = told(&status), "the watch on etcd broke; it is begun anew"),
            Broken::Compacted => match load(&remote).await {
                Ok(everything) => {
                    tracing::warn!(revision = everything.revision, "etcd forgot the revision that was reached here; everything was loaded anew");
                    let state = state_of(&remote, &shared, everything);
                    shared.restart(state);
                }
                Err(status) => tracing::warn!(why = told(&status), "etcd could not be read"),
            },
        }
        if shared.view().revision() > before {
            wait = FIRST_WAIT;
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

async fn follow_once(remote: &Remote, shared: &Shared) -> Broken {
    let start = shared.view().revision() as i64 + 1;
    let mut stream = match remote.bounded(wire::watch(&remote.channel, start)).await {
        Ok(stream) => stream,
        Err(status) => return Broken::Connection(status),
    };
    loop {
        let answer = match stream.message().await {
            Ok(Some(answer)) => answer,
            Ok(None) => return Broken::Connection(Status::unavailable("the stream ended")),
            Err(status) => return Broken::Connection(status),
        };
        if answer.compact_revision > 0 {
            return Broken::Compacted;
        }
        if answer.canceled {
            return Broken::Connection(Status::aborted(answer.cancel_reason));
        }
        apply(remote, shared, answer.events);
    }
}

/// Shows what one answer tells; an answer holds whole revisions.
fn apply(remote: &Remote, shared: &Shared, changes: Vec<wire::Event>) {
    let mut state = (*shared.current()).clone();
    let mut events: Vec<(TableId, Arc<Event>)> = Vec::with_capacity(changes.len());
    for change in changes {
        let Some(kv) = change.kv else { continue };
        let revision = kv.mod_revision as u64;
        if revision < state.revision {
            // A member that lags behind tells again what is known.
            continue;
        }
        state.revision = revision;
        let deletes = change.kind == 1;
        if let Some(event) = if deletes { removed(remote, shared, &mut state, &kv) } else { stored(remote, shared, &mut state, kv) } {
            events.push(event);
        }
    }
    if state.revision > shared.view().revision() {
        shared.publish(state, events);
    }
}

fn stored(remote: &Remote, shared: &Shared, state: &mut State, kv: KeyValue) -> Option<(TableId, Arc<Event>)> {
    let (table, record) = record_of(remote, shared, kv)?;
    let record = Arc::new(record);
    let previous = state.table_mut(table).insert(record.clone());
    let change = if previous.is_some() { Change::Updated } else { Change::Created };
    Some((table, Arc::new(Event { change, record, previous })))
}

fn removed(remote: &Remote, shared: &Shared, state: &mut State, kv: &KeyValue) -> Option<(TableId, Arc<Event>)> {
    let (table, key) = remote.options.layout.table_of(std::str::from_utf8(&kv.key).ok()?)?;
    let table = shared.table(&table);
    let previous = state.table_mut(table).remove(&key)?;
    let record = Arc::new(previous.deleted(kv.mod_revision as u64));
    Some((table, Arc::new(Event { change: Change::Deleted, record, previous: Some(previous) })))
}
