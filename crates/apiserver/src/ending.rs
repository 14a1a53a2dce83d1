//! How the server ends, and who is told of it in which order.
//!
//! It says that it is not ready; serves on for a while; refuses what comes, or takes no more connections; answers what it was
//! asked; ends watches; lets go of connections; and last writes what the record still holds. Each step is bounded in time.
// Upstream: apiserver pkg/server/genericapiserver.go, RunWithContext; pkg/server/lifecycle_signals.go

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::config_serving::Shutdown;
use crate::server::Server;

/// Connections have this long to send what was answered.
const LAST_BYTES: Duration = Duration::from_secs(10);
/// With all answered already, upstream waits no longer.
const LAST_BYTES_AFTER_REFUSALS: Duration = Duration::from_secs(2);
/// What the record still holds may take this long.
const LAST_EVENTS: Duration = Duration::from_secs(10);

/// What is told, and what is waited for.
#[derive(Default)]
pub struct Ending {
    /// It has begun: the server is not ready any more.
    begun: CancellationToken,
    /// What comes is refused.
    refusing: CancellationToken,
    /// Watches end, each in its own time.
    draining: CancellationToken,
    drained_since: OnceLock<Instant>,
    requests: TaskTracker,
    watches: TaskTracker,
    connections: TaskTracker,
}

impl Ending {
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    pub fn refuses(&self) -> bool {
        self.refusing.is_cancelled()
    }

    /// Held by a request until it is answered.
    pub fn request(&self) -> TaskTrackerToken {
        self.requests.token()
    }

    /// Held by a connection until it is gone.
    pub fn connection(&self) -> TaskTrackerToken {
        self.connections.token()
    }

    /// Held by a watch until it ends.
    pub fn watch(&self) -> TaskTrackerToken {
        self.watches.token()
    }

    /// Waits until it is a watch's turn to end: `share`, from 0 to 1, of the way through the time that all have.
    pub async fn watch_ends(&self, within: Duration, share: f64) {
        self.draining.cancelled().await;
        if let Some(since) = self.drained_since.get() {
            sleep_until(*since + within.mul_f64(share)).await;
        }
    }
}

impl Server {
    /// Tells whoever asks that the server is not ready, and serves on.
    pub fn begin_shutdown(&self) {
        self.ending.begun.cancel();
    }

    /// Ends the server. What was acknowledged is durable already.
    pub async fn shutdown(&self) {
        let Shutdown { delay, retry_after, watch_grace } = self.config.serving.shutdown;
        let ending = &self.ending;
        self.begin_shutdown();
        sleep(delay).await;
        if retry_after {
            ending.refusing.cancel();
            drained(&ending.requests, self.config.limits.request).await;
        }
        let _ = ending.drained_since.set(Instant::now());
        ending.draining.cancel();
        if !watch_grace.is_zero() {
            drained(&ending.watches, watch_grace).await;
        }
        self.close();
        drained(&ending.requests, self.config.limits.request).await;
        drained(&ending.connections, if retry_after { LAST_BYTES_AFTER_REFUSALS } else { LAST_BYTES }).await;
        if let Some((_, log)) = &self.audit
            && timeout(LAST_EVENTS, log.drained()).await.is_err()
        {
            tracing::error!(seconds = LAST_EVENTS.as_secs(), "audit events were not delivered before the end");
        }
    }

    /// Ends watches and refuses what comes, at once.
    pub fn close(&self) {
        self.ending.begun.cancel();
        self.closing.cancel();
    }
}

/// Waits until nobody is left, for a while.
async fn drained(tracker: &TaskTracker, within: Duration) {
    tracker.close();
    let _ = timeout(within, tracker.wait()).await;
}
