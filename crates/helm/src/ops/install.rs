//! A release is made: a chart installed under a name that is free.
// Upstream: helm pkg/action/install.go.

use std::collections::BTreeMap;
use std::time::Duration;

use charts::notice::{Level, Notice};
use charts::release::Info;
use charts::render::Capabilities;
use charts::{Chart, Release, Status};
use http::Method;
use serde_json::{Map, Value, json};

use super::apply::{How, create, update};
use super::hooks::{self, Runner};
use super::ownership;
use super::render::{Wanted, capabilities_of, render};
use super::uninstall;
use super::values::settle;
use super::wait::{Goal, wait_for};
use crate::cluster::{Cluster, Object, parse_objects};
use crate::failure::{Failure, Outcome};
use crate::flags::{DryRun, Wait};
use crate::lease::{Lease, take_over};
use crate::output::now;
use crate::settings::Settings;
use crate::storage::Storage;

/// How a chart is installed.
#[derive(Clone)]
pub struct Install {
    pub name: String,
    pub namespace: String,
    pub create_namespace: bool,
    pub dry_run: DryRun,
    pub hide_secret: bool,
    pub no_hooks: bool,
    pub replace: bool,
    pub wait: Wait,
    pub wait_for_jobs: bool,
    pub timeout: Duration,
    pub rollback_on_failure: bool,
    pub skip_crds: bool,
    pub sub_notes: bool,
    pub skip_schema: bool,
    pub enable_dns: bool,
    pub take_ownership: bool,
    pub description: String,
    pub labels: BTreeMap<String, String>,
    pub how: How,
    pub post_renderer: Option<crate::plugins::PostRenderer>,
    /// For `template`: the answers of a cluster that is not asked.
    pub offline: Option<Capabilities>,
    pub include_crds: bool,
    pub as_upgrade: bool,
}

/// A release that was made or tried, and what went wrong.
pub type Made = Result<Release, (Option<Box<Release>>, Failure)>;

fn failed(e: impl Into<Failure>) -> (Option<Box<Release>>, Failure) {
    (None, e.into())
}

/// Installs.
pub async fn run(this: &Install, settings: &Settings, mut chart: Chart, values: Map<String, Value>) -> Made {
    let cluster = match this.dry_run {
        DryRun::Client => None,
        _ => {
            let cluster = Cluster::connect(settings).await.map_err(|e| failed(unreached(e)))?;
            cluster.reachable().await.map_err(|e| failed(unreached(e)))?;
            Some(cluster)
        }
    };
    if this.dry_run == DryRun::No && this.hide_secret {
        return Err(failed("hiding Kubernetes secrets requires a dry-run mode"));
    }
    validate_name(&this.name).map_err(|e| failed(named(e)))?;
    let Some(mut cluster) = cluster else { return offline(this, &mut chart, values).await };
    let lease = Lease::new(&cluster).await.map_err(failed)?;
    let last = available(this, settings, &cluster, &lease).await.map_err(failed)?;
    settle(&mut chart, &values).map_err(|e| failed(unsettled(&e)))?;
    if !this.skip_crds && this.dry_run == DryRun::No {
        install_crds(&mut cluster, &chart, this).await.map_err(failed)?;
    }
    let capabilities = capabilities_of(&cluster).await.map_err(failed)?;
    let mut release = new_release(this, &chart, values, last.as_ref().map_or(1, |l| l.revision + 1));
    rendered(this, &mut release, &capabilities, Some(&cluster))?;
    let mut objects = parse_objects(&release.manifest, cluster.discovery().await.map_err(failed)?, &this.namespace).map_err(|e| failed(e.of("unable to build kubernetes objects from release manifest")))?;
    ownership::mark(&mut objects, &this.name, &this.namespace);
    let adopted = ownership::existing(&cluster, &objects, &this.name, &this.namespace, this.take_ownership).await.map_err(|e| failed(e.of("unable to continue with install")))?;
    if this.dry_run != DryRun::No {
        release.info.description = if this.description.is_empty() { "Dry run complete".into() } else { this.description.clone() };
        return Ok(release);
    }
    if this.create_namespace {
        make_namespace(&cluster, &this.namespace).await.map_err(failed)?;
    }
    let storage = Storage::new(&cluster, settings, &this.namespace).map_err(failed)?;
    if let Some(mut last) = last {
        last.info.status = Status::Superseded;
        storage.update(&last).await.map_err(failed)?;
    }
    storage.create(&release, &lease.annotations()).await.map_err(failed)?;
    let (name, revision) = (release.name.clone(), release.revision);
    let work = perform(this, &cluster, &mut release, &objects, &adopted);
    let done = tokio::select! {
        done = lease.hold(&storage, &name, revision, work) => done,
        _ = crate::interrupted() => {
            crate::output::out(&format!("Release {name} has been cancelled.\n"));
            Err(Failure::new("context canceled"))
        }
    };
    match done {
        Ok(()) => {
            release.info.status = Status::Deployed;
            release.info.description = if this.description.is_empty() { "Install complete".into() } else { this.description.clone() };
            storage.update(&release).await.map_err(failed)?;
            Ok(release)
        }
        Err(e) => Err(fail(this, settings, &cluster, &storage, release, e).await),
    }
}

