//! Leader election on a Lease: one holder at a time, as long as clocks run at about the same speed.
//!
//! It never trusts another's clock: a lease counts as expired when we ourselves saw it unchanged for its duration.
//! Losing the lease ends the work that was started under it.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{ObjectMeta, PostParams};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::error::is_not_found;

/// Upstream's defaults: 15 s, 10 s, 2 s.
#[derive(Clone, Copy, Debug)]
pub struct LeaseTimings {
    pub duration: Duration,
    pub renew_deadline: Duration,
    pub retry: Duration,
}

impl Default for LeaseTimings {
    fn default() -> Self {
        Self { duration: Duration::from_secs(15), renew_deadline: Duration::from_secs(10), retry: Duration::from_secs(2) }
    }
}

/// A candidate for one lease.
pub struct LeaderElector {
    api: Api<Lease>,
    name: String,
    namespace: String,
    identity: String,
    timings: LeaseTimings,
    seen: Option<(String, Instant)>,
}

impl LeaderElector {
    pub fn new(client: kube::Client, namespace: &str, name: &str, identity: &str, timings: LeaseTimings) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.into(), namespace: namespace.into(), identity: identity.into(), timings, seen: None }
    }

    /// Waits for the lease, runs `work` with a token that ends when the lease is lost, and gives the lease back.
    /// Returns when `work` ends or `shutdown` comes before the lease.
    pub async fn lead<F, Fut>(mut self, shutdown: CancellationToken, work: F) -> Option<Fut::Output>
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future,
    {
        loop {
            if self.try_hold().await {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(jittered(self.timings.retry)) => {}
                () = shutdown.cancelled() => return None,
            }
        }
        tracing::info!(lease = %self.name, identity = %self.identity, "became leader");
        let lost = shutdown.child_token();
        let mut running = std::pin::pin!(work(lost.clone()));
        let mut renewed = Instant::now();
        let output = loop {
            tokio::select! {
                output = &mut running => break output,
                () = tokio::time::sleep(self.timings.retry) => {}
            }
            let left = self.timings.renew_deadline.saturating_sub(renewed.elapsed());
            match tokio::time::timeout(left, self.try_hold()).await {
                Ok(true) => renewed = Instant::now(),
                _ if renewed.elapsed() < self.timings.renew_deadline => {}
                _ => {
                    tracing::warn!(lease = %self.name, "lost the lease");
                    lost.cancel();
                    return Some(running.await);
                }
            }
        };
        self.release().await;
        Some(output)
    }

    /// Takes or renews the lease; false when another holds it or the API failed.
    async fn try_hold(&mut self) -> bool {
        let current = match self.api.get(&self.name).await {
            Ok(lease) => lease,
            Err(error) if is_not_found(&error) => {
                let lease = Lease {
                    metadata: ObjectMeta { name: Some(self.name.clone()), namespace: Some(self.namespace.clone()), ..ObjectMeta::default() },
                    spec: Some(self.claim(None)),
                };
                return self.api.create(&PostParams::default(), &lease).await.is_ok();
            }
            Err(error) => {
                tracing::debug!(lease = %self.name, %error, "lease was not readable");
                return false;
            }
        };
        let spec = current.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let version = current.metadata.resource_version.clone().unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(known, _)| *known != version) {
            self.seen = Some((version, Instant::now()));
        }
        let duration = Duration::from_secs(u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0));
        let expired = self.seen.as_ref().is_some_and(|(_, since)| since.elapsed() > duration);
        if !holder.is_empty() && holder != self.identity && !expired {
            return false;
        }
        let mut claimed = current;
        claimed.spec = Some(self.claim(Some(spec)));
        self.api.replace(&self.name, &PostParams::default(), &claimed).await.is_ok()
    }

    fn claim(&self, before: Option<LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let mine = before.as_ref().and_then(|b| b.holder_identity.as_deref()) == Some(&self.identity);
        let transitions = before.as_ref().and_then(|b| b.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.timings.duration.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: before.as_ref().filter(|_| mine).and_then(|b| b.acquire_time.clone()).or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(if mine || before.is_none() { transitions } else { transitions.saturating_add(1) }),
            ..before.unwrap_or_default()
        }
    }

    async fn release(&self) {
        let Ok(mut lease) = self.api.get(&self.name).await else { return };
        if let Some(spec) = lease.spec.as_mut().filter(|s| s.holder_identity.as_deref() == Some(&self.identity)) {
            spec.holder_identity = Some(String::new());
            spec.lease_duration_seconds = Some(1);
            if let Err(error) = self.api.replace(&self.name, &PostParams::default(), &lease).await {
                tracing::debug!(lease = %self.name, %error, "lease was not given back");
            }
        }
    }
}

fn jittered(base: Duration) -> Duration {
    base.mul_f64(1.0 + 0.2 * rand::random::<f64>())
}
