//! A release gets a new revision.
// Upstream: helm pkg/action/upgrade.go.

use std::collections::BTreeMap;
use std::time::Duration;

use charts::notice::{Level, Notice};
use charts::release::Info;
use charts::{Chart, Release, Status};
use serde_json::{Map, Value};

use super::apply::{How, delete, update};
use super::hooks::{self, Runner};
use super::install::{Made, validate_name};
use super::ownership;
use super::render::{Wanted, capabilities_of, render};
use super::rollback::{self, Rollback, is_server_side};
use super::values::{coalesce, fill, settle};
use super::wait::{Goal, wait_for};
use crate::cluster::{Cluster, Object, parse_objects};
use crate::failure::{Failure, Outcome};
use crate::flags::{DryRun, Wait};
use crate::lease::{Lease, take_over};
use crate::output::now;
use crate::settings::Settings;
use crate::storage::{NOT_FOUND, Storage};

type Table = Map<String, Value>;

/// Which values of the last revision count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Those that the user gave, where none are given now.
    Auto,
    Reset,
    Reuse,
    ResetThenReuse,
}

#[derive(Clone)]
pub struct Upgrade {
    pub name: String,
    pub dry_run: DryRun,
    pub hide_secret: bool,
    pub no_hooks: bool,
    pub wait: Wait,
    pub wait_for_jobs: bool,
    pub timeout: Duration,
    pub rollback_on_failure: bool,
    pub cleanup_on_fail: bool,
    pub sub_notes: bool,
    pub skip_schema: bool,
    pub enable_dns: bool,
    pub take_ownership: bool,
    pub reuse: Reuse,
    pub max_history: u64,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    pub server_side: String,
    pub force_conflicts: bool,
    pub force_replace: bool,
    pub strict: bool,
    pub post_renderer: Option<crate::plugins::PostRenderer>,
}

fn failed(e: impl Into<Failure>) -> (Option<Box<Release>>, Failure) {
    (None, e.into())
}

/// What an upgrade starts from and leads to.
pub struct Prepared {
    pub current: Release,
    pub next: Release,
    pub how: How,
}

/// Finds the current release and renders the next one; changes nothing but a lock that has run out.
pub async fn prepare(this: &Upgrade, cluster: &Cluster, storage: &Storage<'_>, lease: &Lease, mut chart: Chart, values: Table) -> Result<Prepared, Failure> {
    if this.dry_run == DryRun::No && this.hide_secret {
        return Err("hiding Kubernetes secrets requires a dry-run mode".into());
    }
    let nothing = || Failure::new(format!("{:?} has no deployed releases", this.name));
    let mut last = match storage.last(&this.name).await {
        Err(e) if e.text == NOT_FOUND => return Err(nothing()),
        other => other?,
    };
    take_over(lease, storage, &mut last).await?;
    let last = last.release;
    let current = match last.info.status {
        Status::Deployed => last.clone(),
        status => match storage.list(&format!("name={},owner=helm,status=deployed", this.name)).await?.into_iter().max_by_key(|r| r.release.revision) {
            Some(deployed) => deployed.release,
            None if matches!(status, Status::Failed | Status::Superseded) => last.clone(),
            None => return Err(nothing()),
        },
    };
    let values = reused(this.reuse, &mut chart, &current, values)?;
    settle(&mut chart, &values).map_err(|e| Failure::new(format!("chart dependencies processing failed: {e}")))?;
    let server_side = is_server_side(&this.server_side, &last.apply_method)?;
    let how = How { server_side, force_conflicts: this.force_conflicts, force_replace: this.force_replace, strict: this.strict };
    let mut next = next_release(this, &last, &current, chart, values, how);
    rendered(this, &mut next, cluster).await?;
    Ok(Prepared { current, next, how })
}

async fn rendered(this: &Upgrade, next: &mut Release, cluster: &Cluster) -> Outcome {
    let capabilities = capabilities_of(cluster).await?;
    let wanted = Wanted {
        name: &this.name,
        namespace: &next.namespace,
        revision: next.revision,
        is_upgrade: true,
        capabilities: &capabilities,
        cluster: (this.dry_run != DryRun::Client).then_some(cluster),
        sub_notes: this.sub_notes,
        include_crds: false,
        hide_secret: this.hide_secret,
        skip_schema: this.skip_schema,
        enable_dns: this.enable_dns,
        post_renderer: this.post_renderer.clone(),
    };
    let done = render(&next.chart, &next.config, &wanted).map_err(|(_, e)| e)?;
    next.hooks = done.hooks;
    next.manifest = done.manifest;
    next.info.notes = done.notes;
    Ok(())
}

