//! `helm install`: a chart becomes a release.
// Upstream: helm pkg/cmd/install.go.

use std::collections::BTreeMap;

use charts::{Chart, Release};
use clap::{ArgMatches, Command};

use super::status::print_release;
use crate::failure::{Failure, Outcome, warn};
use crate::flags::{self, DryRun, Read as _, Wait, chart_flags, many, optional, output, switch, text, value_flags};
use crate::ops::apply::How;
use crate::ops::install::{Install, run as install};
use crate::output::{Format, out};
use crate::settings::Settings;
use crate::source::locate;

const PATH: &str = "helm install";
const USAGE: &str = "[NAME] [CHART]";

pub fn command() -> Command {
    install_flags(flags::command("install", "Install a chart")).args([switch("hide-secret", "leave Secrets out of what --dry-run shows"), output()]).after_help(
        "Examples:\n  helm install web ./web\n  helm install web ./web -f production.yaml --set replicas=3\n  helm install web repo/chart --version ^1.2\n  helm install web oci://registry.example.com/charts/web --wait",
    )
}

/// The flags that `install` and `template` share.
pub fn install_flags(command: Command) -> Command {
    chart_flags(value_flags(command)).args([
        switch("create-namespace", "make the namespace where it is not there"),
        optional("dry-run", "unset", "try only: client (asks no cluster) or server"),
        switch("force-replace", "replace objects instead of patching them"),
        switch("force", "the older name of --force-replace").hide(true),
        switch("force-conflicts", "take fields that others own"),
        optional("server-side", "true", "apply objects on the server: true or false"),
        switch("no-hooks", "run no hooks"),
        switch("replace", "take the name of a release that is kept as history"),
        text("timeout", "how long one operation may take, e.g. 5m0s"),
        optional("wait", "watcher", "wait until all is ready: watcher, hookOnly or legacy"),
        switch("wait-for-jobs", "wait for jobs too"),
        switch("generate-name", "make up a name").short('g'),
        text("name-template", "template of the name"),
        text("description", "description of the revision"),
        switch("devel", "take versions that are not released yet"),
        switch("dependency-update", "fetch missing dependencies first"),
        switch("disable-openapi-validation", "do not refuse unknown fields"),
        switch("rollback-on-failure", "uninstall what could not be installed; waits"),
        switch("atomic", "the older name of --rollback-on-failure").hide(true),
        switch("skip-crds", "leave out the definitions in crds/"),
        switch("render-subchart-notes", "show the notes of charts below too"),
        switch("skip-schema-validation", "do not hold the values against values.schema.json"),
        many("labels", "labels of the release's record: a=b,c=d").short('l'),
        switch("enable-dns", "let templates look up names"),
        switch("hide-notes", "do not show the notes"),
        switch("take-ownership", "take over objects that are not the release's"),
        text("post-renderer", "plugin that changes what was rendered"),
        many("post-renderer-args", "argument of the post-renderer; again and again"),
    ])
}

pub fn labels(m: &ArgMatches) -> Outcome<BTreeMap<String, String>> {
    let mut out = BTreeMap::new();
    for pair in m.listed("labels") {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Failure::new(format!("invalid argument {pair:?} for \"-l, --labels\" flag: {pair} must be formatted as key=value")));
        };
        if charts::record::is_own_label(key) {
            return Err(Failure::new("user supplied labels contains system reserved label name. System labels: [name owner status version createdAt modifiedAt]"));
        }
        out.insert(key.to_string(), value.to_string());
    }
    Ok(out)
}

/// Reads the flags into what `ops` installs.
pub fn read(m: &ArgMatches, settings: &Settings, namespace: String, default: DryRun) -> Outcome<Install> {
    let rollback_on_failure = m.on("atomic") || m.on("rollback-on-failure");
    let wait = match flags::wait(m)? {
        Wait::HookOnly if rollback_on_failure => Wait::Ready,
        wait => wait,
    };
    Ok(Install {
        name: String::new(),
        namespace,
        create_namespace: m.on("create-namespace"),
        dry_run: flags::dry_run(m, default)?,
        hide_secret: m.on("hide-secret"),
        no_hooks: m.on("no-hooks"),
        replace: m.on("replace"),
        wait,
        wait_for_jobs: m.on("wait-for-jobs"),
        timeout: flags::timeout(m)?,
        rollback_on_failure,
        skip_crds: m.on("skip-crds"),
        sub_notes: m.on("render-subchart-notes"),
        skip_schema: m.on("skip-schema-validation"),
        enable_dns: m.on("enable-dns"),
        take_ownership: m.on("take-ownership"),
        description: m.value("description").unwrap_or_default().to_string(),
        labels: labels(m)?,
        how: How {
            server_side: m.value("server-side").is_none_or(|v| v != "false"),
            force_conflicts: m.on("force-conflicts"),
            force_replace: m.on("force-replace") || m.on("force"),
            strict: !m.on("disable-openapi-validation"),
        },
        post_renderer: crate::plugins::post_renderer(m, settings)?,
        offline: None,
        include_crds: false,
        as_upgrade: false,
    })
}