async fn fail(this: &Install, settings: &Settings, cluster: &Cluster, storage: &Storage<'_>, mut release: Release, e: Failure) -> (Option<Box<Release>>, Failure) {
    release.info.status = Status::Failed;
    release.info.description = format!("Release {:?} failed: {e}", release.name);
    let recorded = storage.update(&release).await;
    if !this.rollback_on_failure {
        let e = if let Err(r) = recorded { Failure::new(format!("{e}; {r}")) } else { e };
        return (Some(Box::new(release)), e);
    }
    let removal = uninstall::Uninstall { no_hooks: this.no_hooks, timeout: this.timeout, ..uninstall::Uninstall::default() };
    let text = match uninstall::run(&removal, settings, cluster, &release.name, &this.namespace).await {
        Ok(_) => format!("release {} failed, and has been uninstalled due to rollback-on-failure being set: {e}", release.name),
        Err(u) => format!("an error occurred while uninstalling the release. original install error: {e}: {u}"),
    };
    (Some(Box::new(release)), Failure::new(text))
}

async fn perform(this: &Install, cluster: &Cluster, release: &mut Release, objects: &[Object], adopted: &[Object]) -> Outcome {
    let runner = Runner { cluster, timeout: this.timeout, how: this.how };
    if !this.no_hooks {
        hooks::run(runner, release, "pre-install").await.map_err(|e| Failure::new(format!("failed pre-install: {e}")))?;
    }
    if adopted.is_empty() {
        create(cluster, objects, this.how).await?;
    } else {
        update(cluster, adopted, objects, this.how, false, &mut Vec::new()).await?;
    }
    let goal = if this.wait_for_jobs { Goal::ReadyAndJobsDone } else { Goal::Ready };
    if this.wait != Wait::HookOnly {
        wait_for(cluster, objects, goal, this.timeout).await.map_err(|e| this.wait.told(e))?;
    }
    if !this.no_hooks {
        hooks::run(runner, release, "post-install").await.map_err(|e| Failure::new(format!("failed post-install: {e}")))?;
    }
    Ok(())
}

fn rendered(this: &Install, release: &mut Release, capabilities: &Capabilities, cluster: Option<&Cluster>) -> Result<(), (Option<Box<Release>>, Failure)> {
    let wanted = Wanted {
        name: &this.name,
        namespace: &this.namespace,
        revision: release.revision,
        is_upgrade: this.as_upgrade && this.dry_run != DryRun::No,
        capabilities,
        cluster,
        sub_notes: this.sub_notes,
        include_crds: this.include_crds,
        hide_secret: this.hide_secret,
        skip_schema: this.skip_schema,
        enable_dns: this.enable_dns,
        post_renderer: this.post_renderer.clone(),
    };
    match render(&release.chart, &release.config, &wanted) {
        Ok(done) => {
            release.hooks = done.hooks;
            release.manifest = done.manifest;
            release.info.notes = done.notes;
            Ok(())
        }
        Err((manifest, e)) => {
            let told = manifest.map(|manifest| {
                release.manifest = manifest;
                Box::new(release.clone())
            });
            Err((told, e))
        }
    }
}

async fn offline(this: &Install, chart: &mut Chart, values: Map<String, Value>) -> Made {
    settle(chart, &values).map_err(|e| failed(unsettled(&e)))?;
    let mut release = new_release(this, chart, values, 1);
    rendered(this, &mut release, &this.offline.clone().unwrap_or_default(), None)?;
    release.info.description = if this.description.is_empty() { "Dry run complete".into() } else { this.description.clone() };
    Ok(release)
}

