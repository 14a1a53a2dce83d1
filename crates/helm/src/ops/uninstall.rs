//! A release is removed, or kept as history.
// Upstream: helm pkg/action/uninstall.go.

use std::time::Duration;

use charts::{Release, Status};

use super::apply::{How, delete, keeps};
use super::hooks::{self, Runner};
use super::install::validate_name;
use super::wait::{Goal, wait_for};
use crate::cluster::{Cluster, Object, parse_objects};
use crate::failure::{Failure, Outcome};
use crate::flags::Wait;
use crate::output::now;
use crate::settings::Settings;
use crate::storage::{NOT_FOUND, Record, Storage};

#[derive(Clone)]
pub struct Uninstall {
    pub no_hooks: bool,
    pub dry_run: bool,
    pub ignore_not_found: bool,
    pub keep_history: bool,
    pub wait: Wait,
    pub cascade: &'static str,
    pub timeout: Duration,
    pub description: String,
}

impl Default for Uninstall {
    fn default() -> Self {
        Uninstall {
            no_hooks: false,
            dry_run: false,
            ignore_not_found: false,
            keep_history: false,
            wait: Wait::HookOnly,
            cascade: "Background",
            timeout: Duration::from_secs(300),
            description: String::new(),
        }
    }
}

/// Uninstalls; gives what stayed on account of its policy, or nothing where there was no release.
pub async fn run(this: &Uninstall, settings: &Settings, cluster: &Cluster, name: &str, namespace: &str) -> Outcome<Option<String>> {
    let storage = Storage::new(cluster, settings, namespace)?;
    if this.dry_run {
        return match storage.last(name).await {
            Ok(_) => Ok(Some(String::new())),
            Err(e) if this.ignore_not_found && e.text == NOT_FOUND => Ok(None),
            Err(e) => Err(e),
        };
    }
    validate_name(name).map_err(|_| Failure::new(format!("uninstall: Release name is invalid: {name}")))?;
    let mut history = match storage.history(name).await {
        Ok(history) => history,
        Err(_) if this.ignore_not_found => return Ok(None),
        Err(e) => return Err(e.of(format!("uninstall: Release not loaded: {name}"))),
    };
    let Some(last) = history.last_mut() else { return Err(Failure::new(NOT_FOUND)) };
    if last.release.info.status == Status::Uninstalled {
        if this.keep_history {
            return Err(Failure::new(format!("the release named {name:?} is already deleted")));
        }
        purge(&storage, &history).await.map_err(|e| e.of("uninstall: Failed to purge the release"))?;
        return Ok(Some(String::new()));
    }
    let mut release = last.release.clone();
    let (kept, faults) = take_down(this, cluster, &storage, &mut release).await?;
    if this.keep_history {
        let _ = storage.update(&release).await;
    }
    let mut faults = faults;
    if !this.keep_history
        && let Err(e) = purge(&storage, &history).await
    {
        faults.push(e.of("uninstall: Failed to purge the release"));
    }
    if faults.is_empty() {
        return Ok(Some(kept));
    }
    let texts: Vec<String> = faults.iter().map(|f| f.text.clone()).collect();
    Err(Failure::new(format!("uninstallation completed with {} error(s): {}", texts.len(), texts.join("; "))))
}

async fn take_down(this: &Uninstall, cluster: &Cluster, storage: &Storage<'_>, release: &mut Release) -> Outcome<(String, Vec<Failure>)> {
    release.info.status = Status::Uninstalling;
    release.info.deleted = now();
    release.info.description = "Deletion in progress (or silently failed)".into();
    let how = How { server_side: true, force_conflicts: false, force_replace: false, strict: true };
    let runner = Runner { cluster, timeout: this.timeout, how };
    if !this.no_hooks {
        hooks::run(runner, release, "pre-delete").await?;
    }
    let _ = storage.update(release).await;
    let (kept, going) = sorted_out(cluster, release).await?;
    let mut faults = delete(cluster, &going, this.cascade).await;
    if !faults.is_empty() {
        return Err(Failure::new(format!("failed to delete release: {}", release.name)));
    }
    if this.wait != Wait::HookOnly
        && let Err(e) = wait_for(cluster, &going, Goal::Gone, this.timeout).await.map_err(|e| this.wait.told(e))
    {
        faults.push(e);
    }
    if !this.no_hooks
        && let Err(e) = hooks::run(runner, release, "post-delete").await
    {
        faults.push(e);
    }
    release.info.status = Status::Uninstalled;
    release.info.description = if this.description.is_empty() { "Uninstallation complete".into() } else { this.description.clone() };
    Ok((kept, faults))
}

/// What stays, told, and what goes, in the order of removal.
async fn sorted_out(cluster: &Cluster, release: &Release) -> Outcome<(String, Vec<Object>)> {
    let mut objects = parse_objects(&release.manifest, cluster.discovery().await?, &release.namespace).map_err(|e| e.of("unable to build kubernetes objects for delete"))?;
    let kinds: Vec<String> = objects.iter().map(|o| o.kind().to_string()).collect();
    let mut order: Vec<(String, Object)> = kinds.into_iter().zip(objects.drain(..)).collect();
    charts::manifest::sort_by_kind(&mut order, |(kind, _)| kind, true);
    let (kept, going): (Vec<_>, Vec<_>) = order.into_iter().map(|(_, o)| o).partition(|o| o.annotation("helm.sh/resource-policy").is_some_and(keeps));
    let lines: String = kept.iter().map(|o| format!("[{}] {}\n", o.kind(), o.name)).collect();
    let told = if lines.is_empty() { lines } else { format!("These resources were kept due to the resource policy:\n{lines}") };
    Ok((told, going))
}

async fn purge(storage: &Storage<'_>, history: &[Record]) -> Outcome {
    for record in history {
        storage.delete(&record.release.name, record.release.revision).await?;
    }
    Ok(())
}
