//! Fair queues of one priority level: shuffle sharding deals each flow a hand of queues, start-time fair queuing picks
//! whose turn it is.
//!
//! Pure: numbers in, numbers out. Every queue is bounded. A flow that floods fills its own hand only; the others meet it
//! in few queues, and the queue that was served least goes first.

use std::collections::VecDeque;

use policy::flow::Queuing;

/// Upstream: what a request is thought to take, in seconds, until it is known.
const ESTIMATE: f64 = 0.003;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiter {
    pub id: u64,
    pub width: u32,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiter>,
    /// Seat-seconds after which its next request starts.
    next_start: f64,
}

/// The queues of one level.
pub struct Fair {
    queues: Vec<Queue>,
    hand: usize,
    length: usize,
    /// Start of the request that was let in last.
    now: f64,
}

impl Fair {
    pub fn new(settings: Queuing) -> Self {
        Self { queues: (0..settings.queues.max(1)).map(|_| Queue::default()).collect(), hand: settings.hand.clamp(1, settings.queues.max(1)), length: settings.length, now: 0.0 }
    }

    /// The queues dealt to a flow: distinct, the same each time.
    fn hand_of(&self, mut hash: u64) -> Vec<usize> {
        let mut hand: Vec<usize> = Vec::with_capacity(self.hand);
        for dealt in 0..self.hand {
            let left = (self.queues.len() - dealt) as u64;
            let mut card = (hash % left) as usize;
            hash /= left;
            // Cards dealt before leave gaps: the card is the n-th of those that remain.
            let mut taken = hand.clone();
            taken.sort_unstable();
            for earlier in taken {
                if earlier <= card {
                    card += 1;
                }
            }
            hand.push(card);
        }
        hand
    }

    /// Puts a waiter into the shortest queue of the flow's hand and tells its length; none where even that one is full.
    pub fn enqueue(&mut self, flow: u64, waiter: Waiter) -> Option<usize> {
        let hand = self.hand_of(flow);
        let shortest = hand.into_iter().min_by_key(|at| self.queues[*at].waiting.len())?;
        let queue = &mut self.queues[shortest];
        if queue.waiting.len() >= self.length {
            return None;
        }
        if queue.waiting.is_empty() {
            // An idle queue saves nothing up.
            queue.next_start = queue.next_start.max(self.now);
        }
        queue.waiting.push_back(waiter);
        Some(queue.waiting.len())
    }

    /// Whose turn it is.
    pub fn next(&self) -> Option<(usize, Waiter)> {
        let busy = self.queues.iter().enumerate().filter_map(|(at, q)| q.waiting.front().map(|w| (at, *w, q.next_start)));
        busy.min_by(|a, b| a.2.total_cmp(&b.2)).map(|(at, waiter, _)| (at, waiter))
    }

    /// Lets the front of a queue in.
    pub fn start(&mut self, at: usize) {
        let Some(queue) = self.queues.get_mut(at) else { return };
        if let Some(waiter) = queue.waiting.pop_front() {
            self.now = self.now.max(queue.next_start);
            queue.next_start += f64::from(waiter.width) * ESTIMATE;
        }
    }

    /// Charges a queue what its request really took.
    pub fn settle(&mut self, at: usize, width: u32, seconds: f64) {
        if let Some(queue) = self.queues.get_mut(at) {
            queue.next_start += f64::from(width) * (seconds - ESTIMATE);
        }
    }

    pub fn cancel(&mut self, id: u64) {
        for queue in &mut self.queues {
            queue.waiting.retain(|w| w.id != id);
        }
    }

    pub fn waiting(&self) -> usize {
        self.queues.iter().map(|q| q.waiting.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fair(queues: usize, hand: usize, length: usize) -> Fair {
        Fair::new(Queuing { queues, hand, length })
    }

    #[test]
    fn hands_are_distinct_and_stay() {
        let fair = fair(16, 4, 10);
        for flow in 0..1000u64 {
            let hash = flow.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let hand = fair.hand_of(hash);
            let mut sorted = hand.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert!(sorted.len() == 4 && sorted.iter().all(|c| *c < 16), "{hand:?}");
            assert_eq!(hand, fair.hand_of(hash));
        }
    }

    #[test]
    fn a_flood_does_not_keep_others_waiting() {
        let mut fair = fair(2, 1, 100);
        for id in 0..100 {
            assert_eq!(fair.enqueue(0, Waiter { id, width: 1 }), Some(id as usize + 1));
        }
        assert_eq!(fair.enqueue(0, Waiter { id: 100, width: 1 }), None, "a full queue refuses");
        fair.enqueue(1, Waiter { id: 500, width: 1 });
        let mut order = Vec::new();
        while let Some((at, waiter)) = fair.next() {
            fair.start(at);
            order.push(waiter.id);
        }
        assert!(order.iter().position(|id| *id == 500).is_some_and(|at| at <= 1), "{order:?}");
    }

    #[test]
    fn wide_and_long_requests_are_charged() {
        let mut fair = fair(2, 1, 100);
        for id in 0..4 {
            fair.enqueue(0, Waiter { id, width: 10 });
            fair.enqueue(1, Waiter { id: id + 10, width: 1 });
        }
        let mut order = Vec::new();
        while let Some((at, waiter)) = fair.next() {
            fair.start(at);
            fair.settle(at, waiter.width, 0.003);
            order.push(waiter.id);
        }
        // The narrow ones are all through before the second wide one is.
        let second_wide = order.iter().position(|id| *id == 1).expect("all are let in");
        assert!((10..14).all(|id| order.iter().position(|o| *o == id).is_some_and(|at| at < second_wide)), "{order:?}");
    }

    #[test]
    fn who_gives_up_leaves_no_trace() {
        let mut fair = fair(4, 2, 10);
        fair.enqueue(7, Waiter { id: 1, width: 1 });
        fair.cancel(1);
        assert!(fair.next().is_none() && fair.waiting() == 0);
    }
}
