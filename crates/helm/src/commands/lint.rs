//! `helm lint`: whether a chart is as charts should be.
// Upstream: helm pkg/cmd/lint.go, pkg/chart/v2/lint.

mod deprecations;
mod objects;

use std::path::{Path, PathBuf};

use charts::Chart;
use charts::RenderInput;
use charts::render::ReleaseInfo;
use clap::{ArgMatches, Command};
use serde_json::{Map, Value};

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _, switch, text, value_flags};
use crate::ops::values::{coalesce, settle};
use crate::output::out;

/// The minor version of Kubernetes that is taken where none is named.
const KUBERNETES: u32 = 37;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Severity {
    Info,
    Warning,
    Error,
}

struct Message {
    severity: Severity,
    path: String,
    text: String,
}

#[derive(Default)]
struct Report {
    messages: Vec<Message>,
}

impl Report {
    fn say(&mut self, severity: Severity, path: &str, text: impl Into<String>) {
        self.messages.push(Message { severity, path: path.into(), text: text.into() });
    }

    fn worst(&self) -> Severity {
        self.messages.iter().map(|m| m.severity).max().unwrap_or(Severity::Info)
    }
}

pub fn command() -> Command {
    value_flags(flags::command("lint", "Look for faults in a chart")).args([
        switch("strict", "warnings are errors"),
        switch("with-subcharts", "look at the charts below too"),
        switch("quiet", "show warnings and errors only"),
        switch("skip-schema-validation", "do not hold the values against values.schema.json"),
        text("kube-version", "version of Kubernetes that templates see"),
    ])
}

pub async fn run(m: &ArgMatches) -> Outcome {
    let words = crate::flags::at_least(m, "helm lint", "PATH", 1)?;
    let mut paths: Vec<PathBuf> = words.iter().map(PathBuf::from).collect();
    if let Some(version) = m.value("kube-version").filter(|v| !v.is_empty()) {
        crate::ops::render::kube_version(version)?;
    }
    if m.on("with-subcharts") {
        for path in paths.clone() {
            below(&path.join("charts"), 0, &mut paths);
        }
    }
    let values = crate::valueopts::read(m).await?;
    let (mut text, mut failed) = (String::new(), 0);
    let floor = if m.on("strict") { Severity::Warning } else { Severity::Error };
    for path in &paths {
        if !path.is_file() && !path.join("Chart.yaml").exists() {
            failed += 1;
            text += &format!("==> Linting {0}\nError unable to check Chart.yaml file in chart: stat {0}/Chart.yaml: no such file or directory\n\n", path.display());
            continue;
        }
        if path.is_file()
            && let Err(e) = charts::load(path)
        {
            failed += 1;
            text += &format!("==> Linting {}\nError unable to extract tarball: {}\n\n", path.display(), unpacked(&e.to_string()));
            continue;
        }
        let report = lint(m, path, &values);
        let bad = report.worst() >= floor && !report.messages.is_empty();
        failed += usize::from(bad);
        let quiet = m.on("quiet");
        let shown: Vec<&Message> = report.messages.iter().filter(|m| !quiet || m.severity > Severity::Info).collect();
        if quiet && shown.is_empty() {
            continue;
        }
        text += &format!("==> Linting {}\n", path.display());
        for message in shown {
            let word = ["INFO", "WARNING", "ERROR"][message.severity as usize];
            text += &format!("[{word}] {}: {}\n", message.path, message.text);
        }
        text.push('\n');
    }
    let summary = format!("{} chart(s) linted, {failed} chart(s) failed", paths.len());
    if failed > 0 {
        out(&text);
        return Err(Failure::new(summary));
    }
    if !m.on("quiet") || !text.is_empty() {
        out(&format!("{text}{summary}\n"));
    }
    Ok(())
}

/// Why an archive was not unpacked. Upstream: one that is no archive at all has ended too soon.
fn unpacked(why: &str) -> &str {
    if why.contains("does not appear to be a gzipped archive") { "unexpected EOF" } else { why }
}

fn below(folder: &Path, depth: usize, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| p.join("Chart.yaml").is_file()).collect();
    paths.sort();
    for path in paths {
        if depth < 16 {
            below(&path.join("charts"), depth + 1, out);
        }
        out.push(path);
    }
}

