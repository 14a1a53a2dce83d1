//! A history of operations as their callers saw it, in one order with the steps on the files, and the model it must fit.
//!
//! Every write's revision is the witness of its place, so checking is a walk: what came back before another operation
//! began lies before it, and each answer is what the model says at its place.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use store::{Change, Event, Expect, Index, Listen, Stamped, Step, Store, TableId, Write, WriteError};

/// A step on the files, kept.
#[derive(Debug, Clone)]
pub enum Kept {
    Create(PathBuf),
    Append(PathBuf, Vec<u8>),
    Cut(PathBuf, u64),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncFolder,
}

impl From<Step<'_>> for Kept {
    fn from(step: Step<'_>) -> Self {
        match step {
            Step::Create(path) => Self::Create(path.into()),
            Step::Append(path, bytes) => Self::Append(path.into(), bytes.into()),
            Step::Cut(path, len) => Self::Cut(path.into(), len),
            Step::Sync(path) => Self::Sync(path.into()),
            Step::Rename(from, to) => Self::Rename(from.into(), to.into()),
            Step::Remove(path) => Self::Remove(path.into()),
            Step::SyncFolder(_) => Self::SyncFolder,
        }
    }
}

/// What an operation told its caller.
#[derive(Debug, Clone)]
pub enum Outcome {
    Wrote { key: Arc<str>, revision: u64 },
    Read { key: Arc<str>, at: u64, found: Option<u64> },
    Conflict { key: Arc<str>, found: Option<u64> },
    /// The disk failed: it may have happened or not.
    Failed,
}

#[derive(Debug, Clone)]
pub enum Entry {
    Step(Kept),
    Invoked(usize),
    Returned(usize, Outcome),
}

/// The one order of everything.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Vec<Entry>>>);

impl Recorder {
    pub fn listen(&self) -> Listen {
        self.listen_but(None)
    }

    /// The same, but the step of this number fails.
    pub fn listen_but(&self, failing: Option<usize>) -> Listen {
        let entries = self.0.clone();
        let number = std::sync::atomic::AtomicUsize::new(0);
        Listen::with(move |step| {
            entries.lock().expect("whole").push(Entry::Step(step.into()));
            let now = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if Some(now) == failing { Err(io::Error::other("the disk is broken")) } else { Ok(()) }
        })
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().expect("whole").clone()
    }

    fn push(&self, entry: Entry) {
        self.0.lock().expect("whole").push(entry);
    }
}

/// Some writers over few keys, so that they meet: create, update, delete under compare-and-set, and reads between.
pub async fn traffic(store: &Store, table: TableId, recorder: &Recorder, writers: usize, each: usize) {
    let tasks: Vec<_> = (0..writers).map(|w| tokio::spawn(writer(store.clone(), table, recorder.clone(), w * each..(w + 1) * each))).collect();
    for task in tasks {
        task.await.expect("a writer ends well");
    }
}

async fn writer(store: Store, table: TableId, recorder: Recorder, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let key: Arc<str> = format!("k{}", number * 7 % 12).into();
        recorder.push(Entry::Invoked(number));
        let view = store.view();
        let found = view.get(table, &key).map(|r| r.revision);
        if number % 4 == 3 {
            recorder.push(Entry::Returned(number, Outcome::Read { key, at: view.revision(), found }));
            continue;
        }
        let value = || Stamped { bytes: format!("\"\"{number:0300}").into(), at: 1 };
        let write = match found {
            Some(revision) if number % 6 == 0 => Write::Delete { table, key: key.clone(), revision },
            Some(revision) => Write::Put { table, key: key.clone(), value: value(), index: Index::default(), expect: Expect::Revision(revision) },
            None => Write::Put { table, key: key.clone(), value: value(), index: Index::default(), expect: Expect::Absent },
        };
        let outcome = match store.write(write).await {
            Ok(record) => Outcome::Wrote { key, revision: record.revision },
            Err(WriteError::Exists(record) | WriteError::Modified(record)) => Outcome::Conflict { key, found: Some(record.revision) },
            Err(WriteError::Missing) => Outcome::Conflict { key, found: None },
            Err(WriteError::Disk(_)) => Outcome::Failed,
            Err(WriteError::Closed) => panic!("the store closed under its user"),
        };
        recorder.push(Entry::Returned(number, outcome));
    }
}

/// What happened, in the order of revisions.
pub struct Truth {
    events: Vec<Arc<Event>>,
    of_key: BTreeMap<Arc<str>, Vec<(u64, bool)>>,
}

