//! The steward of definitions: accepts names, establishes, and sees deletions through. One task, so that names are given once.
//!
//! Woken by the table of definitions alone. Whoever changed a definition waits until the steward has seen the change: what the
//! definition adds is then served to the very next request.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use api::ApiError;
use catalog::custom::status::{self, Taken};
use catalog::walk;
use jiff::Timestamp;
use serde_json::Value;
use store::Store;
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
    let mut cleaning: HashSet<String> = HashSet::new();
    loop {
        let revision = server.store.view().revision();
        let Ok(mut watch) = server.store.watch(table, revision) else { continue };
        loop {
            let seen = look(&server, &mut cleaning).await;
            server.definitions.0.send_replace(seen);
            tokio::select! {
                events = watch.next(1024) => if events.is_err() { break },
                () = server.closing.cancelled() => return,
            }
        }
    }
}

/// Brings every definition's status up to date; the revision up to which that holds.
async fn look(server: &Arc<Server>, cleaning: &mut HashSet<String>) -> u64 {
    loop {
        let view = server.store.view();
        let range = view.table(server.store.table(super::TABLE));
        let definitions: Vec<Value> = range.scan("", "").map(|r| object::parse(&r.value)).collect();
        cleaning.retain(|uid| definitions.iter().any(|d| api::meta::uid(d) == uid));
        let mut changed = false;
        for definition in &definitions {
            if cleanup::is_due(definition) && cleaning.insert(api::meta::uid(definition).to_owned()) {
                tokio::spawn(cleanup::run(server.clone(), api::meta::name(definition).to_owned(), api::meta::uid(definition).to_owned()));
            }
            let taken = Taken::of(walk::text(definition, "spec.group"), definitions.iter());
            if let Some(after) = status::plan(definition, &taken, Timestamp::now()) {
                changed |= put_status(server, definition, after["status"].clone()).await;
                // Names that were given are taken for the next one: look at all anew.
                break;
            }
        }
        if !changed {
            return view.revision();
        }
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
