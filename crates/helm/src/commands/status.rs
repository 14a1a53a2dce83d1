//! `helm status`, and how a release is shown after it was made.
// Upstream: helm pkg/cmd/status.go.

use charts::Release;
use clap::{ArgMatches, Command};
use serde_json::{Map, Value};

use crate::cluster::{Cluster, parse_objects};
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _, output, text};
use crate::ops::values::coalesce;
use crate::output::{Format, ansic, out};
use crate::ops::install::validate_name;
use crate::settings::Settings;
use crate::storage::{Storage, escape};

pub fn command() -> Command {
    flags::command("status", "Show how a release is").args([text("revision", "of this revision instead of the last"), output()])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::exactly(m, "helm status", "RELEASE_NAME", 1)?;
    let format = Format::parse(m.value("output"))?;
    let cluster = Cluster::connect(settings).await?;
    cluster.reachable().await?;
    validate_name(words[0]).map_err(|_| Failure::new(format!("releaseContent: Release name is invalid: {}", words[0])))?;
    let storage = Storage::new(&cluster, settings, &cluster.namespace)?;
    let release = storage.get(words[0], m.number("revision", 0)?).await?.release;
    let resources = resources(&cluster, &release, format == Format::Table).await?;
    if format == Format::Table {
        out(&table(&release, false, false, false, &tables(&resources)));
        return Ok(());
    }
    let mut value = release.to_value();
    if let Some(map) = value.as_object_mut() {
        map.remove("chart");
    }
    if !resources.is_empty() {
        value["info"]["resources"] = Value::Object(resources);
    }
    format.print(&value);
    Ok(())
}

/// Shows a release that was made just now.
pub fn print_release(release: &Release, format: Format, debug: bool, hide_notes: bool) {
    if !format.print(&release.to_value()) {
        out(&table(release, debug, false, hide_notes, ""));
    }
}

/// The text that tells of a release.
pub fn table(release: &Release, debug: bool, metadata: bool, hide_notes: bool, resources: &str) -> String {
    let mut text = format!("NAME: {}\n", release.name);
    if !release.info.last_deployed.is_empty() {
        text += &format!("LAST DEPLOYED: {}\n", ansic(&release.info.last_deployed));
    }
    text += &format!("NAMESPACE: {}\nSTATUS: {}\nREVISION: {}\n", release.namespace, release.info.status.as_str(), release.revision);
    if metadata {
        let chart = &release.chart.metadata;
        text += &format!("CHART: {}\nVERSION: {}\nAPP_VERSION: {}\n", chart.name, chart.version, chart.app_version);
    }
    text += &format!("DESCRIPTION: {}\n", release.info.description);
    if !resources.is_empty() {
        text += &format!("RESOURCES:\n{resources}\n");
    }
    text += &tests(release);
    if debug {
        let computed = coalesce(&release.chart, &release.config).unwrap_or_default();
        text += &format!("USER-SUPPLIED VALUES:\n{}\n", goyaml::to_yaml(&Value::Object(release.config.clone())));
        text += &format!("COMPUTED VALUES:\n{}\n", goyaml::to_yaml(&Value::Object(computed)));
    }
    if debug || release.info.description.eq_ignore_ascii_case("Dry run complete") {
        let hooks: String = release.hooks.iter().map(|h| format!("---\n# Source: {}\n{}\n", h.path, h.manifest)).collect();
        text += &format!("HOOKS:\n{hooks}MANIFEST:\n{}\n", release.manifest);
    }
    if !hide_notes && !release.info.notes.is_empty() {
        text += &format!("NOTES:\n{}\n", release.info.notes.trim());
    }
    text
}

