//! `helm show`: what a chart says of itself.
// Upstream: helm pkg/cmd/show.go, pkg/action/show.go.

use charts::Chart;
use clap::{ArgMatches, Command};

use crate::failure::{Failure, Outcome};
use crate::flags::{self, Read as _, chart_flags, switch, text};
use crate::output::out;
use crate::settings::Settings;
use crate::source::locate;

const README: [&str; 3] = ["readme.md", "readme.txt", "readme"];

pub fn command() -> Command {
    let one = |name, about| chart_flags(flags::command(name, about)).arg(switch("devel", "take versions that are not released yet"));
    Command::new("show").about("Show what a chart says of itself").visible_alias("inspect").subcommand_required(true).arg_required_else_help(true).subcommands([
        one("all", "everything"),
        one("chart", "Chart.yaml"),
        one("crds", "the definitions in crds/"),
        one("readme", "the README"),
        one("values", "values.yaml").arg(text("jsonpath", "show what this path finds in the values instead")),
    ])
}

pub async fn run(m: &ArgMatches, settings: &Settings) -> Outcome {
    let Some((what, m)) = m.subcommand() else { return Err(Failure::new("no part of the chart is named")) };
    let words = flags::exactly(m, &format!("helm show {what}"), "[CHART]", 1)?;
    let path = locate::chart(m, settings, words[0]).await?;
    let chart = charts::load::load_plain(&path).map_err(|e| Failure::new(e.to_string()))?;
    match m.value("jsonpath").filter(|p| !p.is_empty()) {
        Some(path) => out(&found(&chart, path)?),
        None => out(&shown(&chart, what)),
    }
    Ok(())
}

/// What a path finds in the chart's values; what is not there is left out.
fn found(chart: &Chart, path: &str) -> Outcome<String> {
    let template = jsonpath::Template::parse(path).map_err(|e| Failure::new(format!("error parsing jsonpath {path}: {e}")))?;
    template.render(&serde_json::Value::Object(chart.values.clone()), true).map_err(|e| Failure::new(e.to_string()))
}

fn shown(chart: &Chart, what: &str) -> String {
    let wanted = |part: &str| what == part || what == "all";
    let mut text = String::new();
    if wanted("chart") {
        text += &format!("{}\n\n", goyaml::to_yaml(&serde_json::to_value(&chart.metadata).unwrap_or_default()).trim_end());
    }
    if wanted("values") && chart.values_text().is_some() {
        if what == "all" {
            text += "---\n";
        }
        text += &format!("{}\n", chart.values_text().unwrap_or_default());
    }
    if wanted("readme")
        && let Some(file) = chart.files.iter().find(|f| README.contains(&f.name.to_lowercase().as_str()))
    {
        if what == "all" {
            text += "---\n";
        }
        text += &format!("{}\n", file.text());
    }
    if wanted("crds") {
        for (_, file) in chart.crds() {
            let body = file.text();
            let body = if body.starts_with("---") { body } else { format!("---\n{body}") };
            text += &format!("{body}\n");
        }
    }
    text
}
