//! A release goes back to an earlier revision, as a new one.
// Upstream: helm pkg/action/rollback.go.

use std::time::Duration;

use charts::release::Info;
use charts::{Release, Status};

use super::apply::{How, delete, update};
use super::hooks::{self, Runner};
use super::install::validate_name;
use super::ownership;
use super::wait::{Goal, wait_for};
use crate::cluster::{Cluster, parse_objects};
use crate::failure::{Failure, Outcome, warn};
use crate::flags::{DryRun, Wait};
use crate::lease::{Lease, take_over};
use crate::output::now;
use crate::settings::Settings;
use crate::storage::Storage;

#[derive(Clone)]
pub struct Rollback {
    /// Zero is the one before the last.
    pub revision: u64,
    pub dry_run: DryRun,
    pub no_hooks: bool,
    pub wait: Wait,
    pub wait_for_jobs: bool,
    pub timeout: Duration,
    pub cleanup_on_fail: bool,
    pub max_history: u64,
    pub description: String,
    /// `true`, `false`, or `auto`: as that revision was.
    pub server_side: String,
    pub force_conflicts: bool,
    pub force_replace: bool,
}

/// Whether objects are applied by the server, from what was asked and how it was done before.
// Upstream: getUpgradeServerSideValue.
pub fn is_server_side(asked: &str, before: &str) -> Outcome<bool> {
    match asked {
        "auto" => Ok(before == "ssa"),
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(Failure::new(format!("invalid/unknown release server-side apply method: {other}"))),
    }
}

pub async fn run(this: &Rollback, settings: &Settings, cluster: &Cluster, name: &str, namespace: &str) -> Outcome {
    cluster.reachable().await?;
    validate_name(name).map_err(|_| Failure::new(format!("prepareRollback: Release name is invalid: {name}")))?;
    let storage = Storage::new(cluster, settings, namespace)?;
    let lease = Lease::new(cluster).await?;
    let mut last = storage.last(name).await?;
    if this.dry_run == DryRun::No {
        take_over(&lease, &storage, &mut last).await?;
    }
    let current = last.release;
    let revision = if this.revision == 0 { current.revision.saturating_sub(1) } else { this.revision };
    let history = storage.history(name).await?;
    let Some(earlier) = history.into_iter().find(|r| r.release.revision == revision).map(|r| r.release) else {
        return Err(Failure::new(format!("release has no {revision} version")));
    };
    let server_side = is_server_side(&this.server_side, &earlier.apply_method)?;
    let how = How { server_side, force_conflicts: this.force_conflicts, force_replace: this.force_replace, strict: false };
    let mut target = new_revision(this, &current, earlier, revision, how);
    if this.dry_run != DryRun::No {
        return Ok(());
    }
    storage.trim(name, this.max_history).await?;
    storage.create(&target, &lease.annotations()).await?;
    let next = target.revision;
    lease.hold(&storage, name, next, perform(this, cluster, &storage, current, &mut target, how)).await?;
    storage.update(&target).await
}

fn new_revision(this: &Rollback, current: &Release, earlier: Release, revision: u64, how: How) -> Release {
    let description = if this.description.is_empty() { format!("Rollback to {revision}") } else { this.description.clone() };
    Release {
        namespace: current.namespace.clone(),
        revision: current.revision + 1,
        info: Info {
            first_deployed: current.info.first_deployed.clone(),
            last_deployed: now(),
            status: Status::PendingRollback,
            notes: earlier.info.notes.clone(),
            rollback_revision: revision,
            description,
            ..Info::default()
        },
        apply_method: how.word().into(),
        ..earlier
    }
}

async fn perform(this: &Rollback, cluster: &Cluster, storage: &Storage<'_>, mut current: Release, target: &mut Release, how: How) -> Outcome {
    let discovery = cluster.discovery().await?;
    let before = parse_objects(&current.manifest, discovery, &current.namespace).map_err(|e| e.of("unable to build kubernetes objects from current release manifest"))?;
    let mut objects = parse_objects(&target.manifest, discovery, &target.namespace).map_err(|e| e.of("unable to build kubernetes objects from new release manifest"))?;
    let runner = Runner { cluster, timeout: this.timeout, how };
    if !this.no_hooks {
        hooks::run(runner, target, "pre-rollback").await?;
    }
    ownership::mark(&mut objects, &target.name, &target.namespace);
    let mut created = Vec::new();
    if let Err(e) = update(cluster, &before, &objects, how, true, &mut created).await {
        let text = format!("Rollback {:?} failed: {e}", target.name);
        warn(&text);
        current.info.status = Status::Superseded;
        target.info.status = Status::Failed;
        target.info.description = text;
        let _ = storage.update(&current).await;
        let _ = storage.update(target).await;
        if this.cleanup_on_fail {
            let faults = delete(cluster, &created, "Background").await;
            if !faults.is_empty() {
                let texts: Vec<String> = faults.iter().map(|f| f.text.clone()).collect();
                return Err(Failure::new(format!("an error occurred while cleaning up resources. original rollback error: unable to cleanup resources: {}", texts.join(", "))));
            }
        }
        return Err(e);
    }
    let goal = if this.wait_for_jobs { Goal::ReadyAndJobsDone } else { Goal::Ready };
    if this.wait != Wait::HookOnly
        && let Err(e) = wait_for(cluster, &objects, goal, this.timeout).await.map_err(|e| this.wait.told(e))
    {
        target.info.status = Status::Failed;
        target.info.description = format!("Release {:?} failed: {e}", target.name);
        let _ = storage.update(target).await;
        return Err(e.of(format!("release {} failed", target.name)));
    }
    if !this.no_hooks {
        hooks::run(runner, target, "post-rollback").await?;
    }
    // Upstream: all that were deployed are superseded, not the last one alone.
    for mut record in storage.list(&format!("name={},owner=helm,status=deployed", target.name)).await? {
        record.release.info.status = Status::Superseded;
        storage.update(&record.release).await?;
    }
    target.info.status = Status::Deployed;
    Ok(())
}
