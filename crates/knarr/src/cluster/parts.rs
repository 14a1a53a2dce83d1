//! The components of one process: each runs until the end, and is started again, after a pause, when it fails.
//!
//! Keeps true: a component that fails or panics takes no other down, and says so once per failure.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A component that ran so long is started again at once.
const STEADY: Duration = Duration::from_secs(60);

pub struct Parts {
    running: JoinSet<&'static str>,
    names: BTreeSet<&'static str>,
    shutdown: CancellationToken,
}

impl Parts {
    pub fn new(shutdown: CancellationToken) -> Self {
        Self { running: JoinSet::new(), names: BTreeSet::new(), shutdown }
    }

    /// Runs what `start` makes, again and again.
    pub fn keep<F, E>(&mut self, name: &'static str, start: impl Fn(CancellationToken) -> F + Send + 'static)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let shutdown = self.shutdown.clone();
        self.names.insert(name);
        self.running.spawn(async move {
            let mut pause = PAUSE_FIRST;
            while !shutdown.is_cancelled() {
                let since = Instant::now();
                // A task of its own, so that a panic ends here.
                match tokio::spawn(start(shutdown.clone())).await {
                    Ok(Ok(())) if shutdown.is_cancelled() => return name,
                    Ok(Ok(())) => tracing::error!(component = name, "component ended by itself"),
                    Ok(Err(error)) => tracing::error!(component = name, %error, "component failed"),
                    Err(panic) => tracing::error!(component = name, error = %panic, "component panicked"),
                }
                if since.elapsed() >= STEADY {
                    pause = PAUSE_FIRST;
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shutdown.cancelled() => return name,
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
            name
        });
    }

    /// Waits until all have ended, for at most `limit`.
    pub async fn end(mut self, limit: Duration) {
        let all = async {
            while let Some(ended) = self.running.join_next().await {
                if let Ok(name) = ended {
                    self.names.remove(name);
                }
            }
        };
        if tokio::time::timeout(limit, all).await.is_err() {
            tracing::warn!(seconds = limit.as_secs(), components = ?self.names, "components took too long to end");
        }
    }
}