impl Truth {
    pub fn of(events: Vec<Arc<Event>>) -> Self {
        let mut of_key: BTreeMap<Arc<str>, Vec<(u64, bool)>> = BTreeMap::new();
        for event in &events {
            of_key.entry(event.record.key.clone()).or_default().push((event.revision(), event.change != Change::Deleted));
        }
        assert!(events.windows(2).all(|pair| pair[0].revision() < pair[1].revision()), "out of order or twice");
        Self { events, of_key }
    }

    pub fn newest(&self) -> u64 {
        self.events.last().map_or(1, |event| event.revision())
    }

    /// The revision under a key, at a revision of the whole.
    fn at(&self, key: &str, revision: u64) -> Option<u64> {
        let changes = self.of_key.get(key)?;
        let (last, present) = changes[..changes.partition_point(|(r, _)| *r <= revision)].last()?;
        present.then_some(*last)
    }

    /// Whether the key was so at some place between two.
    fn ever(&self, key: &str, found: Option<u64>, from: u64, to: u64) -> bool {
        let changes = self.of_key.get(key).map_or(&[][..], Vec::as_slice);
        let between = changes.iter().map(|(r, _)| *r).filter(|r| (from..=to).contains(r));
        std::iter::once(from).chain(between).any(|at| self.at(key, at) == found)
    }

    /// Panics unless the answers fit one order of the operations that keeps every "returned before the other began".
    pub fn explains(&self, entries: &[Entry]) {
        let written: BTreeMap<usize, u64> = entries.iter().filter_map(|e| if let Entry::Returned(n, Outcome::Wrote { revision, .. }) = e { Some((*n, *revision)) } else { None }).collect();
        let (mut floor, mut ceiling) = (1, 1);
        let mut begun = BTreeMap::new();
        for entry in entries {
            match entry {
                Entry::Step(_) => {}
                Entry::Invoked(number) => {
                    begun.insert(*number, floor);
                    ceiling = ceiling.max(written.get(number).copied().unwrap_or(1));
                }
                Entry::Returned(number, outcome) => floor = floor.max(self.place(outcome, begun[number], ceiling)),
            }
        }
    }

    /// The place of an operation; panics where there is none.
    fn place(&self, outcome: &Outcome, floor: u64, ceiling: u64) -> u64 {
        match outcome {
            Outcome::Wrote { key, revision } => {
                assert!(*revision > floor, "{outcome:?} lies before {floor}, which had returned");
                let happened = self.of_key.get(key).is_some_and(|c| c.iter().any(|(r, _)| r == revision));
                assert!(happened, "{outcome:?} never happened");
                *revision
            }
            Outcome::Read { key, at, found } => {
                assert!((floor..=ceiling).contains(at), "{outcome:?} is not within {floor}..={ceiling}");
                assert_eq!(self.at(key, *at), *found, "{outcome:?}");
                *at
            }
            Outcome::Conflict { key, found } => {
                assert!(self.ever(key, *found, floor, ceiling), "{outcome:?} was never so within {floor}..={ceiling}");
                floor
            }
            Outcome::Failed => floor,
        }
    }

    /// Panics unless a store holds exactly what was there at its revision, and its history what led there.
    pub fn is_in(&self, store: &Store, table: TableId, what: &dyn std::fmt::Display) {
        let (view, revision) = (store.view(), store.revision());
        for key in self.of_key.keys() {
            let found = view.get(table, key);
            assert_eq!(found.as_ref().map(|r| r.revision), self.at(key, revision), "{what}: {key} at {revision}");
            let value = found.as_ref().map(|r| &r.value);
            let wanted = found.as_ref().and_then(|r| self.event(r.revision)).map(|e| &e.record.value);
            assert_eq!(value, wanted, "{what}: {key}");
        }
        assert_eq!(view.table(table).len(), self.of_key.keys().filter(|k| self.at(k, revision).is_some()).count(), "{what}: more keys than there were");
        let Ok(mut watch) = store.watch(table, revision.saturating_sub(20).max(1)) else { return };
        for event in watch.ready(usize::MAX).expect("history was there") {
            let known = self.event(event.revision()).unwrap_or_else(|| panic!("{what}: history tells of {}", event.revision()));
            assert_eq!((known.change, &known.record.value), (event.change, &event.record.value), "{what}");
        }
    }

    fn event(&self, revision: u64) -> Option<&Arc<Event>> {
        self.events.binary_search_by_key(&revision, |e| e.revision()).ok().map(|at| &self.events[at])
    }
}