fn lint(m: &ArgMatches, path: &Path, values: &Map<String, Value>) -> Report {
    let mut report = Report::default();
    if path.is_dir() {
        files(path, &mut report);
    }
    let chart = match charts::load(path) {
        Ok(chart) => chart,
        Err(e) => {
            // Upstream: each group of rules loads the chart anew, and tells that it could not.
            if path.is_dir() && !path.join("templates").is_dir() {
                report.say(Severity::Warning, "templates/", "directory does not exist");
            } else {
                report.say(Severity::Error, "templates/", e.to_string());
            }
            report.say(Severity::Error, "", format!("unable to load chart\n\t{e}"));
            return report;
        }
    };
    if !path.is_dir() {
        metadata(&chart.metadata, &Value::Null, chart.files.iter().any(|f| f.name == "requirements.yaml"), &mut report);
    }
    templates(m, &chart, values, &mut report);
    if !path.join("templates").is_dir() && path.is_dir() {
        report.say(Severity::Warning, "templates/", "directory does not exist");
    }
    let folder = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    dependencies(&chart, &folder.display().to_string(), &mut report);
    objects::definitions(&chart, &mut report);
    report
}

/// The fields of Chart.yaml. Upstream: pkg/chart/v2/metadata.go.
const FIELDS: [&str; 17] = [
    "name", "home", "sources", "version", "description", "keywords", "maintainers", "icon", "apiVersion", "condition", "tags", "appVersion", "deprecated", "annotations", "kubeVersion", "dependencies", "type",
];

// Upstream: pkg/chart/v2/lint/rules/chartfile.go, in its order.
fn metadata(m: &charts::Metadata, raw: &Value, has_requirements: bool, report: &mut Report) {
    const FILE: &str = "Chart.yaml";
    if let Some(field) = raw.as_object().and_then(|o| o.keys().find(|k| !FIELDS.contains(&k.as_str()))) {
        report.say(Severity::Warning, FILE, format!("failed to strictly parse chart metadata file\n\terror unmarshaling JSON: while decoding JSON: json: unknown field {field:?}"));
    }
    let typed = |key: &str| match &raw[key] {
        Value::Null | Value::String(_) => None,
        Value::Bool(_) => Some(format!("{key} should be of type string but it's of type bool")),
        Value::Number(_) => Some(format!("{key} should be of type string but it's of type float64")),
        Value::Array(_) => Some(format!("{key} should be of type string but it's of type []interface {{}}")),
        Value::Object(_) => Some(format!("{key} should be of type string but it's of type map[string]interface {{}}")),
    };
    let mut error = |text: String| report.say(Severity::Error, FILE, text);
    if m.name.is_empty() {
        error("name is required".into());
    } else if m.name.contains('/') {
        error(format!("chart name {:?} is invalid", m.name));
    }
    match m.api_version.as_str() {
        "v1" | "v2" => {}
        "" => error("apiVersion is required. The value must be either \"v1\" or \"v2\"".into()),
        other => error(format!("apiVersion '{other}' is not valid. The value must be either \"v1\" or \"v2\"")),
    }
    typed("version").into_iter().for_each(&mut error);
    if m.version.is_empty() {
        error("version is required".into());
    } else if charts::version::Version::parse(&m.version).is_none() {
        error(format!("version '{}' is not a valid SemVer", m.version));
    }
    typed("appVersion").into_iter().for_each(&mut error);
    // Upstream: of several such faults the first is told.
    m.maintainers.iter().find_map(maintainer_fault).into_iter().for_each(&mut error);
    if let Some(source) = m.sources.iter().find(|s| !s.contains("://")) {
        error(format!("invalid source URL '{source}'"));
    }
    if m.icon.is_empty() {
        report.say(Severity::Info, FILE, "icon is recommended");
    } else if !m.icon.contains("://") {
        report.say(Severity::Error, FILE, format!("invalid icon URL '{}'", m.icon));
    }
    if !m.kind.is_empty() && m.api_version != "v2" {
        report.say(Severity::Error, FILE, format!("chart type is not valid in apiVersion '{}'. It is valid in apiVersion 'v2'", m.api_version));
    }
    if m.api_version == "v1" && !m.dependencies.is_empty() && !has_requirements {
        report.say(Severity::Error, FILE, "dependencies are not valid in the Chart file with apiVersion 'v1'. They are valid in apiVersion 'v2'");
    }
    if charts::version::Version::parse_strict(&m.version).is_none() {
        report.say(Severity::Warning, FILE, format!("version '{}' is not a valid SemVerV2", m.version));
    }
}

