//! `helm test`: the tests that a release brings.
// Upstream: helm pkg/cmd/release_testing.go, pkg/action/release_testing.go.

use charts::Release;
use charts::release::Hook;
use clap::{ArgMatches, Command};

use super::status::table;
use crate::cluster::Cluster;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _, many, switch, text};
use crate::ops::apply::How;
use crate::ops::hooks::{self, Runner};
use crate::output::out;
use crate::settings::Settings;
use crate::storage::Storage;

pub fn command() -> Command {
    flags::command("test", "Run the tests of a release").args([
        many("filter", "run name=TEST only, or all but '!name=TEST'"),
        switch("logs", "show the logs of the tests"),
        text("timeout", "how long one test may take, e.g. 5m0s"),
    ])
}

/// Which tests are asked for.
fn wanted(m: &ArgMatches) -> impl Fn(&Hook) -> bool {
    let filters = m.listed("filter");
    let names = |prefix: &str| filters.iter().filter_map(|f| f.strip_prefix(prefix)).map(str::to_string).collect::<Vec<_>>();
    let (only, but) = (names("name="), names("!name="));
    move |hook| (only.is_empty() || only.contains(&hook.name)) && !but.contains(&hook.name)
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::exactly(m, "helm test", "[RELEASE]", 1)?;
    let cluster = Cluster::connect(settings).await?;
    cluster.reachable().await?;
    let storage = Storage::new(&cluster, settings, &cluster.namespace)?;
    crate::ops::install::validate_name(words[0]).map_err(|_| Failure::new(format!("releaseTest: Release name is invalid: {}", words[0])))?;
    let mut release = storage.last(words[0]).await?.release;
    let how = How { server_side: true, force_conflicts: false, force_replace: false, strict: true };
    let runner = Runner { cluster: &cluster, timeout: flags::timeout(m)?, how };
    let ran = hooks::run_some(runner, &mut release, "test", wanted(m)).await;
    arrange(m, &mut release.hooks);
    storage.update(&release).await?;
    out(&table(&release, settings.debug, false, true, ""));
    if m.on("logs") {
        out("\n");
        logs(m, &cluster, &release).await?;
    }
    ran
}

/// Hooks that were left out go before those that ran, as upstream records them.
fn arrange(m: &ArgMatches, hooks: &mut [Hook]) {
    let fits = wanted(m);
    if !m.listed("filter").is_empty() {
        hooks.sort_by_key(|h| fits(h));
    }
}

async fn logs(m: &ArgMatches, cluster: &Cluster, release: &Release) -> Outcome {
    let fits = wanted(m);
    let mut tests: Vec<&Hook> = release.hooks.iter().filter(|h| h.is_for("test") && h.kind == "Pod" && fits(h)).collect();
    tests.sort_by_key(|h| h.weight);
    for hook in tests {
        let path = format!("/api/v1/namespaces/{}/pods/{}", release.namespace, hook.name);
        let pod = cluster.get(&path).await.map_err(|e| Failure::new(format!("unable to get pod logs for {}: {}", hook.name, e.message)))?;
        for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
            let container = container["name"].as_str().unwrap_or_default();
            let text = cluster.get_text(&format!("{path}/log?container={container}")).await.map_err(|e| Failure::new(format!("unable to get pod logs for {}: {}", hook.name, e.message)))?;
            out(&format!("POD LOGS: {}\n{text}\n", hook.name));
        }
    }
    Ok(())
}