/// The namespace that a command works in, without a cluster being asked.
pub fn namespace_of(settings: &Settings) -> String {
    settings.namespace.clone().unwrap_or_else(|| {
        let kubeconfig = match &settings.kubeconfig {
            Some(path) => kube::config::Kubeconfig::read_from(path),
            None => kube::config::Kubeconfig::read(),
        };
        let wanted = settings.kube.context.clone();
        let namespace = kubeconfig.ok().and_then(|k| {
            let context = wanted.or(k.current_context)?;
            k.contexts.into_iter().find(|c| c.name == context)?.context?.namespace
        });
        namespace.filter(|n| !n.is_empty()).unwrap_or_else(|| "default".into())
    })
}

/// The name of the release and the reference of the chart, from the words.
// Upstream: helm pkg/action/install.go NameAndChart.
fn name_and_chart(m: &ArgMatches, words: &[&str], name: &str) -> Outcome<(String, String)> {
    if words.len() > 2 {
        return Err(Failure::new(format!("expected at most two arguments, unexpected arguments: {}", words[2..].join(", "))));
    }
    if let [given, chart] = words {
        if m.on("generate-name") {
            return Err(Failure::new("cannot set --generate-name and also specify a name"));
        }
        if m.value("name-template").is_some_and(|t| !t.is_empty()) {
            return Err(Failure::new("cannot set --name-template and also specify a name"));
        }
        return Ok((given.to_string(), chart.to_string()));
    }
    let chart = words[0].to_string();
    if let Some(template) = m.value("name-template").filter(|t| !t.is_empty()) {
        let name = charts::render::line("name-template", template, &serde_json::Value::Null, charts::render::MissingKey::Zero).map_err(Failure::new)?;
        return Ok((name, chart));
    }
    if !name.is_empty() {
        return Ok((name.to_string(), chart));
    }
    if !m.on("generate-name") {
        return Err(Failure::new("must either provide a name or specify --generate-name"));
    }
    let base = chart.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let base = if base.is_empty() || base == "." { "chart" } else { base };
    let base = base.split('.').next().unwrap_or_default();
    Ok((format!("{base}-{}", jiff::Timestamp::now().as_second()), chart))
}

/// Finds the chart and the values, and installs.
pub async fn install_from(m: &ArgMatches, settings: &Settings, words: &[&str], mut this: Install) -> Result<Release, (Option<Box<Release>>, Failure)> {
    let failed = |e: Failure| (None, e);
    let (name, reference) = name_and_chart(m, words, &this.name.clone()).map_err(failed)?;
    this.name = name;
    let path = locate::chart(m, settings, &reference).await.map_err(failed)?;
    let values = crate::valueopts::read(m).await.map_err(failed)?;
    let chart = load_installable(m, settings, &path).await.map_err(failed)?;
    install(&this, settings, chart, values).await
}

/// Loads a chart that can be installed; its dependencies are there, or are fetched if asked.
pub async fn load_installable(m: &ArgMatches, settings: &Settings, path: &std::path::Path) -> Outcome<Chart> {
    let mut chart = charts::load(path).map_err(|e| Failure::new(e.to_string()))?;
    if !matches!(chart.metadata.kind.as_str(), "" | "application") {
        return Err(Failure::new(format!("{} charts are not installable", chart.metadata.kind)));
    }
    if chart.metadata.deprecated {
        warn("this chart is deprecated");
    }
    if let Err(e) = check_dependencies(&chart) {
        if !m.on("dependency-update") {
            return Err(e.of("an error occurred while checking for chart dependencies. You may need to run 'helm dependency build' to fetch missing dependencies"));
        }
        super::dependency::update(m, settings, path, false, &mut out).await?;
        chart = charts::load(path).map_err(|e| Failure::new(format!("failed reloading chart after repo update: {e}")))?;
    }
    Ok(chart)
}

// Upstream: helm pkg/action/install.go CheckDependencies.
pub fn check_dependencies(chart: &Chart) -> Outcome {
    let missing: Vec<&str> = chart.metadata.dependencies.iter().filter(|d| !chart.dependencies.iter().any(|c| c.name() == d.name)).map(|d| d.name.as_str()).collect();
    if missing.is_empty() { Ok(()) } else { Err(Failure::new(format!("found in Chart.yaml, but missing in charts/ directory: {}", missing.join(", ")))) }
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let words = flags::at_least(m, PATH, USAGE, 1)?;
    let format = Format::parse(m.value("output"))?;
    let this = read(m, settings, namespace_of(settings), DryRun::No)?;
    let release = install_from(m, settings, &words, this).await.map_err(|(_, e)| e.of("INSTALLATION FAILED"))?;
    print_release(&release, format, settings.debug, m.on("hide-notes"));
    Ok(())
}
