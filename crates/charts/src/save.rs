//! A chart as an archive, as `helm package` writes it.
// Upstream: helm pkg/chart/v2/util/save.go writeTarContents.

use crate::archive::write_archive;
use crate::chart::{Chart, File};

/// The files that stand for the chart, charts below included, and the name of the archive.
pub fn save(chart: &Chart) -> Result<(String, Vec<u8>), String> {
    chart.metadata.validate()?;
    let mut files = Vec::new();
    collect(chart, "", &mut files);
    let bytes = write_archive(chart.name(), &files).map_err(|e| e.to_string())?;
    Ok((format!("{}-{}.tgz", chart.name(), chart.metadata.version), bytes))
}

/// The text of Chart.yaml.
pub fn chart_yaml(chart: &Chart) -> String {
    let mut metadata = chart.metadata.clone();
    // Upstream: version one of the format keeps its dependencies in requirements.yaml.
    if metadata.api_version == "v1" {
        metadata.dependencies.clear();
    }
    goyaml::to_yaml(&serde_json::to_value(metadata).unwrap_or_default())
}

fn collect(chart: &Chart, prefix: &str, out: &mut Vec<File>) {
    let mut push = |name: &str, data: Vec<u8>| out.push(File { name: format!("{prefix}{name}"), data });
    push("Chart.yaml", chart_yaml(chart).into_bytes());
    if let (Some(lock), "v2") = (&chart.lock, chart.metadata.api_version.as_str()) {
        push("Chart.lock", goyaml::to_yaml(&serde_json::to_value(lock).unwrap_or_default()).into_bytes());
    }
    if let Some(values) = chart.raw.iter().find(|f| f.name == "values.yaml") {
        push("values.yaml", values.data.clone());
    }
    if let Some(schema) = &chart.schema {
        push("values.schema.json", schema.clone());
    }
    for file in chart.templates.iter().chain(&chart.files) {
        push(&file.name, file.data.clone());
    }
    for below in &chart.dependencies {
        collect(below, &format!("{prefix}charts/{}/", below.name()), out);
    }
}
