//! Pods that want a node: ready to be tried, waiting out a backoff, or waiting for an event that can help them.
//!
//! It never tries one pod twice at once and loses none: an event that comes while a pod is tried counts for it too.
//! Upstream: backend/queue/scheduling_queue.go.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use scheduling::filter::Plugin;
use scheduling::pod::PodFacts;
use tokio::sync::Notify;
use tokio::time::Instant;

const FIRST_BACKOFF: Duration = Duration::from_secs(1);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// No pod waits longer than this for an event.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// What happened in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    Node,
    PodGone,
    PodPlaced,
    Volume,
}

fn helps(plugin: Plugin, wake: Wake) -> bool {
    match wake {
        Wake::Node => plugin != Plugin::Gates,
        Wake::PodGone => matches!(plugin, Plugin::Resources | Plugin::NodePorts | Plugin::PodAffinity | Plugin::Spread | Plugin::Volumes),
        Wake::PodPlaced => matches!(plugin, Plugin::PodAffinity | Plugin::Spread),
        Wake::Volume => plugin == Plugin::Volumes,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Active,
    /// Until this time; after an error it is waited out even when nothing else is to do.
    Backoff { until: Instant, strict: bool },
    Unschedulable { since: Instant },
    InFlight { epoch: u64 },
}

struct Entry {
    pod: Arc<PodFacts>,
    place: Place,
    ticket: u64,
    added: u64,
    attempts: u32,
    plugins: Vec<Plugin>,
}

#[derive(Default)]
struct State {
    entries: HashMap<String, Entry>,
    active: BinaryHeap<(i32, Reverse<u64>, u64, String)>,
    backoff: BinaryHeap<Reverse<(Instant, u64, String)>>,
    ticket: u64,
    /// Raised by every event: a pod whose try began before the last one is tried again.
    epoch: u64,
    closed: bool,
}

#[derive(Default)]
pub(crate) struct SchedulingQueue {
    state: Mutex<State>,
    wake: Notify,
}

impl State {
    fn put(&mut self, uid: &str, place: Place) {
        self.ticket += 1;
        let ticket = self.ticket;
        let Some(entry) = self.entries.get_mut(uid) else { return };
        (entry.place, entry.ticket) = (place, ticket);
        match place {
            Place::Active => self.active.push((entry.pod.priority, Reverse(entry.added), ticket, uid.to_owned())),
            Place::Backoff { until, .. } => self.backoff.push(Reverse((until, ticket, uid.to_owned()))),
            Place::Unschedulable { .. } | Place::InFlight { .. } => {}
        }
    }

    fn is_current(&self, uid: &str, ticket: u64) -> bool {
        self.entries.get(uid).is_some_and(|e| e.ticket == ticket)
    }

    fn pop(&mut self, now: Instant) -> Option<Arc<PodFacts>> {
        while let Some(Reverse((until, ticket, uid))) = self.backoff.peek().cloned() {
            if until > now && self.is_current(&uid, ticket) {
                break;
            }
            self.backoff.pop();
            if self.is_current(&uid, ticket) {
                self.put(&uid, Place::Active);
            }
        }
        let uid = loop {
            match self.active.pop() {
                Some((_, _, ticket, uid)) if self.is_current(&uid, ticket) => break uid,
                Some(_) => {}
                // Nothing else to do: a backoff that follows no error need not be waited out.
                None => break self.backoff.iter().filter(|Reverse((_, t, u))| self.is_current(u, *t) && self.is_lenient(u)).map(|Reverse((at, _, u))| (*at, u.clone())).min()?.1,
            }
        };
        let epoch = self.epoch;
        self.put(&uid, Place::InFlight { epoch });
        let entry = self.entries.get_mut(&uid)?;
        entry.attempts = entry.attempts.saturating_add(1);
        Some(entry.pod.clone())
    }

    fn is_lenient(&self, uid: &str) -> bool {
        self.entries.get(uid).is_some_and(|e| matches!(e.place, Place::Backoff { strict: false, .. }))
    }

    fn next_time(&self) -> Option<Instant> {
        let backoff = self.backoff.peek().map(|Reverse((at, _, _))| *at);
        let waiting = self.entries.values().filter_map(|e| match e.place {
            Place::Unschedulable { since } => Some(since + LONGEST_WAIT),
            _ => None,
        });
        waiting.chain(backoff).min()
    }

    fn release_waiting(&mut self, now: Instant) {
        let due: Vec<String> = self.entries.iter().filter(|(_, e)| matches!(e.place, Place::Unschedulable { since } if since + LONGEST_WAIT <= now)).map(|(uid, _)| uid.clone()).collect();
        for uid in due {
            self.put(&uid, Place::Active);
        }
    }

    fn backoff_of(entry: &Entry) -> Duration {
        FIRST_BACKOFF.saturating_mul(1 << entry.attempts.saturating_sub(1).min(8)).min(LONGEST_BACKOFF)
    }
}

impl SchedulingQueue {
    /// A pod without a node was seen, new or changed. `changed`: in a way that may matter for its place.
    pub fn add(&self, pod: Arc<PodFacts>, changed: bool) {
        let mut state = self.state.lock();
        let uid = pod.uid().to_owned();
        let added = state.ticket;
        match state.entries.get_mut(&uid) {
            None => {
                state.entries.insert(uid.clone(), Entry { pod, place: Place::Active, ticket: 0, added, attempts: 0, plugins: Vec::new() });
                state.put(&uid, Place::Active);
            }
            Some(entry) => {
                entry.pod = pod;
                match entry.place {
                    Place::Unschedulable { .. } if changed => state.put(&uid, Place::Active),
                    Place::InFlight { .. } if changed => entry.place = Place::InFlight { epoch: u64::MAX },
                    _ => return,
                }
            }
        }
        drop(state);
        self.wake.notify_one();
    }

    /// The pod has a node, or is gone.
    pub fn remove(&self, uid: &str) {
        self.state.lock().entries.remove(uid);
    }


    /// The next pod to try; `None` after close.
    pub async fn next(&self) -> Option<Arc<PodFacts>> {
        loop {
            let notified = self.wake.notified();
            let until = {
                let mut state = self.state.lock();
                if state.closed {
                    return None;
                }
                if let Some(pod) = state.pop(Instant::now()) {
                    return Some(pod);
                }
                state.next_time()
            };
            match until {
                Some(at) => {
                    if tokio::time::timeout_at(at, notified).await.is_err() {
                        self.state.lock().release_waiting(Instant::now());
                    }
                }
                None => notified.await,
            }
        }
    }

    /// The pod found no place, refused by these plugins.
    pub fn unschedulable(&self, uid: &str, plugins: Vec<Plugin>) {
        let mut state = self.state.lock();
        let epoch = state.epoch;
        let Some(entry) = state.entries.get_mut(uid) else { return };
        entry.plugins = plugins;
        let missed = matches!(entry.place, Place::InFlight { epoch: begun } if begun != epoch);
        let until = Instant::now() + State::backoff_of(entry);
        let place = if missed { Place::Backoff { until, strict: true } } else { Place::Unschedulable { since: Instant::now() } };
        state.put(uid, place);
        drop(state);
        self.wake.notify_one();
    }

    /// Something went wrong on the way: the pod is tried again after its backoff.
    pub fn retry(&self, uid: &str) {
        let mut state = self.state.lock();
        let Some(entry) = state.entries.get_mut(uid) else { return };
        let until = Instant::now() + State::backoff_of(entry);
        state.put(uid, Place::Backoff { until, strict: true });
        drop(state);
        self.wake.notify_one();
    }

    /// Something happened that may help some.
    pub fn event(&self, wake: Wake) {
        let mut state = self.state.lock();
        state.epoch += 1;
        let now = Instant::now();
        let helped: Vec<(String, Duration)> = state
            .entries
            .iter()
            .filter_map(|(uid, e)| match e.place {
                Place::Unschedulable { since } if e.plugins.iter().any(|p| helps(*p, wake)) => Some((uid.clone(), State::backoff_of(e).saturating_sub(now - since))),
                _ => None,
            })
            .collect();
        if helped.is_empty() {
            return;
        }
        for (uid, rest) in helped {
            state.put(&uid, if rest.is_zero() { Place::Active } else { Place::Backoff { until: now + rest, strict: false } });
        }
        drop(state);
        self.wake.notify_one();
    }

    pub fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_waiters();
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::{Pod, PodSpec};

    fn pod(name: &str, priority: i32) -> Arc<PodFacts> {
        let mut pod = Pod { spec: Some(PodSpec { priority: Some(priority), ..Default::default() }), ..Default::default() };
        pod.metadata.name = Some(name.into());
        pod.metadata.uid = Some(name.into());
        Arc::new(PodFacts::new(Arc::new(pod)))
    }

    #[tokio::test]
    async fn the_important_go_first_and_the_refused_wait_for_their_event() {
        let queue = SchedulingQueue::default();
        queue.add(pod("low", 0), false);
        queue.add(pod("high", 10), false);
        assert_eq!(queue.next().await.unwrap().name(), "high");
        queue.unschedulable("high", vec![Plugin::Resources]);
        assert_eq!(queue.next().await.unwrap().name(), "low");
        // An event while it is tried: the pod does not sleep through it.
        queue.event(Wake::Volume);
        queue.unschedulable("low", vec![Plugin::Volumes]);
        assert!(matches!(queue.state.lock().entries["low"].place, Place::Backoff { strict: true, .. }));
        assert!(matches!(queue.state.lock().entries["high"].place, Place::Unschedulable { .. }));
        queue.event(Wake::PodGone);
        assert_eq!(queue.next().await.unwrap().name(), "high");
    }
}