fn tests(release: &Release) -> String {
    let tests: Vec<_> = release.hooks.iter().filter(|h| h.is_for("test")).collect();
    if tests.is_empty() {
        return "TEST SUITE: None\n".into();
    }
    let ran = tests.iter().filter(|h| !h.last_run.started_at.is_empty());
    ran.map(|h| {
        let run = &h.last_run;
        format!("TEST SUITE:     {}\nLast Started:   {}\nLast Completed: {}\nPhase:          {}\n", h.name, ansic(&run.started_at), ansic(&run.completed_at), run.phase)
    })
    .collect()
}

/// The objects of a release by version and kind, as they are in the cluster; their pods under a name of their own.
// Upstream: helm pkg/kube/client.go Get.
async fn resources(cluster: &Cluster, release: &Release, as_tables: bool) -> Outcome<Map<String, Value>> {
    const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let accept = if as_tables { TABLE } else { "application/json" };
    let include = if as_tables { "?includeObject=Object" } else { "" };
    let mut out = Map::new();
    let mut seen = Vec::new();
    let mut push = |key: String, value: Value| match out.entry(key).or_insert_with(|| Value::Array(Vec::new())) {
        Value::Array(list) => list.push(value),
        _ => {}
    };
    for object in parse_objects(&release.manifest, cluster.discovery().await?, &release.namespace)? {
        let Ok(live) = cluster.get_as(&format!("{}{include}", object.path()), accept).await else { continue };
        let version = object.resource.group_version.rsplit('/').next().unwrap_or_default().to_string();
        push(format!("{version}/{}", object.kind()), live);
        let Some(selector) = selector(&object.value) else { continue };
        if seen.contains(&selector) {
            continue;
        }
        let namespace = object.namespace.clone().unwrap_or_default();
        let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={}{}", escape(&selector), include.replace('?', "&"));
        if let Ok(pods) = cluster.get_as(&path, accept).await {
            match pods["items"].as_array() {
                Some(items) if !as_tables => items.iter().for_each(|p| push("v1/Pod(related)".into(), with_kind(p))),
                _ => push("v1/Pod(related)".into(), pods),
            }
        }
        seen.push(selector);
    }
    Ok(out)
}

fn with_kind(pod: &Value) -> Value {
    let mut pod = pod.clone();
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod
}

fn selector(object: &Value) -> Option<String> {
    let labels = match object["kind"].as_str()? {
        "ReplicaSet" | "Deployment" | "StatefulSet" | "DaemonSet" | "Job" => &object["spec"]["selector"]["matchLabels"],
        "ReplicationController" => &object["spec"]["selector"],
        _ => return None,
    };
    let pairs: Vec<String> = labels.as_object()?.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    Some(pairs.join(","))
}

/// The server's tables, one after the other.
fn tables(resources: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (key, list) in resources {
        text += &format!("==> {key}\n");
        for table in list.as_array().into_iter().flatten() {
            text += &one_table(table);
        }
        text.push('\n');
    }
    text
}

fn one_table(table: &Value) -> String {
    let shown = |c: &&Value| c["priority"].as_i64().unwrap_or(0) == 0;
    let columns = table["columnDefinitions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let header: Vec<String> = columns.iter().filter(shown).map(|c| c["name"].as_str().unwrap_or_default().to_uppercase()).collect();
    let cell = |v: &Value| v.as_str().map_or_else(|| if v.is_null() { "<none>".into() } else { v.to_string() }, str::to_string);
    let mut rows = vec![header];
    for row in table["rows"].as_array().into_iter().flatten() {
        let cells = row["cells"].as_array().map(Vec::as_slice).unwrap_or_default();
        rows.push(columns.iter().zip(cells).filter(|(c, _)| shown(c)).map(|(_, v)| cell(v)).collect());
    }
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |at: usize| rows.iter().filter_map(|r| r.get(at)).map(|c| c.chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().enumerate().map(|(i, c)| if i + 1 == count { c.clone() } else { format!("{c:w$}", w = widths[i]) }).collect();
        format!("{}\n", cells.join("   "))
    };
    rows.iter().map(line).collect()
}
