//! Who is at work on a release. A pending record carries a lease: who holds it and until when. The holder renews it; whoever finds it
//! run out takes over and says so, so that an interrupted operation never locks a release.
//!
//! Times are the API server's, so that clocks of two machines need not agree. Upstream's records carry no lease: they count as held
//! for [`UNKNOWN_HOLDER`] since they were written last.

use std::time::Duration;

use charts::{Release, Status};
use serde_json::json;

use crate::cluster::Cluster;
use crate::failure::{Failure, Outcome, warn};
use crate::storage::{Record, Storage};

const HOLDER: &str = "helm.knarr.dev/lease-holder";
const UNTIL: &str = "helm.knarr.dev/lease-until";
const LENGTH: Duration = Duration::from_secs(30);
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// Upstream's own bound of an operation, and as much again.
const UNKNOWN_HOLDER: i64 = 600;

/// A lease that this process holds, and the distance of the server's clock from its own.
pub struct Lease {
    holder: String,
    ahead: jiff::SignedDuration,
}

impl Lease {
    pub async fn new(cluster: &Cluster) -> Outcome<Lease> {
        let server = cluster.server_time().await?;
        let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
        let holder = format!("{}-{}-{:08x}", host.trim(), std::process::id(), rand::random::<u32>());
        Ok(Lease { holder, ahead: server.duration_since(jiff::Timestamp::now()) })
    }

    fn until(&self) -> String {
        let until = jiff::Timestamp::now().saturating_add(self.ahead).and_then(|t| t.saturating_add(LENGTH));
        until.map(|t| t.to_string()).unwrap_or_default()
    }

    /// What a new pending record is annotated with.
    pub fn annotations(&self) -> [(&'static str, String); 2] {
        [(HOLDER, self.holder.clone()), (UNTIL, self.until())]
    }

    /// Does the work and renews the lease until it is done.
    pub async fn hold<T>(&self, storage: &Storage<'_>, name: &str, revision: u64, work: impl Future<Output = T>) -> T {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + RENEW_EVERY, RENEW_EVERY);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = ticks.tick() => {
                    // A renewal that fails leaves two more before the lease runs out.
                    let _ = storage.annotate(name, revision, &json!({ HOLDER: self.holder, UNTIL: self.until() })).await;
                }
            }
        }
    }

    fn server_now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now().saturating_add(self.ahead).unwrap_or(jiff::Timestamp::now())
    }
}

/// The end of the lease on a record.
fn end_of(record: &Record) -> Option<jiff::Timestamp> {
    let metadata = &record.object["metadata"];
    if let Some(until) = metadata["annotations"][UNTIL].as_str() {
        return until.parse().ok();
    }
    let label = |key: &str| metadata["labels"][key].as_str().and_then(|t| t.parse::<i64>().ok());
    jiff::Timestamp::from_second(label("modifiedAt").or_else(|| label("createdAt"))?.saturating_add(UNKNOWN_HOLDER)).ok()
}

/// Looks at the last record of a release: one at which nobody works any more is marked failed, one that is held is an error.
pub async fn take_over(lease: &Lease, storage: &Storage<'_>, record: &mut Record) -> Outcome {
    let release = &mut record.release;
    if !release.info.status.is_pending() && release.info.status != Status::Uninstalling {
        return Ok(());
    }
    if release.info.status.is_pending() && end_of(record).is_some_and(|end| end > lease.server_now()) {
        // Upstream: errPending.
        return Err(Failure::new("another operation (install/upgrade/rollback) is in progress"));
    }
    let release = &mut record.release;
    if release.info.status.is_pending() {
        let was = release.info.status.as_str();
        warn(&format!("revision {} of release {:?} was left {was} by an operation that was interrupted: its lease has run out, this command takes over", release.revision, release.name));
        mark_interrupted(release, was);
        storage.update(release).await?;
    }
    Ok(())
}

fn mark_interrupted(release: &mut Release, was: &str) {
    release.info.status = Status::Failed;
    release.info.description = format!("Release {:?} was interrupted while {was}; a later operation took over", release.name);
}
