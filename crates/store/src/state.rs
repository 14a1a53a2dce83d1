//! What readers see: all tables at one revision, swapped as a whole.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use tokio::sync::watch as signal;

use crate::chunks::{Chunks, Difference};
use crate::history::{Expired, History, Watch};
use crate::record::{Event, Record};
use crate::seal::Sealer;

/// The revision of an empty store, as etcd's.
pub(crate) const FIRST_REVISION: u64 = 1;

/// A table of one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableId(pub(crate) u32);

/// All tables at one revision.
#[derive(Clone, Default)]
pub(crate) struct State {
    pub revision: u64,
    pub tables: Vec<Arc<Chunks>>,
}

impl State {
    pub fn table_mut(&mut self, table: TableId) -> &mut Chunks {
        let at = table.0 as usize;
        if self.tables.len() <= at {
            self.tables.resize_with(at + 1, empty);
        }
        Arc::make_mut(&mut self.tables[at])
    }

    pub fn get(&self, table: TableId, key: &str) -> Option<&Arc<Record>> {
        self.tables.get(table.0 as usize)?.get(key)
    }
}

/// A consistent view of the whole store.
pub struct View(Arc<State>);

impl View {
    pub fn revision(&self) -> u64 {
        self.0.revision
    }

    pub fn get(&self, table: TableId, key: &str) -> Option<Arc<Record>> {
        self.0.get(table, key).cloned()
    }

    pub fn table(&self, table: TableId) -> Range {
        Range { revision: self.0.revision, chunks: self.0.tables.get(table.0 as usize).cloned().unwrap_or_else(empty) }
    }
}

/// The table that nothing was ever written to: one value, so that it equals itself.
fn empty() -> Arc<Chunks> {
    static EMPTY: OnceLock<Arc<Chunks>> = OnceLock::new();
    EMPTY.get_or_init(Arc::default).clone()
}

/// One table at one revision.
#[derive(Clone)]
pub struct Range {
    revision: u64,
    chunks: Arc<Chunks>,
}

impl Range {
    pub fn revision(&self) -> u64 {
        self.revision
    }

    pub fn len(&self) -> usize {
        self.chunks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.chunks.len() == 0
    }

    pub fn get(&self, key: &str) -> Option<&Arc<Record>> {
        self.chunks.get(key)
    }

    /// Whether both are the very same state of the table: what was derived from one holds for the other.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.chunks, &other.chunks)
    }

    /// What came and what went between an earlier state of the table and this one.
    pub fn since(&self, old: &Self) -> Difference {
        self.chunks.since(&old.chunks)
    }

    /// Records with keys of at least `start` that begin with `prefix`, in order of keys.
    pub fn scan<'a>(&'a self, prefix: &'a str, start: &str) -> impl Iterator<Item = &'a Arc<Record>> {
        let from = if start > prefix { start } else { prefix };
        self.chunks.from(from).take_while(move |r| r.key.starts_with(prefix))
    }
}

/// What the write thread and all readers share.
pub(crate) struct Shared {
    state: ArcSwap<State>,
    tables: RwLock<Tables>,
    history_limit: usize,
    /// History begins here for every table.
    base: u64,
    sealer: Option<Arc<Sealer>>,
    /// The revision that readers see.
    newest: signal::Sender<u64>,
}

#[derive(Default)]
struct Tables {
    ids: HashMap<Arc<str>, TableId>,
    names: Vec<Arc<str>>,
    histories: Vec<Arc<History>>,
}

impl Shared {
    pub fn new(base: u64, history_limit: usize, sealer: Option<Arc<Sealer>>) -> Self {
        let state = State { revision: base, tables: Vec::new() };
        Self { state: ArcSwap::from_pointee(state), tables: RwLock::default(), history_limit, base, sealer, newest: signal::Sender::new(base) }
    }

    /// What encrypts values on their way to the disk.
    pub fn sealer(&self) -> Option<&Sealer> {
        self.sealer.as_deref()
    }

    pub fn view(&self) -> View {
        View(self.state.load_full())
    }

    pub fn current(&self) -> Arc<State> {
        self.state.load_full()
    }

    pub fn table(&self, name: &str) -> TableId {
        if let Some(id) = self.tables.read().ids.get(name) {
            return *id;
        }
        let mut tables = self.tables.write();
        if let Some(id) = tables.ids.get(name) {
            return *id;
        }
        let id = TableId(tables.names.len() as u32);
        let name: Arc<str> = name.into();
        tables.ids.insert(name.clone(), id);
        tables.names.push(name);
        tables.histories.push(Arc::new(History::new(self.base, self.history_limit)));
        id
    }

    pub fn table_names(&self) -> Vec<String> {
        self.tables.read().names.iter().map(|n| n.to_string()).collect()
    }

    pub fn table_name(&self, table: TableId) -> Option<Arc<str>> {
        self.tables.read().names.get(table.0 as usize).cloned()
    }

    fn history(&self, table: TableId) -> Option<Arc<History>> {
        self.tables.read().histories.get(table.0 as usize).cloned()
    }

    pub fn watch(&self, table: TableId, revision: u64) -> Result<Watch, Expired> {
        match self.history(table) {
            Some(history) => history.watch(revision),
            None => Err(Expired { asked: revision, oldest: u64::MAX }),
        }
    }

    pub fn compact(&self, revision: u64) {
        let revision = revision.min(self.view().revision());
        for history in &self.tables.read().histories {
            history.compact(revision);
        }
    }

    /// Makes a batch visible: history first, then the state, then the watchers wake. A reader of the new state thus
    /// always finds the changes that led to it.
    pub fn publish(&self, state: State, mut events: Vec<(TableId, Arc<Event>)>) {
        let revision = state.revision;
        events.sort_by_key(|(table, event)| (*table, event.revision()));
        let mut touched = Vec::new();
        for group in events.chunk_by(|a, b| a.0 == b.0) {
            if let Some(history) = self.history(group[0].0) {
                history.push(group.iter().map(|(_, event)| event.clone()));
                touched.push(history);
            }
        }
        self.state.store(Arc::new(state));
        for history in touched {
            history.wake(revision);
        }
        self.newest.send_replace(revision);
    }

    /// Shows a state that nothing leads to from the one before: all watchers are told that their revisions are gone.
    pub fn restart(&self, state: State) {
        let revision = state.revision;
        self.state.store(Arc::new(state));
        for history in &self.tables.read().histories {
            history.compact(revision);
        }
        self.newest.send_replace(revision);
    }

    /// Waits until readers see a revision.
    pub async fn reach(&self, revision: u64) {
        // The sender lives as long as this does.
        let _ = self.newest.subscribe().wait_for(|newest| *newest >= revision).await;
    }

    /// A table as it was: the present state with newer changes undone.
    pub fn table_at(&self, table: TableId, revision: u64) -> Result<Range, Expired> {
        let state = self.current();
        let mut chunks = state.tables.get(table.0 as usize).cloned().unwrap_or_default();
        if revision >= state.revision {
            return Ok(Range { revision: state.revision, chunks });
        }
        let history = self.history(table).ok_or(Expired { asked: revision, oldest: state.revision })?;
        let undo = history.undo_list(revision, state.revision)?;
        if !undo.is_empty() {
            let chunks = Arc::make_mut(&mut chunks);
            for event in undo {
                match &event.previous {
                    Some(previous) => drop(chunks.insert(previous.clone())),
                    None => drop(chunks.remove(&event.record.key)),
                }
            }
        }
        Ok(Range { revision, chunks })
    }
}
