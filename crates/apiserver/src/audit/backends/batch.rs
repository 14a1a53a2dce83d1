//! What is delivered together, and how often.
//!
//! Upstream: apiserver `plugin/pkg/audit/buffered`.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Queued;
use crate::audit::settings::Batch;

/// Makes batches of events; once it is hurried it waits for nothing.
pub struct Batches {
    events: mpsc::Receiver<Queued>,
    batch: Batch,
    hurry: CancellationToken,
    throttle: Throttle,
    /// What came and was too much for the batch before.
    left: Option<Queued>,
}

impl Batches {
    pub fn new(events: mpsc::Receiver<Queued>, batch: Batch, hurry: CancellationToken) -> Self {
        let throttle = Throttle { allowed: batch.throttle.map_or(0.0, |(_, burst)| f64::from(burst)), counted: Instant::now() };
        Self { events, batch, hurry, throttle, left: None }
    }

    /// The next batch, when it may be delivered; none at the end.
    pub async fn next(&mut self) -> Option<Vec<Queued>> {
        let first = match self.left.take() {
            Some(event) => event,
            None => self.events.recv().await?,
        };
        let group = self.gather(first).await;
        if let Some((rate, burst)) = self.batch.throttle {
            tokio::select! {
                () = self.throttle.wait(rate, burst) => {}
                () = self.hurry.cancelled() => {}
            }
        }
        Some(group)
    }

    async fn gather(&mut self, first: Queued) -> Vec<Queued> {
        let (ends, mut size, mut group) = (Instant::now() + self.batch.wait, first.bytes.len(), vec![first]);
        while group.len() < self.batch.events {
            let event = tokio::select! {
                biased;
                event = timeout_at(ends, self.events.recv()) => event,
                () = self.hurry.cancelled() => break,
            };
            let Ok(Some(event)) = event else { break };
            size += event.bytes.len();
            if size > self.batch.bytes {
                self.left = Some(event);
                break;
            }
            group.push(event);
        }
        group
    }
}

/// So many batches a second, and some more after a pause.
struct Throttle {
    allowed: f64,
    counted: Instant,
}

impl Throttle {
    async fn wait(&mut self, rate: f64, burst: u32) {
        let now = Instant::now();
        self.allowed = (self.allowed + now.duration_since(self.counted).as_secs_f64() * rate).min(f64::from(burst));
        self.counted = now;
        if self.allowed < 1.0 {
            let pause = Duration::from_secs_f64((1.0 - self.allowed) / rate);
            tokio::time::sleep(pause).await;
            self.counted += pause;
            self.allowed = 1.0;
        }
        self.allowed -= 1.0;
    }
}
