//! `helm history`: the revisions of a release.
// Upstream: helm pkg/cmd/history.go.

use charts::Release;
use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use super::list::chart_name;
use crate::cluster::Cluster;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _, output, switch, text};
use crate::output::{Format, Table, ansic, out};
use crate::ops::install::validate_name;
use crate::settings::Settings;
use crate::storage::Storage;

pub fn command() -> Command {
    flags::command("history", "Show the revisions of a release").visible_alias("hist").args([
        text("max", "how many at most"),
        switch("show-rollback-revision", "show which revision a rollback went to"),
        output(),
    ])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::exactly(m, "helm history", "RELEASE_NAME", 1)?;
    let format = Format::parse(m.value("output"))?;
    let most = m.number("max", 256usize)?;
    let cluster = Cluster::connect(settings).await?;
    cluster.reachable().await?;
    validate_name(words[0]).map_err(|_| Failure::new(format!("release name is invalid: {}", words[0])))?;
    let history = Storage::new(&cluster, settings, &cluster.namespace)?.history(words[0]).await?;
    let last: Vec<Release> = history.into_iter().rev().take(most).map(|r| r.release).collect();
    let shown: Vec<Release> = last.into_iter().rev().collect();
    let value: Value = shown.iter().map(entry).collect();
    if !format.print_in_order(&value, &["revision", "updated", "status", "chart", "app_version", "rollback_revision", "description"]) {
        out(&table(&shown, m.on("show-rollback-revision")));
    }
    Ok(())
}

fn entry(release: &Release) -> Value {
    let mut out = json!({
        "revision": release.revision,
        "updated": release.info.last_deployed,
        "status": release.info.status.as_str(),
        "chart": chart_name(release),
        "app_version": release.chart.metadata.app_version,
        "description": release.info.description,
    });
    if release.info.rollback_revision > 0 {
        out["rollback_revision"] = release.info.rollback_revision.into();
    }
    out
}

fn table(releases: &[Release], with_rollback: bool) -> String {
    let mut header = vec!["REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION", "DESCRIPTION"];
    if with_rollback {
        header.insert(5, "ROLLBACK REVISION");
    }
    let mut table = Table::new(&header);
    for r in releases {
        let mut cells = vec![r.revision.to_string(), ansic(&r.info.last_deployed), r.info.status.as_str().to_string(), chart_name(r), r.chart.metadata.app_version.clone(), r.info.description.clone()];
        if with_rollback {
            let revision = r.info.rollback_revision;
            cells.insert(5, if revision > 0 { revision.to_string() } else { String::new() });
        }
        table.row(cells);
    }
    table.render()
}
