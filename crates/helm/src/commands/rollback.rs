//! `helm rollback`: back to an earlier revision.
// Upstream: helm pkg/cmd/rollback.go.

use clap::{ArgMatches, Command};

use crate::cluster::Cluster;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, DryRun, Read as _, optional, switch, text};
use crate::ops::rollback::{Rollback, run as rollback};
use crate::output::out;
use crate::settings::Settings;

pub fn command() -> Command {
    flags::command("rollback", "Go back to an earlier revision of a release").args([
        optional("dry-run", "unset", "try only: client or server"),
        switch("force-replace", "replace objects instead of patching them"),
        switch("force", "the older name of --force-replace").hide(true),
        switch("force-conflicts", "take fields that others own"),
        optional("server-side", "true", "apply objects on the server: true, false, or auto (as that revision was)"),
        switch("no-hooks", "run no hooks"),
        text("timeout", "how long one operation may take, e.g. 5m0s"),
        optional("wait", "watcher", "wait until all is ready: watcher, hookOnly or legacy"),
        switch("wait-for-jobs", "wait for jobs too"),
        switch("cleanup-on-fail", "remove what a failed rollback has made"),
        text("history-max", "how many revisions are kept; 0 is all"),
        text("description", "description of the revision"),
        switch("recreate-pods", "taken for compatibility, does nothing").hide(true),
    ])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::at_least(m, "helm rollback", "<RELEASE> [REVISION]", 1)?;
    let revision = match words.get(1) {
        None => 0,
        // Upstream: a negative number is none that was given.
        Some(text) => text.parse::<i64>().map(|n| u64::try_from(n).unwrap_or_default()).map_err(|_| Failure::new(format!("could not convert revision to a number: strconv.Atoi: parsing {text:?}: invalid syntax")))?,
    };
    let this = Rollback {
        revision,
        dry_run: flags::dry_run(m, DryRun::No)?,
        no_hooks: m.on("no-hooks"),
        wait: flags::wait(m)?,
        wait_for_jobs: m.on("wait-for-jobs"),
        timeout: flags::timeout(m)?,
        cleanup_on_fail: m.on("cleanup-on-fail"),
        max_history: m.number("history-max", settings.max_history)?,
        description: m.value("description").unwrap_or_default().to_string(),
        server_side: m.value("server-side").unwrap_or("auto").to_string(),
        force_conflicts: m.on("force-conflicts"),
        force_replace: m.on("force-replace") || m.on("force"),
    };
    let cluster = Cluster::connect(settings).await?;
    rollback(&this, settings, &cluster, words[0], &cluster.namespace).await?;
    out("Rollback was a success! Happy Helming!\n");
    Ok(())
}
