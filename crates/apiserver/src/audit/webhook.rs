//! Events sent elsewhere, many at once: an `EventList` of `audit.k8s.io/v1` to whom a kubeconfig names.
//!
//! Upstream: apiserver `plugin/pkg/audit/{buffered,webhook}`.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::backends::Queued;
use super::backends::batch::Batches;
use super::settings::{AuditWebhookConfig, Batch, Mode};
use crate::auth::outbound::{Outbound, Reached};
use crate::webhook::Services;

/// Starts the task that sends.
pub fn start(config: &AuditWebhookConfig, services: &Services, hurry: CancellationToken) -> Result<mpsc::Sender<Queued>, String> {
    let folder = config.kubeconfig.path.parent().map(ToOwned::to_owned).unwrap_or_default();
    let reached = Outbound::of_kubeconfig(&config.kubeconfig.text, &folder, services)?.with_pause(config.backoff).insisting();
    let (queue, events) = mpsc::channel(config.delivery.buffer);
    // Whoever waits for arrival is sent with those who wait as well.
    let batch = if config.delivery.mode == Mode::Batch { config.batch } else { Batch { wait: Duration::ZERO, throttle: None, ..config.batch } };
    tokio::spawn(send_all(reached, Batches::new(events, batch, hurry)));
    Ok(queue)
}

async fn send_all(reached: Reached, mut batches: Batches) {
    while let Some(group) = batches.next().await {
        let sent = reached.post(list(&group)).await;
        if let Err(why) = &sent {
            tracing::error!(why, events = group.len(), "audit events were not delivered");
        }
        group.into_iter().for_each(|event| event.done(sent.is_ok()));
    }
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
