//! Events sent elsewhere, many at once: an `EventList` of `audit.k8s.io/v1` to whom a kubeconfig names.
//!
//! Upstream: apiserver `plugin/pkg/audit/{buffered,webhook}`.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::backends::Queued;
use super::settings::{AuditWebhookConfig, Batch, Mode};
use crate::auth::outbound::{Outbound, Reached};
use crate::webhook::Services;

/// Starts the task that sends.
pub fn start(config: &AuditWebhookConfig, services: &Services) -> Result<mpsc::Sender<Queued>, String> {
    let folder = config.kubeconfig.path.parent().map(ToOwned::to_owned).unwrap_or_default();
    let reached = Outbound::of_kubeconfig(&config.kubeconfig.text, &folder, services)?.with_pause(config.backoff).insisting();
    let (queue, events) = mpsc::channel(config.delivery.buffer);
    // Whoever waits for arrival is sent with those who wait as well.
    let batch = if config.delivery.mode == Mode::Batch { config.batch } else { Batch { wait: Duration::ZERO, throttle: None, ..config.batch } };
    tokio::spawn(send_all(reached, events, batch));
    Ok(queue)
}

async fn send_all(reached: Reached, mut events: mpsc::Receiver<Queued>, batch: Batch) {
    let mut throttle = Throttle { allowed: batch.throttle.map_or(0.0, |(_, burst)| f64::from(burst)), counted: Instant::now() };
    let mut next = events.recv().await;
    while let Some(first) = next {
        let (group, left) = gather(first, &mut events, &batch).await;
        if let Some((rate, burst)) = batch.throttle {
            throttle.wait(rate, burst).await;
        }
        let sent = reached.post(list(&group)).await;
        if let Err(why) = &sent {
            tracing::error!(why, events = group.len(), "audit events were not delivered");
        }
        group.into_iter().for_each(|event| event.done(sent.is_ok()));
        next = match left {
            Some(event) => Some(event),
            None => events.recv().await,
        };
    }
}

/// What is sent together, and what came that is too much for it.
async fn gather(first: Queued, events: &mut mpsc::Receiver<Queued>, batch: &Batch) -> (Vec<Queued>, Option<Queued>) {
    let (ends, mut size, mut group) = (Instant::now() + batch.wait, first.bytes.len(), vec![first]);
    while group.len() < batch.events {
        let Ok(Some(event)) = timeout_at(ends, events.recv()).await else { break };
        size += event.bytes.len();
        if size > batch.bytes {
            return (group, Some(event));
        }
        group.push(event);
    }
    (group, None)
}

fn list(group: &[Queued]) -> Bytes {
    let mut body = br#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":["#.to_vec();
    for (at, event) in group.iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        body.extend_from_slice(&event.bytes);
    }
    body.extend_from_slice(b"]}");
    body.into()
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
