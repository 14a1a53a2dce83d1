//! The steward of definitions: accepts names, establishes, and sees deletions through. One task, so that names are given once.
//!
//! Woken by the table of definitions alone. Whoever changed a definition waits until the steward has seen the change: what the
//! definition adds is then served to the very next request.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use api::ApiError;
use catalog::custom::status::{self, Taken};
use catalog::walk;
use jiff::Timestamp;
use serde_json::Value;
use store::{Range, Record, Store};
use tokio::sync::watch;

use super::cleanup;
use crate::bootstrap;
use crate::object;
use crate::rest::{Call, update};
use crate::server::Server;

/// Whoever waits for the steward longer goes on without him.
const PATIENCE: Duration = Duration::from_secs(10);

/// How far the steward has come: everything up to this revision is in force.
pub struct Progress(watch::Sender<u64>);

impl Default for Progress {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Progress {
    /// Waits until what is written of definitions now is in force.
    pub async fn caught_up(&self, store: &Store) {
        let revision = store.view().table(store.table(super::TABLE)).scan("", "").map(|r| r.revision).max().unwrap_or_default();
        let mut progress = self.0.subscribe();
        let arrived = progress.wait_for(|now| *now >= revision);
        if tokio::time::timeout(PATIENCE, arrived).await.is_err() {
            tracing::warn!(revision, "the steward of definitions fell behind");
        }
    }
}

/// Follows the table of definitions until the server ends.
pub async fn run(server: Arc<Server>) {
    let table = server.store.table(super::TABLE);
    let mut seen = Seen::default();
    loop {
        let revision = server.store.view().revision();
        let Ok(mut watch) = server.store.watch(table, revision) else { continue };
        loop {
            let revision = seen.look(&server).await;
            server.definitions.0.send_replace(revision);
            tokio::select! {
                events = watch.next(1024) => if events.is_err() { break },
                () = server.closing.cancelled() => return,
            }
        }
    }
}

/// What the steward has seen.
#[derive(Default)]
struct Seen {
    /// Definitions by name, each read once.
    definitions: BTreeMap<Arc<str>, (Arc<Record>, Arc<Value>)>,
    /// Groups whose definitions have to be looked at.
    due: HashSet<String>,
    /// Definitions whose instances are being taken away, by uid.
    cleaning: HashSet<String>,
}

/// What one look came to.
enum Step {
    /// Every status is as it should be.
    Settled,
    Wrote,
    /// A status could not be written; the next change wakes the steward again.
    Failed,
}

impl Seen {
    /// Brings every definition's status up to date; the revision up to which that holds.
    async fn look(&mut self, server: &Arc<Server>) -> u64 {
        loop {
            let view = server.store.view();
            self.read(&view.table(server.store.table(super::TABLE)));
            let definitions: Vec<Arc<Value>> = self.definitions.values().map(|(_, d)| d.clone()).filter(|d| self.due.contains(walk::text(d, "spec.group"))).collect();
            match self.step(server, &definitions).await {
                Step::Wrote => continue,
                Step::Settled => self.due.clear(),
                Step::Failed => {}
            }
            return view.revision();
        }
    }

    /// Reads what changed: in its group names may have to be given anew.
    fn read(&mut self, range: &Range) {
        let mut now = BTreeMap::new();
        for record in range.scan("", "") {
            let before = self.definitions.remove(&record.key);
            let known = before.filter(|(old, _)| Arc::ptr_eq(old, record));
            let entry = known.unwrap_or_else(|| {
                let definition = object::parse(&record.value);
                self.due.insert(walk::text(&definition, "spec.group").to_owned());
                (record.clone(), Arc::new(definition))
            });
            now.insert(record.key.clone(), entry);
        }
        let gone = std::mem::replace(&mut self.definitions, now);
        self.due.extend(gone.values().map(|(_, d)| walk::text(d, "spec.group").to_owned()));
        if !gone.is_empty() {
            self.cleaning.retain(|uid| self.definitions.values().any(|(_, d)| api::meta::uid(d) == uid));
        }
    }

    /// Starts what is due and writes the first status that is not as it should be.
    async fn step(&mut self, server: &Arc<Server>, definitions: &[Arc<Value>]) -> Step {
        for definition in definitions {
            if cleanup::is_due(definition) && self.cleaning.insert(api::meta::uid(definition).to_owned()) {
                tokio::spawn(cleanup::run(server.clone(), api::meta::name(definition).to_owned(), api::meta::uid(definition).to_owned()));
            }
            let taken = Taken::of(walk::text(definition, "spec.group"), definitions.iter().map(|d| &**d));
            if let Some(after) = status::plan(definition, &taken, Timestamp::now()) {
                // Names that were given are taken for the next one: all are looked at anew.
                return if put_status(server, definition, after["status"].clone()).await { Step::Wrote } else { Step::Failed };
            }
        }
        Step::Settled
    }
}

/// Writes a status, unless the definition is another by now; whether something was written.
async fn put_status(server: &Arc<Server>, definition: &Value, after: Value) -> bool {
    let uid = api::meta::uid(definition).to_owned();
    let change = |old: &Value| {
        let mut new = old.clone();
        if api::meta::uid(old) == uid {
            new["status"] = after.clone();
        }
        Ok(new)
    };
    match write(server, definition, "status", &change).await {
        Ok(()) => true,
        Err(error) => {
            tracing::debug!(%error, "the status of a definition could not be written");
            false
        }
    }
}

/// A write of the server itself to a definition or a part of it.
pub async fn write(server: &Arc<Server>, definition: &Value, part: &str, change: update::Change<'_>) -> Result<(), ApiError> {
    let mut call: Call = bootstrap::call_about(server, definition, "update")?;
    call.info.subresource = part.to_owned();
    update::update(&call, change).await.map(|_| ())
}