fn maintainer_fault(who: &charts::chart::Maintainer) -> Option<String> {
    if who.name.is_empty() {
        return Some("each maintainer requires a name".into());
    }
    (!who.email.is_empty() && !who.email.contains('@')).then(|| format!("invalid email '{}' for maintainer '{}'", who.email, who.name))
}

/// Chart.yaml and values.yaml as they stand in a folder, also of a chart that cannot be loaded.
fn files(path: &Path, report: &mut Report) {
    let text = std::fs::read(path.join("Chart.yaml")).unwrap_or_default();
    match charts::load::metadata_of(&text) {
        Ok(found) => {
            let raw = goyaml::from_yaml(&String::from_utf8_lossy(&text)).unwrap_or_default();
            metadata(&found, &raw, path.join("requirements.yaml").exists(), report);
        }
        Err(e) => report.say(Severity::Error, "Chart.yaml", e.to_string()),
    }
    match std::fs::read_to_string(path.join("values.yaml")) {
        Err(_) => report.say(Severity::Info, "values.yaml", "file does not exist"),
        Ok(text) => {
            if let Err(e) = charts::values::read(&text) {
                report.say(Severity::Error, "values.yaml", format!("unable to parse YAML: {}", e.replace("map[string]interface {}", "common.Values")));
            }
        }
    }
}

// Upstream: pkg/chart/v2/lint/rules/template.go.
fn templates(m: &ArgMatches, chart: &Chart, values: &Map<String, Value>, report: &mut Report) {
    let mut chart = chart.clone();
    if let Err(e) = settle(&mut chart, values) {
        return report.say(Severity::Error, "templates/", e);
    }
    let coalesced = match coalesce(&chart, values) {
        Ok(coalesced) => coalesced,
        Err(e) => return report.say(Severity::Error, "templates/", e),
    };
    if !m.on("skip-schema-validation") {
        let own = chart.schema.as_ref().map_or_else(|| Ok(String::new()), |schema| charts::schema::single(schema, &coalesced));
        match own {
            Ok(faults) if faults.is_empty() => {}
            Ok(faults) | Err(faults) => report.say(Severity::Error, "values.yaml", faults),
        }
        if let Err(e) = crate::ops::render::check_schema(&chart, &coalesced) {
            return report.say(Severity::Error, "templates/", e);
        }
    }
    let release = ReleaseInfo { name: "test-release".into(), namespace: "default".into(), revision: 1, is_install: true, is_upgrade: false };
    let mut input = RenderInput::new(&chart, &coalesced, release);
    input.lint = true;
    input.say = Some(std::sync::Arc::new(|notice| eprintln!("{notice}")));
    let mut minor = KUBERNETES;
    if let Some(version) = m.value("kube-version").filter(|v| !v.is_empty()) {
        match crate::ops::render::kube_version(version) {
            Ok(version) => {
                minor = version.minor.parse().unwrap_or(KUBERNETES);
                input.capabilities.kube_version = version;
            }
            Err(e) => return report.say(Severity::Error, "templates/", e.text),
        }
    }
    let files = match charts::render(&input) {
        Ok(files) => files,
        Err(e) => return report.say(Severity::Error, "templates/", e.to_string()),
    };
    objects::templates(&chart, &files, minor, report);
}

// Upstream: pkg/chart/v2/lint/rules/dependencies.go.
fn dependencies(chart: &Chart, folder: &str, report: &mut Report) {
    let (named, here) = (&chart.metadata.dependencies, &chart.dependencies);
    let missing: Vec<&str> = named.iter().filter(|d| !here.iter().any(|c| c.name() == d.name)).map(|d| d.name.as_str()).collect();
    if !missing.is_empty() {
        report.say(Severity::Warning, folder, format!("chart directory is missing these dependencies: {}", missing.join(",")));
    }
    let surplus: Vec<&str> = here.iter().filter(|c| !named.iter().any(|d| d.name == c.name())).map(Chart::name).collect();
    if !surplus.is_empty() {
        report.say(Severity::Error, folder, format!("chart metadata is missing these dependencies: {}", surplus.join(",")));
    }
}
