//! Where events go: a file, a webhook, or both, each behind a buffer of its own that is bounded in events and bytes.
//!
//! Upstream: apiserver `plugin/pkg/audit/{buffered,log,truncate,webhook}`.

pub mod batch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::IntCounter;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::settings::{AuditConfig, Delivery, Mode};
use super::{file, legacy, webhook};
use crate::webhook::Services;

/// What the events of one buffer take at most.
const BUFFER_KIB: u32 = 64 << 10;

/// An event in its form, on its way.
pub struct Queued {
    pub bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
    done: Option<oneshot::Sender<bool>>,
}

impl Queued {
    /// Whoever waits for it goes on.
    pub fn done(self, arrived: bool) {
        if let Some(done) = self.done {
            let _ = done.send(arrived);
        }
    }
}

/// All places that events go to.
#[derive(Clone)]
pub struct AuditLog {
    sinks: Arc<[Sink]>,
    /// Set at the end: nobody waits for more.
    hurry: CancellationToken,
    /// Counts the events.
    counted: IntCounter,
}

impl AuditLog {
    pub fn open(config: &AuditConfig, services: &Services, counted: IntCounter) -> Result<Self, String> {
        let path = config.log.path.display();
        let hurry = CancellationToken::new();
        let lines = file::start(config.log.clone(), hurry.clone()).map_err(|error| format!("audit log {path}: {error}"))?;
        let mut sinks = vec![Sink::new("log", lines, config.log.delivery, config.log.legacy)];
        if let Some(settings) = &config.webhook {
            let events = webhook::start(settings, services, hurry.clone()).map_err(|why| format!("--audit-webhook-config-file: {why}"))?;
            sinks.push(Sink::new("webhook", events, settings.delivery, false));
        }
        Ok(Self { sinks: sinks.into(), hurry, counted })
    }

    /// Waits until all that came is where it goes; what waits for more waits no longer.
    pub async fn drained(&self) {
        self.hurry.cancel();
        for sink in self.sinks.iter() {
            // Whoever holds all the room knows that nothing else is in it.
            let _ = sink.room.acquire_many(BUFFER_KIB).await;
        }
    }

    /// Sends an event on its way; false where a place that must have it has not.
    pub async fn put(&self, event: &Value) -> bool {
        self.counted.inc();
        let mut kept = true;
        for sink in self.sinks.iter() {
            kept &= sink.put(event).await || sink.delivery.mode != Mode::Strict;
        }
        kept
    }
}

struct Sink {
    name: &'static str,
    queue: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    delivery: Delivery,
    legacy: bool,
    dropped: AtomicU64,
}

impl Sink {
    fn new(name: &'static str, queue: mpsc::Sender<Queued>, delivery: Delivery, legacy: bool) -> Self {
        Self { name, queue, room: Arc::new(Semaphore::new(BUFFER_KIB as usize)), delivery, legacy, dropped: AtomicU64::new(0) }
    }

    async fn put(&self, event: &Value) -> bool {
        let Some(bytes) = self.form(event) else { return self.drops("event is too large even after truncating") };
        let size = u32::try_from(bytes.len() / 1024 + 1).unwrap_or(BUFFER_KIB).min(BUFFER_KIB);
        if self.delivery.mode == Mode::Batch {
            let Ok(room) = self.room.clone().try_acquire_many_owned(size) else { return self.drops("the buffer is full") };
            let sent = self.queue.try_send(Queued { bytes, _room: room, done: None });
            return sent.is_ok() || self.drops("the buffer is full");
        }
        let Ok(room) = self.room.clone().acquire_many_owned(size).await else { return false };
        let (done, arrived) = oneshot::channel();
        let waits = self.delivery.mode != Mode::Room;
        let sent = self.queue.send(Queued { bytes, _room: room, done: waits.then_some(done) }).await.is_ok();
        sent && (!waits || arrived.await.unwrap_or(false))
    }

    /// The event as this place takes it; none for what is too long.
    fn form(&self, event: &Value) -> Option<Vec<u8>> {
        let mut bytes = self.encode(event)?;
        let Some(max) = self.delivery.max_event.filter(|max| bytes.len() > *max) else { return Some(bytes) };
        let shortened = truncated(event);
        bytes = self.encode(&shortened)?;
        (bytes.len() <= max).then_some(bytes)
    }

    fn encode(&self, event: &Value) -> Option<Vec<u8>> {
        if self.legacy { Some(legacy::line(event).into_bytes()) } else { serde_json::to_vec(event).ok() }
    }

    /// Told seldom: once, twice, four times.
    fn drops(&self, why: &str) -> bool {
        let count = self.dropped.fetch_add(1, Ordering::Relaxed) + 1;
        if count.is_power_of_two() {
            tracing::error!(backend = self.name, count, why, "audit events were dropped");
        }
        false
    }
}

/// An event without contents.
fn truncated(event: &Value) -> Value {
    let mut event = event.clone();
    if let Some(fields) = event.as_object_mut() {
        fields.remove("requestObject");
        fields.remove("responseObject");
    }
    event["annotations"]["audit.k8s.io/truncated"] = "true".into();
    event
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn sink(mode: Mode, buffer: usize, max_event: Option<usize>) -> (Sink, mpsc::Receiver<Queued>) {
        let (queue, events) = mpsc::channel(buffer);
        (Sink::new("log", queue, Delivery { mode, buffer, max_event }, false), events)
    }

    #[tokio::test]
    async fn long_events_lose_their_contents_or_are_dropped() {
        let (sink, mut events) = sink(Mode::Batch, 4, Some(200));
        assert!(sink.put(&json!({"level": "Request", "requestObject": "x".repeat(500)})).await);
        let kept: Value = serde_json::from_slice(&events.recv().await.expect("an event").bytes).expect("JSON");
        assert_eq!(kept, json!({"level": "Request", "annotations": {"audit.k8s.io/truncated": "true"}}));
        assert!(!sink.put(&json!({"requestURI": "x".repeat(500)})).await);
    }

    #[tokio::test]
    async fn a_full_buffer_drops_what_waits_for_nothing_and_holds_what_waits() {
        let (batch, _events) = sink(Mode::Batch, 1, None);
        assert!(batch.put(&json!({})).await && !batch.put(&json!({})).await);
        let (blocking, mut events) = sink(Mode::Blocking, 1, None);
        let (arrived, ()) = tokio::join!(blocking.put(&Value::Null), async { events.recv().await.expect("an event").done(true) });
        assert!(arrived);
        drop(events);
        assert!(!blocking.put(&Value::Null).await);
    }
}