fn new_release(this: &Install, chart: &Chart, values: Map<String, Value>, revision: u64) -> Release {
    let at = now();
    Release {
        name: this.name.clone(),
        namespace: this.namespace.clone(),
        revision,
        info: Info { first_deployed: at.clone(), last_deployed: at, status: Status::PendingInstall, description: "Initial install underway".into(), ..Info::default() },
        chart: chart.clone(),
        config: values,
        labels: this.labels.clone(),
        apply_method: this.how.word().into(),
        ..Release::default()
    }
}

/// The regular expression of names, and their length.
// Upstream: helm pkg/chart/v2/util/validate_name.go.
pub fn validate_name(name: &str) -> Outcome {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') && !p.starts_with('-') && !p.ends_with('-');
    if name.is_empty() {
        return Err(Failure::new("release name \"\": no name provided"));
    }
    if name.len() > 53 || !name.split('.').all(part) {
        return Err(Failure::new(
            "invalid release name, must match regex ^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$ and the length must not be longer than 53",
        )
        .of(format!("release name {name:?}")));
    }
    Ok(())
}

fn unsettled(error: &str) -> String {
    const WHAT: &str = "chart dependencies processing failed";
    eprintln!("{}", Notice::new(Level::Error, WHAT).about("error", error));
    format!("{WHAT}: {error}")
}

fn unreached(e: Failure) -> Failure {
    let e = e.of("cluster reachability check failed");
    eprintln!("{}", Notice::new(Level::Error, &e.text));
    e
}

fn named(e: Failure) -> Failure {
    eprintln!("{}", Notice::new(Level::Error, "release name check failed").about("error", &e.text));
    e.of("release name check failed")
}

/// Whether the name is free. Gives the last release where it may be replaced.
async fn available(this: &Install, settings: &Settings, cluster: &Cluster, lease: &Lease) -> Outcome<Option<Release>> {
    if this.dry_run != DryRun::No {
        return Ok(None);
    }
    let storage = Storage::new(cluster, settings, &this.namespace)?;
    let mut last = match storage.last(&this.name).await {
        Ok(last) => last,
        Err(e) if e.text == crate::storage::NOT_FOUND => return Ok(None),
        Err(e) => return Err(e),
    };
    let was_pending = last.release.info.status.is_pending();
    take_over(lease, &storage, &mut last).await.map_err(|_| named(Failure::new("cannot reuse a name that is still in use")))?;
    let over = matches!(last.release.info.status, Status::Uninstalled | Status::Failed);
    if over && (this.replace || was_pending) {
        return Ok(Some(last.release));
    }
    Err(named(Failure::new("cannot reuse a name that is still in use")))
}

async fn make_namespace(cluster: &Cluster, name: &str) -> Outcome {
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": { "name": name } } });
    match cluster.send(Method::POST, "/api/v1/namespaces", "application/json", Some(&namespace)).await {
        Ok(_) => Ok(()),
        Err(e) if e.already_exists() => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Definitions of `crds/`: those that are there stay as they are; new ones are waited for.
async fn install_crds(cluster: &mut Cluster, chart: &Chart, this: &Install) -> Outcome {
    let crds = chart.crds();
    let mut made = Vec::new();
    for (name, file) in &crds {
        // Upstream: a file of definitions is told by its name in its own chart.
        let name = name.rfind("crds/").map_or(name.as_str(), |at| &name[at..]);
        let objects = parse_objects(&file.text(), cluster.discovery().await?, &this.namespace).map_err(|e| e.of(format!("failed to install CRD {name}")))?;
        for object in objects {
            match cluster.send(Method::POST, &format!("{}?fieldManager={}", object.collection(), crate::cluster::FIELD_OWNER), "application/json", Some(&object.value)).await {
                Ok(_) => made.push(object),
                Err(e) if e.already_exists() => {}
                // Upstream: definitions are applied by the server, whose refusal is told like that of other objects.
                Err(e) => return Err(Failure::new(format!("failed to install CRD {name}: server-side apply failed for object /{} {}: {}", object.name, object.resource.go_name(), e.message))),
            }
        }
    }
    if !made.is_empty() {
        wait_for(cluster, &made, Goal::Ready, Duration::from_secs(60)).await?;
        cluster.forget_discovery();
    }
    Ok(())
}
