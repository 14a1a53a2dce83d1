//! `helm uninstall`: a release and its objects go.
// Upstream: helm pkg/cmd/uninstall.go.

use clap::{ArgMatches, Command};

use crate::cluster::Cluster;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _, optional, switch, text};
use crate::ops::uninstall::{Uninstall, run as uninstall};
use crate::output::out;
use crate::settings::Settings;

pub fn command() -> Command {
    flags::command("uninstall", "Remove a release").visible_aliases(["del", "delete", "un"]).args([
        switch("dry-run", "try only"),
        switch("no-hooks", "run no hooks"),
        switch("ignore-not-found", "a release that is not there is no error"),
        switch("keep-history", "keep the records"),
        optional("wait", "watcher", "wait until all is gone: watcher, hookOnly or legacy"),
        text("cascade", "what becomes of dependents: background, orphan or foreground"),
        text("timeout", "how long one operation may take, e.g. 5m0s"),
        text("description", "description of the last revision"),
    ])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::at_least(m, "helm uninstall", "RELEASE_NAME [...]", 1)?;
    let cascade = match m.value("cascade") {
        None | Some("background") => "Background",
        Some("orphan") => "Orphan",
        Some("foreground") => "Foreground",
        Some(other) => return Err(Failure::new(format!("invalid cascade value ({other}). Must be \"background\", \"foreground\", or \"orphan\""))),
    };
    let this = Uninstall {
        no_hooks: m.on("no-hooks"),
        dry_run: m.on("dry-run"),
        ignore_not_found: m.on("ignore-not-found"),
        keep_history: m.on("keep-history"),
        wait: flags::wait(m)?,
        cascade,
        timeout: flags::timeout(m)?,
        description: m.value("description").unwrap_or_default().to_string(),
    };
    let cluster = Cluster::connect(settings).await?;
    cluster.reachable().await?;
    for name in words {
        let kept = uninstall(&this, settings, &cluster, name, &cluster.namespace).await?.unwrap_or_default();
        if !kept.is_empty() {
            out(&format!("{kept}\n"));
        }
        out(&format!("release {name:?} uninstalled\n"));
    }
    Ok(())
}
