//! `helm upgrade`: a new revision of a release, or its first one with `--install`.
// Upstream: helm pkg/cmd/upgrade.go.

use charts::Status;
use clap::{ArgMatches, Command};

use super::install::{self, install_flags, labels, load_installable};
use super::status::print_release;
use crate::cluster::Cluster;
use crate::failure::Outcome;
use crate::flags::{self, DryRun, Read as _, Wait, output, switch, text};
use crate::ops::upgrade::{Reuse, Upgrade, run as upgrade};
use crate::output::{Format, out};
use crate::settings::Settings;
use crate::source::locate;
use crate::storage::{NOT_FOUND, Storage};

pub fn command() -> Command {
    upgrade_flags(flags::command("upgrade", "Bring a release to a new chart or new values")).args([switch("hide-secret", "leave Secrets out of what --dry-run shows"), output()]).after_help(
        "Examples:\n  helm upgrade web ./web --set replicas=3\n  helm upgrade --install web ./web -f production.yaml --rollback-on-failure --timeout 2m\n  helm upgrade web ./web --reuse-values --dry-run=server",
    )
}

/// The flags that `upgrade` and `diff upgrade` share.
pub fn upgrade_flags(command: Command) -> Command {
    install_flags(command).args([
        switch("install", "install where there is no such release").short('i'),
        switch("reset-values", "take the chart's own values and those given now"),
        switch("reuse-values", "take the last revision's values and those given now"),
        switch("reset-then-reuse-values", "take the chart's own values, the user's last ones, and those given now"),
        switch("cleanup-on-fail", "remove what a failed upgrade has made"),
        text("history-max", "how many revisions are kept; 0 is all"),
    ])
}

pub fn read(m: &ArgMatches, settings: &Settings, name: &str) -> Outcome<Upgrade> {
    let rollback_on_failure = m.on("atomic") || m.on("rollback-on-failure");
    let wait = match flags::wait(m)? {
        Wait::HookOnly if rollback_on_failure => Wait::Ready,
        wait => wait,
    };
    let reuse = match (m.on("reset-values"), m.on("reuse-values"), m.on("reset-then-reuse-values")) {
        (true, _, _) => Reuse::Reset,
        (_, true, _) => Reuse::Reuse,
        (_, _, true) => Reuse::ResetThenReuse,
        _ => Reuse::Auto,
    };
    Ok(Upgrade {
        name: name.to_string(),
        dry_run: flags::dry_run(m, DryRun::No)?,
        hide_secret: m.on("hide-secret"),
        no_hooks: m.on("no-hooks"),
        wait,
        wait_for_jobs: m.on("wait-for-jobs"),
        timeout: flags::timeout(m)?,
        rollback_on_failure,
        cleanup_on_fail: m.on("cleanup-on-fail"),
        sub_notes: m.on("render-subchart-notes"),
        skip_schema: m.on("skip-schema-validation"),
        enable_dns: m.on("enable-dns"),
        take_ownership: m.on("take-ownership"),
        reuse,
        max_history: m.number("history-max", settings.max_history)?,
        description: m.value("description").unwrap_or_default().to_string(),
        labels: labels(m)?,
        server_side: m.value("server-side").unwrap_or("auto").to_string(),
        force_conflicts: m.on("force-conflicts"),
        force_replace: m.on("force-replace") || m.on("force"),
        strict: !m.on("disable-openapi-validation"),
        post_renderer: crate::plugins::post_renderer(m, settings)?,
    })
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::exactly(m, "helm upgrade", "[RELEASE] [CHART]", 2)?;
    let format = Format::parse(m.value("output"))?;
    let (name, reference) = (words[0], words[1]);
    let this = read(m, settings, name)?;
    if m.on("install") && install_instead(m, settings, name, reference, format).await? {
        return Ok(());
    }
    let path = locate::chart(m, settings, reference).await?;
    let values = crate::valueopts::read(m).await?;
    let chart = load_installable(m, settings, &path).await?;
    let cluster = Cluster::connect(settings).await.map_err(|e| e.of("UPGRADE FAILED"))?;
    let namespace = cluster.namespace.clone();
    let release = upgrade(&this, settings, &cluster, &namespace, chart, values).await.map_err(|(_, e)| e.of("UPGRADE FAILED"))?;
    if format == Format::Table {
        out(&format!("Release {name:?} has been upgraded. Happy Helming!\n"));
    }
    print_release(&release, format, settings.debug, m.on("hide-notes"));
    Ok(())
}

/// Installs where there is no release of the name, or one that is uninstalled; tells whether it did.
async fn install_instead(m: &ArgMatches, settings: &Settings, name: &str, reference: &str, format: Format) -> Outcome<bool> {
    let cluster = Cluster::connect(settings).await?;
    cluster.reachable().await?;
    let storage = Storage::new(&cluster, settings, &cluster.namespace)?;
    let uninstalled = match storage.last(name).await {
        Ok(last) if last.release.info.status == Status::Uninstalled => true,
        Ok(_) => return Ok(false),
        Err(e) if e.text == NOT_FOUND => false,
        Err(e) => return Err(e),
    };
    if format == Format::Table {
        out(&format!("Release {name:?} does not exist. Installing it now.\n"));
    }
    let mut this = install::read(m, settings, cluster.namespace.clone(), DryRun::No)?;
    this.replace |= uninstalled;
    let release = install::install_from(m, settings, &[name, reference], this).await.map_err(|(_, e)| e)?;
    print_release(&release, format, settings.debug, m.on("hide-notes"));
    Ok(true)
}
