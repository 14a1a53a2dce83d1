//! The recent changes of one table, and the watchers that read them.
//!
//! There is one ring per table and no queue per watcher: a watcher holds a revision and reads on from there. The ring
//! is bounded in bytes; a watcher that falls behind its tail is told so and holds nobody up.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::crier::{Crier, Ear};
use crate::record::Event;

/// History does not reach back to the revision asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("revision {asked} is older than the oldest one kept, {oldest}")]
pub struct Expired {
    pub asked: u64,
    pub oldest: u64,
}

/// The ring of one table.
pub(crate) struct History {
    ring: RwLock<Ring>,
    crier: Crier,
    limit: usize,
}

struct Ring {
    /// Every change after this revision is in `events`.
    floor: u64,
    events: VecDeque<Arc<Event>>,
    bytes: usize,
}

impl History {
    pub fn new(floor: u64, limit: usize) -> Self {
        let ring = Ring { floor, events: VecDeque::new(), bytes: 0 };
        Self { ring: RwLock::new(ring), crier: Crier::new(floor), limit }
    }

    /// Adds changes without waking anybody; [`History::wake`] follows once readers may see them.
    pub fn push(&self, events: impl Iterator<Item = Arc<Event>>) {
        let mut ring = self.ring.write();
        for event in events {
            ring.bytes += weight(&event);
            ring.events.push_back(event);
        }
        while ring.bytes > self.limit && ring.events.len() > 1 {
            let Some(oldest) = ring.events.pop_front() else { break };
            ring.bytes -= weight(&oldest);
            ring.floor = oldest.revision();
        }
    }

    pub fn wake(&self, revision: u64) {
        self.crier.publish(revision);
    }

    pub fn compact(&self, revision: u64) {
        let mut ring = self.ring.write();
        while ring.events.front().is_some_and(|e| e.revision() <= revision) {
            if let Some(event) = ring.events.pop_front() {
                ring.bytes -= weight(&event);
            }
        }
        ring.floor = ring.floor.max(revision);
        drop(ring);
        self.crier.stir();
    }

    /// Changes after `revision`, as many as the portion holds and none newer than `until`.
    fn after(&self, revision: u64, until: u64, portion: Portion) -> Result<Vec<Arc<Event>>, Expired> {
        let ring = self.ring.read();
        if revision < ring.floor {
            return Err(Expired { asked: revision, oldest: ring.floor });
        }
        let start = ring.events.partition_point(|e| e.revision() <= revision);
        let mut bytes = 0;
        let fits = |event: &&Arc<Event>| {
            let fits = event.revision() <= until && bytes < portion.bytes;
            bytes += weight(event);
            fits
        };
        Ok(ring.events.range(start..).take_while(fits).take(portion.events).cloned().collect())
    }

    /// All changes after `revision`, newest first.
    pub fn undo_list(&self, revision: u64, until: u64) -> Result<Vec<Arc<Event>>, Expired> {
        let mut events = self.after(revision, until, Portion::ALL)?;
        events.reverse();
        Ok(events)
    }

    pub fn watch(self: &Arc<Self>, revision: u64) -> Result<Watch, Expired> {
        let floor = self.ring.read().floor;
        if revision < floor {
            return Err(Expired { asked: revision, oldest: floor });
        }
        Ok(Watch { history: self.clone(), ear: self.crier.hear(), cursor: revision })
    }
}

fn weight(event: &Event) -> usize {
    event.record.weight() + 64
}

/// How much a watcher takes at once: so many changes, and no further one once they weigh so many bytes.
#[derive(Debug, Clone, Copy)]
pub struct Portion {
    pub events: usize,
    pub bytes: usize,
}

impl Portion {
    const ALL: Self = Self { events: usize::MAX, bytes: usize::MAX };
}

/// A watcher's place in the history of a table.
pub struct Watch {
    history: Arc<History>,
    ear: Ear,
    cursor: u64,
}

impl Watch {
    /// The next changes, at least one and at most `max`; waits for them. Safe to drop while it waits.
    pub async fn next(&mut self, max: usize) -> Result<Vec<Arc<Event>>, Expired> {
        self.next_portion(Portion { events: max, ..Portion::ALL }).await
    }

    /// The next changes, at least one and as many as the portion holds; waits for them. Safe to drop while it waits.
    pub async fn next_portion(&mut self, portion: Portion) -> Result<Vec<Arc<Event>>, Expired> {
        loop {
            let until = self.ear.cried();
            let events = self.read(until, portion)?;
            if !events.is_empty() {
                return Ok(events);
            }
            self.ear.wait().await;
        }
    }

    /// The changes that are there already.
    pub fn ready(&mut self, max: usize) -> Result<Vec<Arc<Event>>, Expired> {
        self.read(self.ear.published(), Portion { events: max, ..Portion::ALL })
    }

    fn read(&mut self, until: u64, portion: Portion) -> Result<Vec<Arc<Event>>, Expired> {
        let events = self.history.after(self.cursor, until, portion)?;
        if let Some(last) = events.last() {
            self.cursor = last.revision();
        }
        Ok(events)
    }

    /// The revision up to which this watcher has seen everything.
    pub fn cursor(&self) -> u64 {
        self.cursor
    }

    /// Moves on to a revision that readers see already, where there is no change left up to it; else gives the changes.
    pub fn advance(&mut self, revision: u64, max: usize) -> Result<Vec<Arc<Event>>, Expired> {
        let events = self.history.after(self.cursor, revision, Portion { events: max, ..Portion::ALL })?;
        self.cursor = events.last().map_or(self.cursor.max(revision), |last| last.revision());
        Ok(events)
    }
}
