//! `helm list`: the releases of a namespace, or of all.
// Upstream: helm pkg/cmd/list.go, pkg/action/list.go.

use std::collections::BTreeMap;

use charts::{Release, Status};
use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _, output, switch, text};
use crate::output::{Format, Table, go_time, out};
use crate::settings::Settings;
use crate::storage::Storage;

pub fn command() -> Command {
    flags::command("list", "Show the releases").visible_alias("ls").args([
        switch("all-namespaces", "of all namespaces").short('A'),
        switch("all", "in all states, which is the default").short('a').hide(true),
        switch("short", "names only").short('q'),
        switch("no-headers", "without the line of headings"),
        switch("date", "sort by time").short('d'),
        switch("reverse", "sort the other way").short('r'),
        switch("deployed", "those deployed"),
        switch("failed", "those failed"),
        switch("pending", "those at which an operation is at work"),
        switch("superseded", "those superseded"),
        switch("uninstalled", "those kept as history"),
        switch("uninstalling", "those being uninstalled"),
        text("max", "how many at most").short('m'),
        text("offset", "leave out so many first"),
        text("filter", "a regular expression that names must match").short('f'),
        text("selector", "labels that records must have").short('l'),
        text("time-format", "format of times, as Go writes one"),
        output(),
    ])
}

/// `chart-version`, or `MISSING` where a record has no chart.
pub fn chart_name(release: &Release) -> String {
    let metadata = &release.chart.metadata;
    if metadata.name.is_empty() { "MISSING".into() } else { format!("{}-{}", metadata.name, metadata.version) }
}

fn wanted(m: &ArgMatches) -> impl Fn(Status) -> bool {
    let any = ["deployed", "failed", "pending", "superseded", "uninstalled", "uninstalling"].map(|n| m.on(n));
    let none = any.iter().all(|on| !on);
    move |status| match status {
        _ if none => true,
        Status::Deployed => any[0],
        Status::Failed => any[1],
        Status::PendingInstall | Status::PendingUpgrade | Status::PendingRollback => any[2],
        Status::Superseded => any[3],
        Status::Uninstalled => any[4],
        Status::Uninstalling => any[5],
        Status::Unknown => false,
    }
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    flags::exactly(m, "helm list", "", 0)?;
    let format = Format::parse(m.value("output"))?;
    let cluster = Cluster::connect(settings).await?;
    cluster.reachable().await?;
    let pattern = m.value("filter").filter(|f| !f.is_empty());
    let fault = |e: regex::Error| Failure::new(pattern.and_then(super::search::pattern_fault).unwrap_or_else(|| format!("error parsing regexp: {e}")));
    let filter = pattern.map(regex::Regex::new).transpose().map_err(fault)?;
    let namespace = if m.on("all-namespaces") { "" } else { &cluster.namespace };
    let selector = m.value("selector").filter(|s| !s.is_empty()).map(|s| format!(",{s}")).unwrap_or_default();
    let records = Storage::new(&cluster, settings, namespace)?.list(&format!("owner=helm{selector}")).await?;
    // Of each release the last revision counts, superseded ones where they are asked for.
    let mut latest: BTreeMap<(String, String), Release> = BTreeMap::new();
    let mut shown: Vec<Release> = Vec::new();
    let fits = wanted(m);
    for record in records {
        let release = record.release;
        if filter.as_ref().is_some_and(|f| !f.is_match(&release.name)) {
            continue;
        }
        if m.on("superseded") && release.info.status == Status::Superseded {
            shown.push(release);
            continue;
        }
        let key = (release.namespace.clone(), release.name.clone());
        if latest.get(&key).is_none_or(|l| l.revision < release.revision) {
            latest.insert(key, release);
        }
    }
    shown.extend(latest.into_values().filter(|r| fits(r.info.status)));
    sort(m, &mut shown);
    let (offset, most) = (m.number("offset", 0usize)?, m.number("max", 256usize)?);
    let shown: Vec<Release> = shown.into_iter().skip(offset).take(if most == 0 { usize::MAX } else { most }).collect();
    print(m, &shown, format)
}

fn sort(m: &ArgMatches, releases: &mut [Release]) {
    if m.on("date") {
        let key = |r: &Release| r.info.last_deployed.parse::<jiff::Timestamp>().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        releases.sort_by_key(|r| (key(r), r.name.clone()));
    } else {
        releases.sort_by(|a, b| (&a.name, &a.namespace, a.revision).cmp(&(&b.name, &b.namespace, b.revision)));
    }
    if m.on("reverse") {
        releases.reverse();
    }
}

fn print(m: &ArgMatches, releases: &[Release], format: Format) -> Outcome {
    let time = |r: &Release| match m.value("time-format").filter(|f| !f.is_empty()) {
        Some(layout) => charts::render::line("time", &format!("{{{{ dateInZone {layout:?} (toDate \"2006-01-02T15:04:05.999999999Z07:00\" .) \"Local\" }}}}"), &Value::String(r.info.last_deployed.clone()), charts::render::MissingKey::Zero).map_err(Failure::new),
        None => Ok(go_time(&r.info.last_deployed)),
    };
    if m.on("short") {
        let names: Vec<Value> = releases.iter().map(|r| Value::String(r.name.clone())).collect();
        if !format.print(&Value::Array(names)) {
            out(&releases.iter().map(|r| format!("{}\n", r.name)).collect::<String>());
        }
        return Ok(());
    }
    let mut table = if m.on("no-headers") { Table::without_header() } else { Table::new(&["NAME", "NAMESPACE", "REVISION", "UPDATED", "STATUS", "CHART", "APP VERSION"]) };
    let mut entries = Vec::new();
    for r in releases {
        let (updated, status, app) = (time(r)?, r.info.status.as_str(), &r.chart.metadata.app_version);
        entries.push(json!({ "name": r.name, "namespace": r.namespace, "revision": r.revision.to_string(), "updated": updated, "status": status, "chart": chart_name(r), "app_version": app }));
        table.row(vec![r.name.clone(), r.namespace.clone(), r.revision.to_string(), updated, status.to_string(), chart_name(r), app.clone()]);
    }
    if !format.print_in_order(&Value::Array(entries), &["name", "namespace", "revision", "updated", "status", "chart", "app_version"]) {
        out(&table.render());
    }
    Ok(())
}
