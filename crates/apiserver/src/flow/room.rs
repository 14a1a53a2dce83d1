//! The seats of all levels: who runs, who waits, who is let in when a seat is given back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use policy::flow::{Flows, Level};
use tokio::sync::oneshot;

use super::fair::{Fair, Waiter};
use crate::metrics::flows::{Seats, Why};

/// What a request that waits is told.
pub type Call = oneshot::Receiver<usize>;

/// A place in a queue; the call names the queue it came from.
pub struct Place {
    pub id: u64,
    /// How many wait in that queue now.
    pub length: usize,
    pub call: Call,
}

/// What became of a request that asked for seats.
pub enum Entry {
    /// It runs.
    Runs,
    Waits(Place),
    Refused(Why),
}

/// All levels.
#[derive(Default)]
pub struct Room {
    of: Option<Arc<Flows>>,
    levels: HashMap<String, Busy>,
    last_id: u64,
}

struct Busy {
    level: Level,
    executing: u32,
    fair: Option<Fair>,
    calls: HashMap<u64, oneshot::Sender<usize>>,
}

impl Busy {
    fn new(level: Level) -> Self {
        Self { fair: level.queuing.map(Fair::new), level, executing: 0, calls: HashMap::new() }
    }
}

impl Room {
    /// Takes over the levels as they are configured now. Who runs keeps running; who waits in a level that changed its
    /// queues is let in.
    pub fn follow(&mut self, flows: &Arc<Flows>) {
        if self.of.as_ref().is_some_and(|old| Arc::ptr_eq(old, flows)) {
            return;
        }
        self.of = Some(flows.clone());
        let mut old = std::mem::take(&mut self.levels);
        for level in flows.levels() {
            let mut busy = old.remove(&level.name).unwrap_or_else(|| Busy::new(level.clone()));
            if busy.level.queuing != level.queuing {
                let_all_in(&mut busy);
                busy.fair = level.queuing.map(Fair::new);
            }
            busy.level = level.clone();
            self.levels.insert(level.name.clone(), busy);
        }
        for mut gone in old.into_values() {
            let_all_in(&mut gone);
        }
        self.let_in();
    }

    /// A request of so many seats, of the flow with that hash.
    pub fn enter(&mut self, level: &str, flow: u64, width: u32) -> Entry {
        let waiting = self.levels.get(level).and_then(|b| b.fair.as_ref()).map_or(0, Fair::waiting);
        if waiting == 0 && self.has_room(level, width) {
            if let Some(busy) = self.levels.get_mut(level) {
                busy.executing += width;
            }
            return Entry::Runs;
        }
        self.last_id += 1;
        let id = self.last_id;
        let Some(busy) = self.levels.get_mut(level) else { return Entry::Runs };
        let Some(fair) = &mut busy.fair else { return Entry::Refused(Why::NoSeat) };
        let Some(length) = fair.enqueue(flow, Waiter { id, width }) else { return Entry::Refused(Why::QueueFull) };
        let (sender, call) = oneshot::channel();
        busy.calls.insert(id, sender);
        self.let_in();
        Entry::Waits(Place { id, length, call })
    }

    /// A request of no level's queue gives its seats back.
    pub fn leave(&mut self, level: &str, width: u32, queue: Option<usize>, since: Instant) {
        if let Some(busy) = self.levels.get_mut(level) {
            busy.executing = busy.executing.saturating_sub(width);
            if let (Some(fair), Some(queue)) = (&mut busy.fair, queue) {
                fair.settle(queue, width, since.elapsed().as_secs_f64());
            }
        }
        self.let_in();
    }

    /// A request gives up waiting; one that was called meanwhile gives its seats back.
    pub fn give_up(&mut self, level: &str, id: u64, width: u32) {
        let Some(busy) = self.levels.get_mut(level) else { return };
        if busy.calls.remove(&id).is_some() {
            if let Some(fair) = &mut busy.fair {
                fair.cancel(id);
            }
            return;
        }
        busy.executing = busy.executing.saturating_sub(width);
        self.let_in();
    }

    /// Whether a level may run so many seats more: its own, then what others lend and nobody has borrowed.
    // Differs: upstream moves lent seats between levels every ten seconds; here a free seat can be borrowed at once.
    fn has_room(&self, name: &str, width: u32) -> bool {
        let Some(busy) = self.levels.get(name) else { return true };
        // Differs: upstream also lets one request at a time into a level without any seat (kubernetes issue 134196); such a level is
        // made to keep requests out.
        let alone = busy.executing == 0 && busy.level.nominal > 0;
        if busy.level.exempt || alone || busy.executing + width <= busy.level.nominal {
            return true;
        }
        let wanted = busy.executing + width - busy.level.nominal;
        wanted <= busy.level.borrowing.min(self.lent_to(name))
    }

