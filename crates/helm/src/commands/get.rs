//! `helm get`: what a release was made of.
// Upstream: helm pkg/cmd/get_*.go.

use charts::Release;
use charts::release::Hook;
use clap::{ArgMatches, Command};
use serde_json::{Map, Value, json};

use super::status::table;
use crate::cluster::Cluster;
use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _, output, switch, text};
use crate::ops::values::coalesce;
use crate::output::{Format, out};
use crate::ops::install::validate_name;
use crate::settings::Settings;
use crate::storage::{Record, Storage};

pub fn command() -> Command {
    let one = |name, about| flags::command(name, about).arg(text("revision", "of this revision instead of the last"));
    Command::new("get").about("Show what a release was made of").subcommand_required(true).arg_required_else_help(true).subcommands([
        one("all", "everything").arg(text("template", "a template to show it with")),
        one("hooks", "the hooks"),
        one("manifest", "the manifest"),
        one("metadata", "the names, versions and labels").arg(output()),
        one("notes", "the notes"),
        one("values", "the values").args([switch("all", "also those that the user did not give").short('a'), output()]),
    ])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let Some((what, m)) = m.subcommand() else { return Err(Failure::new("no part of the release is named")) };
    let words = flags::exactly(m, &format!("helm get {what}"), "RELEASE_NAME", 1)?;
    let cluster = Cluster::connect(settings).await?;
    cluster.reachable().await?;
    validate_name(words[0]).map_err(|_| Failure::new(format!("releaseContent: Release name is invalid: {}", words[0])))?;
    let record = Storage::new(&cluster, settings, &cluster.namespace)?.get(words[0], m.number("revision", 0)?).await?;
    let release = &record.release;
    match what {
        "all" => all(m, release)?,
        "hooks" => out(&hooks(release)),
        "manifest" => out(&format!("{}\n", release.manifest)),
        "metadata" => metadata(m, &record)?,
        "notes" if release.info.notes.is_empty() => {}
        "notes" => out(&format!("NOTES:\n{}\n", release.info.notes)),
        _ => values(m, release)?,
    }
    Ok(())
}

fn hooks(release: &Release) -> String {
    let one = |h: &Hook| format!("---\n# Source: {}\n{}\n", h.path, h.manifest);
    release.hooks.iter().map(one).collect()
}

fn computed(release: &Release) -> Outcome<Map<String, Value>> {
    Ok(coalesce(&release.chart, &release.config)?)
}

fn all(m: &ArgMatches, release: &Release) -> Outcome {
    if let Some(template) = m.value("template").filter(|t| !t.is_empty()) {
        let value = json!({ "Release": exported(release) });
        out(&charts::render::line("_", template, &value, charts::render::MissingKey::Zero).map_err(Failure::new)?);
        return Ok(());
    }
    let head = table(release, false, true, true, "");
    // Upstream: where nothing was given, there is no map.
    let given = if release.config.is_empty() { Value::Null } else { Value::Object(release.config.clone()) };
    let config = goyaml::to_yaml(&given);
    let whole = goyaml::to_yaml(&Value::Object(computed(release)?));
    let notes = if release.info.notes.is_empty() { String::new() } else { format!("NOTES:\n{}\n", release.info.notes.trim()) };
    out(&format!("{head}USER-SUPPLIED VALUES:\n{config}\nCOMPUTED VALUES:\n{whole}\nHOOKS:\n{}MANIFEST:\n{}\n{notes}", hooks(release), release.manifest));
    Ok(())
}

/// A release with the names that Go templates see: fields begin with a capital.
fn exported(release: &Release) -> Value {
    let chart = &release.chart.metadata;
    json!({
        "Name": release.name,
        "Namespace": release.namespace,
        "Version": release.revision,
        "Manifest": release.manifest,
        "Config": release.config,
        "Chart": { "Metadata": { "Name": chart.name, "Version": chart.version, "AppVersion": chart.app_version, "Description": chart.description, "APIVersion": chart.api_version }, "Values": release.chart.values },
        "Info": { "Status": release.info.status.as_str(), "Description": release.info.description, "Notes": release.info.notes, "FirstDeployed": release.info.first_deployed, "LastDeployed": release.info.last_deployed },
        "Hooks": release.hooks.iter().map(|h| json!({ "Name": h.name, "Kind": h.kind, "Path": h.path, "Manifest": h.manifest, "Events": h.events, "Weight": h.weight })).collect::<Vec<_>>(),
        "Labels": release.labels,
    })
}

fn values(m: &ArgMatches, release: &Release) -> Outcome {
    let format = Format::parse(m.value("output"))?;
    let shown = if m.on("all") { computed(release)? } else { release.config.clone() };
    // Upstream: nothing given is null in JSON, whole in YAML.
    let value = if shown.is_empty() && !m.on("all") && format == Format::Json { Value::Null } else { Value::Object(shown) };
    if format == Format::Json {
        out(&format!("{}\n", goyaml::to_json(&value)));
    } else if !format.print(&value) {
        let head = if m.on("all") { "COMPUTED VALUES:" } else { "USER-SUPPLIED VALUES:" };
        let value = if value.as_object().is_some_and(Map::is_empty) { Value::Null } else { value };
        out(&format!("{head}\n{}", goyaml::to_yaml(&value)));
    }
    Ok(())
}

fn metadata(m: &ArgMatches, record: &Record) -> Outcome {
    let format = Format::parse(m.value("output"))?;
    let (release, chart) = (&record.release, &record.release.chart.metadata);
    let labels: std::collections::BTreeMap<String, String> = serde_json::from_value(record.object["metadata"]["labels"].clone()).unwrap_or_default();
    let deployed_at = release.info.last_deployed.parse::<jiff::Timestamp>().map(|t| t.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
    let mut value = json!({
        "name": release.name, "chart": chart.name, "version": chart.version, "appVersion": chart.app_version, "namespace": release.namespace, "revision": release.revision,
        "status": release.info.status.as_str(), "deployedAt": deployed_at,
    });
    let dependencies: Vec<Value> = chart.dependencies.iter().map(|d| serde_json::to_value(d).unwrap_or_default()).collect();
    for (key, part) in [("annotations", json!(chart.annotations)), ("labels", json!(labels)), ("dependencies", Value::Array(dependencies)), ("applyMethod", json!(release.apply_method))] {
        if part != json!({}) && part != json!([]) && part != "" {
            value[key] = part;
        }
    }
    const ORDER: [&str; 12] = ["name", "chart", "version", "appVersion", "annotations", "labels", "dependencies", "namespace", "revision", "status", "deployedAt", "applyMethod"];
    if format.print_in_order(&value, &ORDER) {
        return Ok(());
    }
    let pairs = |map: &std::collections::BTreeMap<String, String>| map.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
    let names: Vec<&str> = chart.dependencies.iter().map(|d| d.name.as_str()).collect();
    let method = match release.apply_method.as_str() {
        "ssa" => "server-side apply",
        "csa" => "client-side apply",
        _ => "client-side apply (defaulted)",
    };
    out(&format!(
        "NAME: {}\nCHART: {}\nVERSION: {}\nAPP_VERSION: {}\nANNOTATIONS: {}\nLABELS: {}\nDEPENDENCIES: {}\nNAMESPACE: {}\nREVISION: {}\nSTATUS: {}\nDEPLOYED_AT: {deployed_at}\nAPPLY_METHOD: {method}\n",
        release.name, chart.name, chart.version, chart.app_version, pairs(&chart.annotations), pairs(&labels), names.join(","), release.namespace, release.revision, release.info.status.as_str(),
    ));
    Ok(())
}
