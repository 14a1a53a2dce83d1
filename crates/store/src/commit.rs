//! The write thread: drains what waits, decides each write, makes the group durable, shows it, answers.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::answers::{Answers, Outcome, Reply};
use crate::disk::Disk;
use crate::record::{Change, Event, Index, Record, Stamped};
use crate::state::{Shared, State, TableId};

/// Writes that may wait at once; further writers wait before they queue.
const QUEUE: usize = 4096;
/// Writes of one group.
const GROUP: usize = 1024;

/// What must stand under the key for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Absent,
    Revision(u64),
}

/// One write of one key.
pub enum Write {
    Put { table: TableId, key: Arc<str>, value: Stamped, index: Index, expect: Expect },
    Delete { table: TableId, key: Arc<str>, revision: u64 },
}

/// Why a write did not happen. Nothing was changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    #[error("the key exists")]
    Exists(Arc<Record>),
    #[error("the key does not exist")]
    Missing,
    #[error("the key was changed by another write")]
    Modified(Arc<Record>),
    #[error("the disk did not take the write: {0}")]
    Disk(Arc<str>),
    #[error("the store is closed")]
    Closed,
}

/// The end of the queue that writers hold. When the last one goes, what waits is written and the files are closed.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Queue>);

struct Queue {
    sender: Option<mpsc::Sender<(Write, Reply)>>,
    answers: Answers,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.sender.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Writer {
    pub fn start(shared: Arc<Shared>, disk: Option<Disk>) -> Self {
        let (sender, waiting) = mpsc::channel(QUEUE);
        let answers = Answers::default();
        let given = answers.clone();
        let thread = std::thread::Builder::new().name("store-write".into()).spawn(move || Loop { shared, disk, answers: given }.run(waiting));
        if let Err(error) = &thread {
            // Without its thread every write answers `Closed`.
            tracing::error!(%error, "could not start the write thread");
        }
        Self(Arc::new(Queue { sender: Some(sender), answers, thread: thread.ok() }))
    }

    pub async fn write(&self, write: Write) -> Result<Arc<Record>, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.0.answers.start();
        let queue = self.0.sender.as_ref().ok_or(WriteError::Closed)?;
        queue.send((write, reply)).await.map_err(|_| WriteError::Closed)?;
        answer.await.map_err(|_| WriteError::Closed)?
    }
}

struct Loop {
    shared: Arc<Shared>,
    disk: Option<Disk>,
    answers: Answers,
}

impl Loop {
    fn run(mut self, mut waiting: mpsc::Receiver<(Write, Reply)>) {
        let mut group = Vec::with_capacity(GROUP);
        while waiting.blocking_recv_many(&mut group, GROUP) > 0 {
            self.commit(&mut group);
        }
    }

    fn commit(&mut self, group: &mut Vec<(Write, Reply)>) {
        let mut state = (*self.shared.current()).clone();
        let mut events = Vec::with_capacity(group.len());
        let mut answers: Vec<(Reply, Outcome)> = Vec::with_capacity(group.len());
        for (write, reply) in group.drain(..) {
            let outcome = apply(&mut state, write, &mut events);
            answers.push((reply, outcome));
        }
        if !events.is_empty() {
            if let Some(disk) = &mut self.disk
                && let Err(error) = disk.append(&self.shared, &events)
            {
                tracing::error!(%error, "could not make writes durable");
                let error = WriteError::Disk(error.to_string().into());
                // Also for those that met a conflict: it may be with a write of this group, which is now undone.
                answers.iter_mut().for_each(|(_, outcome)| *outcome = Err(error.clone()));
                return self.answers.give(answers);
            }
            self.shared.publish(state, events);
        }
        self.answers.give(answers);
        if let Some(disk) = &mut self.disk {
            disk.compact_if_due(&self.shared);
        }
    }
}

/// Decides one write against the state as the group left it so far.
fn apply(state: &mut State, write: Write, events: &mut Vec<(TableId, Arc<Event>)>) -> Result<Arc<Record>, WriteError> {
    let revision = state.revision + 1;
    let (table, event) = match write {
        Write::Put { table, key, value, index, expect } => {
            let previous = check(state.get(table, &key), expect)?;
            let created = previous.as_ref().map_or(revision, |p| p.created);
            let record = Arc::new(Record::new(key, &value, created, revision, Some(index)));
            state.table_mut(table).insert(record.clone());
            let change = if previous.is_some() { Change::Updated } else { Change::Created };
            (table, Event { change, record, previous })
        }
        Write::Delete { table, key, revision: expected } => {
            let previous = check(state.get(table, &key), Expect::Revision(expected))?;
            let Some(previous) = previous else { return Err(WriteError::Missing) };
            state.table_mut(table).remove(&key);
            (table, Event { change: Change::Deleted, record: Arc::new(previous.deleted(revision)), previous: Some(previous) })
        }
    };
    state.revision = revision;
    let record = event.record.clone();
    events.push((table, Arc::new(event)));
    Ok(record)
}

fn check(found: Option<&Arc<Record>>, expect: Expect) -> Result<Option<Arc<Record>>, WriteError> {
    match (expect, found) {
        (Expect::Absent, None) => Ok(None),
        (Expect::Absent, Some(found)) => Err(WriteError::Exists(found.clone())),
        (Expect::Revision(_), None) => Err(WriteError::Missing),
        (Expect::Revision(wanted), Some(found)) if found.revision == wanted => Ok(Some(found.clone())),
        (Expect::Revision(_), Some(found)) => Err(WriteError::Modified(found.clone())),
    }
}