fn next_release(this: &Upgrade, last: &Release, current: &Release, chart: Chart, values: Table, how: How) -> Release {
    let mut labels = last.labels.clone();
    labels.extend(this.labels.clone());
    labels.retain(|_, v| v != "null");
    Release {
        name: this.name.clone(),
        namespace: current.namespace.clone(),
        revision: last.revision + 1,
        info: Info {
            first_deployed: current.info.first_deployed.clone(),
            last_deployed: now(),
            status: Status::PendingUpgrade,
            description: "Preparing upgrade".into(),
            ..Info::default()
        },
        chart,
        config: values,
        labels,
        apply_method: how.word().into(),
        ..Release::default()
    }
}

fn reused(reuse: Reuse, chart: &mut Chart, current: &Release, mut values: Table) -> Outcome<Table> {
    match reuse {
        Reuse::Reset => {}
        Reuse::Reuse => {
            let old = coalesce(&current.chart, &current.config).map_err(|e| Failure::new(format!("failed to rebuild old values: {e}")))?;
            fill(&mut values, &current.config)?;
            chart.values = old;
        }
        Reuse::ResetThenReuse => fill(&mut values, &current.config)?,
        Reuse::Auto if values.is_empty() => values = current.config.clone(),
        Reuse::Auto => {}
    }
    Ok(values)
}

/// Upgrades.
pub async fn run(this: &Upgrade, settings: &Settings, cluster: &Cluster, namespace: &str, chart: Chart, values: Table) -> Made {
    cluster.reachable().await.map_err(failed)?;
    validate_name(&this.name).map_err(|_| failed(format!("release name is invalid: {}", this.name)))?;
    let storage = Storage::new(cluster, settings, namespace).map_err(failed)?;
    let lease = Lease::new(cluster).await.map_err(failed)?;
    let Prepared { current, mut next, how } = prepare(this, cluster, &storage, &lease, chart, values).await.map_err(failed)?;
    let discovery = cluster.discovery().await.map_err(failed)?;
    let mut before = parse_objects(&current.manifest, discovery, &current.namespace).map_err(|e| failed(removed_api(e)))?;
    let mut target = parse_objects(&next.manifest, discovery, &next.namespace).map_err(|e| failed(e.of("unable to build kubernetes objects from new release manifest")))?;
    ownership::mark(&mut target, &next.name, &next.namespace);
    let new: Vec<Object> = target.iter().filter(|t| !before.iter().any(|b| b.is_same(t))).cloned().collect();
    let adopted = ownership::existing(cluster, &new, &next.name, &next.namespace, this.take_ownership).await.map_err(|e| failed(e.of("unable to continue with update")))?;
    before.extend(adopted);
    if this.dry_run != DryRun::No {
        next.info.description = if this.description.is_empty() { "Dry run complete".into() } else { this.description.clone() };
        return Ok(next);
    }
    storage.trim(&this.name, this.max_history).await.map_err(failed)?;
    storage.create(&next, &lease.annotations()).await.map_err(failed)?;
    let revision = next.revision;
    let mut created = Vec::new();
    let from_client_side = how.server_side && current.apply_method != "ssa";
    let work = perform(this, cluster, &mut next, &before, &target, how, from_client_side, &mut created);
    let done = tokio::select! {
        done = lease.hold(&storage, &this.name, revision, work) => done,
        _ = crate::interrupted() => {
            crate::output::out(&format!("Release {} has been cancelled.\n", this.name));
            Err(Failure::new("context canceled"))
        }
    };
    match done {
        Ok(()) => {
            for mut record in storage.list(&format!("name={},owner=helm,status=deployed", this.name)).await.map_err(failed)? {
                record.release.info.status = Status::Superseded;
                storage.update(&record.release).await.map_err(failed)?;
            }
            supersede_base(&storage, current).await.map_err(failed)?;
            next.info.status = Status::Deployed;
            next.info.description = if this.description.is_empty() { "Upgrade complete".into() } else { this.description.clone() };
            storage.update(&next).await.map_err(failed)?;
            Ok(next)
        }
        Err(e) => {
            let e = fail(this, settings, cluster, &storage, &mut next, &created, e).await;
            Err((Some(Box::new(next)), e))
        }
    }
}

