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
    throttle: TokenBucket,
    /// What came and was too much for the batch before.
    left: Option<Queued>,
}

impl Batches {
    pub fn new(events: mpsc::Receiver<Queued>, batch: Batch, hurry: CancellationToken) -> Self {
        let throttle = TokenBucket { tokens: batch.throttle.map_or(0.0, |(_, burst)| f64::from(burst)), counted: Instant::now() };
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
                () = self.throttle.take(rate, burst) => {}
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

/// A bucket of tokens, one a batch: so many come in a second, and no more than a burst are held.
struct TokenBucket {
    tokens: f64,
    counted: Instant,
}

impl TokenBucket {
    /// Takes a token; the next one's time is waited for where there is none.
    async fn take(&mut self, rate: f64, burst: u32) {
        let now = Instant::now();
        self.tokens = (self.tokens + now.duration_since(self.counted).as_secs_f64() * rate).min(f64::from(burst));
        self.counted = now;
        if self.tokens < 1.0 {
            let pause = Duration::from_secs_f64((1.0 - self.tokens) / rate);
            tokio::time::sleep(pause).await;
            self.counted += pause;
            self.tokens = 1.0;
        }
        self.tokens -= 1.0;
    }
}
