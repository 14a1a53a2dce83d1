//! The work queue: keys wait once, are worked on by one worker at a time, and come back later after failures.
//!
//! It never drops a key that was added before shutdown and never holds one key twice. Bounded by the number of distinct keys.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Delays of retries. Upstream: client-go DefaultTypedControllerRateLimiter.
#[derive(Clone, Copy, Debug)]
pub struct QueueTimings {
    pub first_retry: Duration,
    pub longest_retry: Duration,
    /// Retries per second over all keys, and how many may come at once.
    pub retries_per_second: f64,
    pub burst: f64,
}

impl Default for QueueTimings {
    fn default() -> Self {
        Self { first_retry: Duration::from_millis(5), longest_retry: Duration::from_secs(1000), retries_per_second: 10.0, burst: 100.0 }
    }
}

struct State<K> {
    ready: VecDeque<K>,
    dirty: HashSet<K>,
    processing: HashSet<K>,
    later: BinaryHeap<Reverse<(Instant, u64)>>,
    /// The key of each entry of `later` and, per key, the entry that counts.
    later_keys: HashMap<u64, K>,
    due: HashMap<K, (Instant, u64)>,
    next_ticket: u64,
    failures: HashMap<K, u32>,
    tokens: f64,
    filled: Instant,
    closed: bool,
}

struct Inner<K> {
    timings: QueueTimings,
    state: Mutex<State<K>>,
    wake: Notify,
}

/// Shared handle; clones are the same queue.
pub struct WorkQueue<K> {
    inner: Arc<Inner<K>>,
}

impl<K> Clone for WorkQueue<K> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<K: Clone + Eq + Hash> Default for WorkQueue<K> {
    fn default() -> Self {
        Self::new(QueueTimings::default())
    }
}

impl<K: Clone + Eq + Hash> WorkQueue<K> {
    pub fn new(timings: QueueTimings) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            processing: HashSet::new(),
            later: BinaryHeap::new(),
            later_keys: HashMap::new(),
            due: HashMap::new(),
            next_ticket: 0,
            failures: HashMap::new(),
            tokens: timings.burst,
            filled: Instant::now(),
            closed: false,
        };
        Self { inner: Arc::new(Inner { timings, state: Mutex::new(state), wake: Notify::new() }) }
    }

    /// Adds a key unless it waits already. A key being worked on is worked on again afterwards.
    pub fn add(&self, key: K) {
        let mut state = self.inner.state.lock();
        if state.push(key) {
            drop(state);
            self.inner.wake.notify_one();
        }
    }

    /// Adds a key after `delay`; of several delays for one key the shortest counts.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let at = Instant::now() + delay;
        let mut state = self.inner.state.lock();
        if state.closed || state.due.get(&key).is_some_and(|(sooner, _)| *sooner <= at) {
            return;
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        if let Some((_, stale)) = state.due.insert(key.clone(), (at, ticket)) {
            state.later_keys.remove(&stale);
        }
        state.later_keys.insert(ticket, key);
        state.later.push(Reverse((at, ticket)));
        drop(state);
        self.inner.wake.notify_one();
    }

    /// Adds a key after a failure: later and later with each failure of the key, and within the bucket of all keys.
    pub fn add_rate_limited(&self, key: K) {
        let delay = {
            let mut state = self.inner.state.lock();
            let failures = state.failures.entry(key.clone()).or_insert(0);
            let own = self.inner.timings.first_retry.saturating_mul(1u32.checked_shl((*failures).min(24)).unwrap_or(u32::MAX));
            *failures = failures.saturating_add(1);
            own.min(self.inner.timings.longest_retry).max(state.take_token(&self.inner.timings))
        };
        self.add_after(key, delay);
    }

    /// Ends the memory of failures of a key.
    pub fn forget(&self, key: &K) {
        self.inner.state.lock().failures.remove(key);
    }

    pub fn failures(&self, key: &K) -> u32 {
        self.inner.state.lock().failures.get(key).copied().unwrap_or(0)
    }

    /// The next key, or `None` after shutdown. [`WorkQueue::done`] must follow.
    pub async fn next(&self) -> Option<K> {
        loop {
            let notified = self.inner.wake.notified();
            let until = {
                let mut state = self.inner.state.lock();
                if state.closed {
                    return None;
                }
                state.promote(Instant::now());
                if let Some(key) = state.ready.pop_front() {
                    state.dirty.remove(&key);
                    state.processing.insert(key.clone());
                    if !state.ready.is_empty() {
                        self.inner.wake.notify_one();
                    }
                    return Some(key);
                }
                state.later.peek().map(|Reverse((at, _))| *at)
            };
            match until {
                Some(at) => {
                    let _ = tokio::time::timeout_at(at, notified).await;
                }
                None => notified.await,
            }
        }
    }

    /// Ends the work on a key that [`WorkQueue::next`] gave.
    pub fn done(&self, key: &K) {
        let mut state = self.inner.state.lock();
        state.processing.remove(key);
        if state.dirty.contains(key) {
            state.ready.push_back(key.clone());
            drop(state);
            self.inner.wake.notify_one();
        }
    }

    /// Ends the queue: every waiting worker gets `None`.
    pub fn close(&self) {
        self.inner.state.lock().closed = true;
        self.inner.wake.notify_waiters();
        self.inner.wake.notify_one();
    }

    pub fn len(&self) -> usize {
        self.inner.state.lock().ready.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<K: Clone + Eq + Hash> State<K> {
    fn push(&mut self, key: K) -> bool {
        if self.closed || !self.dirty.insert(key.clone()) || self.processing.contains(&key) {
            return false;
        }
        self.ready.push_back(key);
        true
    }

    fn promote(&mut self, now: Instant) {
        while let Some(Reverse((at, ticket))) = self.later.peek().copied() {
            // Entries that a sooner one replaced are dropped when they surface.
            let stale = !self.later_keys.contains_key(&ticket);
            if at > now && !stale {
                return;
            }
            self.later.pop();
            if let Some(key) = self.later_keys.remove(&ticket) {
                self.due.remove(&key);
                self.push(key);
            }
        }
    }

    fn take_token(&mut self, timings: &QueueTimings) -> Duration {
        let now = Instant::now();
        let earned = now.duration_since(self.filled).as_secs_f64() * timings.retries_per_second;
        self.tokens = (self.tokens + earned).min(timings.burst) - 1.0;
        self.filled = now;
        if self.tokens >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.tokens / timings.retries_per_second) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_waits_once_and_comes_back_after_its_work() {
        let queue = WorkQueue::default();
        queue.add("a");
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.next().await, Some("a"));
        queue.add("a");
        assert_eq!(queue.next().await, Some("b"));
        assert!(queue.is_empty());
        queue.done(&"a");
        assert_eq!(queue.next().await, Some("a"));
    }

    #[tokio::test]
    async fn delays_double_and_the_shortest_counts() {
        let queue = WorkQueue::default();
        let start = Instant::now();
        for expected in [5u64, 15, 35, 75] {
            queue.add_rate_limited("a");
            assert_eq!(queue.next().await, Some("a"));
            queue.done(&"a");
            assert!(start.elapsed() >= Duration::from_millis(expected));
        }
        queue.add_after("b", Duration::from_secs(900));
        queue.add_after("b", Duration::from_millis(20));
        let from = Instant::now();
        assert_eq!(queue.next().await, Some("b"));
        assert!(from.elapsed() >= Duration::from_millis(20));
        queue.close();
        assert_eq!(queue.next().await, None);
    }
}
