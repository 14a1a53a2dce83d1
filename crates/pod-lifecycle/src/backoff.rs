//! Backoff of a repeated failure: doubling, capped, forgotten after twice the cap without one.
//!
//! Never reads the clock. Upstream: client-go util/flowcontrol/backoff.go (the event is the moment the container ended).

use jiff::{SignedDuration, Timestamp};

#[derive(Clone, Copy, Debug)]
pub struct BackoffTimings {
    pub initial: SignedDuration,
    pub max: SignedDuration,
}

impl Default for BackoffTimings {
    fn default() -> Self {
        Self { initial: SignedDuration::from_secs(10), max: SignedDuration::from_secs(300) }
    }
}

/// The series so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub delay: SignedDuration,
    pub updated: Timestamp,
}

impl Backoff {
    /// The moment from which a new attempt after `event` is allowed; `None` when it is allowed at once.
    pub fn until(this: Option<&Self>, event: Timestamp, now: Timestamp, timings: BackoffTimings) -> Option<Timestamp> {
        let series = this.filter(|b| !b.expired(event, timings))?;
        let until = event.saturating_add(series.delay).ok()?;
        (now < until).then_some(until)
    }

    /// Counts one more attempt after `event`.
    pub fn next(this: Option<&Self>, event: Timestamp, now: Timestamp, timings: BackoffTimings) -> Self {
        let delay = match this.filter(|b| !b.expired(event, timings)) {
            None => timings.initial,
            Some(series) => (series.delay + series.delay).min(timings.max),
        };
        Self { delay, updated: now }
    }

    fn expired(&self, event: Timestamp, timings: BackoffTimings) -> bool {
        event.duration_since(self.updated) > timings.max + timings.max
    }
}