/// The revision that was upgraded is superseded, also where it had failed.
async fn supersede_base(storage: &Storage<'_>, mut current: Release) -> Outcome {
    if current.info.status == Status::Failed {
        current.info.status = Status::Superseded;
        storage.update(&current).await?;
    }
    Ok(())
}

fn removed_api(e: Failure) -> Failure {
    if e.text.contains("no matches for kind") {
        return e.of("current release manifest contains removed kubernetes api(s) for this kubernetes version and it is therefore unable to build the kubernetes objects for performing the diff. error from kubernetes");
    }
    e.of("unable to build kubernetes objects from current release manifest")
}

#[allow(clippy::too_many_arguments)]
async fn perform(this: &Upgrade, cluster: &Cluster, next: &mut Release, before: &[Object], target: &[Object], how: How, from_client_side: bool, created: &mut Vec<Object>) -> Outcome {
    let runner = Runner { cluster, timeout: this.timeout, how };
    if !this.no_hooks {
        hooks::run(runner, next, "pre-upgrade").await.map_err(|e| Failure::new(format!("pre-upgrade hooks failed: {e}")))?;
    }
    update(cluster, before, target, how, from_client_side, created).await?;
    let goal = if this.wait_for_jobs { Goal::ReadyAndJobsDone } else { Goal::Ready };
    if this.wait != Wait::HookOnly {
        wait_for(cluster, target, goal, this.timeout).await.map_err(|e| this.wait.told(e))?;
    }
    if !this.no_hooks {
        hooks::run(runner, next, "post-upgrade").await.map_err(|e| Failure::new(format!("post-upgrade hooks failed: {e}")))?;
    }
    Ok(())
}

async fn fail(this: &Upgrade, settings: &Settings, cluster: &Cluster, storage: &Storage<'_>, next: &mut Release, created: &[Object], e: Failure) -> Failure {
    eprintln!("{}", Notice::new(Level::Warn, "upgrade failed").about("name", &next.name).about("error", &e.text));
    next.info.status = Status::Failed;
    next.info.description = format!("Upgrade {:?} failed: {e}", next.name);
    let _ = storage.update(next).await;
    if this.cleanup_on_fail {
        let faults = delete(cluster, created, "Background").await;
        if !faults.is_empty() {
            let texts: Vec<String> = faults.iter().map(|f| f.text.clone()).collect();
            return Failure::new(format!("an error occurred while cleaning up resources. original upgrade error: {e}: unable to cleanup resources: {}", texts.join(", ")));
        }
    }
    if !this.rollback_on_failure {
        return e;
    }
    let good = match storage.history(&next.name).await {
        Ok(history) => history.into_iter().rev().find(|r| matches!(r.release.info.status, Status::Superseded | Status::Deployed)),
        Err(h) => return Failure::new(format!("an error occurred while finding last successful release. original upgrade error: {e}: {h}")),
    };
    let Some(good) = good else {
        return Failure::new(format!("unable to find a previously successful release when attempting to rollback. original upgrade error: {e}"));
    };
    let back = Rollback {
        revision: good.release.revision,
        dry_run: DryRun::No,
        no_hooks: this.no_hooks,
        wait: Wait::Ready,
        wait_for_jobs: this.wait_for_jobs,
        timeout: this.timeout,
        cleanup_on_fail: false,
        max_history: 0,
        description: String::new(),
        server_side: this.server_side.clone(),
        force_conflicts: this.force_conflicts,
        force_replace: this.force_replace,
    };
    match Box::pin(rollback::run(&back, settings, cluster, &next.name, &next.namespace)).await {
        Ok(()) => Failure::new(format!("release {} failed, and has been rolled back due to rollback-on-failure being set: {e}", next.name)),
        Err(r) => Failure::new(format!("an error occurred while rolling back the release. original upgrade error: {e}: {r}")),
    }
}