    /// How many seats others lend to a level, those it has borrowed already included.
    fn lent_to(&self, name: &str) -> u32 {
        let (mut lent, mut borrowed) = (0u32, 0u32);
        for (_, of) in self.levels.iter().filter(|(other, of)| *other != name && !of.level.exempt) {
            lent += of.level.nominal.saturating_sub(of.executing).min(of.level.lendable);
            borrowed += of.executing.saturating_sub(of.level.nominal);
        }
        lent.saturating_sub(borrowed)
    }

    fn let_in(&mut self) {
        let waiting: Vec<String> = self.levels.iter().filter(|(_, b)| !b.calls.is_empty()).map(|(name, _)| name.clone()).collect();
        for name in waiting {
            while let Some((queue, waiter)) = self.levels.get(&name).and_then(|b| b.fair.as_ref()).and_then(Fair::next) {
                if !self.has_room(&name, waiter.width) {
                    break;
                }
                let Some(busy) = self.levels.get_mut(&name) else { break };
                if let Some(fair) = &mut busy.fair {
                    fair.start(queue);
                }
                // Who is not there any more gives the seats back by itself, in `give_up`.
                if let Some(call) = busy.calls.remove(&waiter.id) {
                    busy.executing += waiter.width;
                    let _ = call.send(queue);
                }
            }
        }
    }

    /// The seats of every level.
    pub fn seats(&self) -> Vec<Seats> {
        self.levels.iter().map(|(name, busy)| self.seats_of(name, &busy.level)).collect()
    }

    fn seats_of(&self, name: &str, level: &Level) -> Seats {
        let nominal = level.nominal;
        let borrowed = if level.exempt { level.borrowing } else { level.borrowing.min(self.lent_to(name)) };
        Seats { level: name.to_owned(), nominal, lower: nominal.saturating_sub(level.lendable), upper: nominal.saturating_add(level.borrowing), current: nominal.saturating_add(borrowed) }
    }
}

/// Everybody who waits runs, each counted with one seat.
fn let_all_in(busy: &mut Busy) {
    for (_, call) in busy.calls.drain() {
        busy.executing += 1;
        let _ = call.send(usize::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn flows(low: u32) -> Arc<Flows> {
        let level = |name: &str, shares: u32, lendable: u32| {
            json!({"metadata": {"name": name}, "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": shares, "lendablePercent": lendable,
                "limitResponse": {"type": "Queue", "queuing": {"queues": 4, "handSize": 2, "queueLengthLimit": 2}}}}})
        };
        Arc::new(Flows::new(&[], &[level("high", 2, 50), level("low", low, 0)], 4))
    }

    #[test]
    fn seats_are_lent_and_come_back() {
        let mut room = Room::default();
        room.follow(&flows(2));
        // Two of its own, one that `high` lends.
        for _ in 0..3 {
            assert!(matches!(room.enter("low", 1, 1), Entry::Runs));
        }
        let Entry::Waits(Place { mut call, .. }) = room.enter("low", 1, 1) else { panic!("all seats are taken") };
        assert!(matches!(room.enter("high", 1, 1), Entry::Runs) && matches!(room.enter("high", 1, 1), Entry::Runs), "a level's own seats are its own");
        room.leave("low", 1, None, Instant::now());
        assert!(call.try_recv().is_err(), "high uses what it had lent");
        room.leave("low", 1, None, Instant::now());
        assert!(call.try_recv().is_ok());
    }

    #[test]
    fn limits_tell_what_may_be_borrowed_now() {
        let mut room = Room::default();
        room.follow(&flows(2));
        let current = |room: &Room| room.seats().into_iter().find(|s| s.level == "low").map(|s| (s.nominal, s.lower, s.upper, s.current));
        assert_eq!(current(&room), Some((2, 2, 6, 3)), "`high` lends one of two");
        room.enter("high", 1, 1);
        room.enter("high", 1, 1);
        assert_eq!(current(&room), Some((2, 2, 6, 2)));
    }

    #[test]
    fn a_full_queue_refuses_and_who_gives_up_makes_room() {
        let mut room = Room::default();
        room.follow(&flows(2));
        for _ in 0..3 {
            room.enter("low", 1, 1);
        }
        let waits: Vec<u64> = (0..4).filter_map(|_| if let Entry::Waits(place) = room.enter("low", 1, 1) { Some(place.id) } else { None }).collect();
        assert_eq!(waits.len(), 4, "two queues of two");
        assert!(matches!(room.enter("low", 1, 1), Entry::Refused(Why::QueueFull)));
        room.give_up("low", waits[0], 1);
        assert!(matches!(room.enter("low", 1, 1), Entry::Waits(..)));
    }

    #[test]
    fn a_new_configuration_loses_nobody() {
        let mut room = Room::default();
        room.follow(&flows(2));
        for _ in 0..3 {
            room.enter("low", 1, 1);
        }
        let Entry::Waits(Place { mut call, .. }) = room.enter("low", 1, 1) else { panic!("all seats are taken") };
        room.follow(&Arc::new(Flows::new(&[], &[], 4)));
        assert!(call.try_recv().is_ok(), "a level that is gone holds nobody");
        room.leave("low", 1, None, Instant::now());
    }
}
