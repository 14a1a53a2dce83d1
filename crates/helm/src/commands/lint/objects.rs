//! What a chart's rendered templates and its definitions of resources are told: YAML, names, selectors, versions of APIs.
// Upstream: helm pkg/chart/v2/lint/rules/template.go and crds.go.

use std::collections::BTreeMap;

use charts::Chart;
use serde_json::Value;

use super::{Report, Severity, deprecations};

/// Checks the rendered files of the chart's own templates; those of the charts below have their own turn.
pub fn templates(chart: &Chart, files: &BTreeMap<String, String>, minor: u32, report: &mut Report) {
    for template in &chart.templates {
        let name = template.name.as_str();
        let extension = name.rsplit('/').next().and_then(|base| base.rfind('.').map(|at| &base[at..])).unwrap_or_default();
        if ![".yaml", ".yml", ".tpl", ".txt"].contains(&extension) {
            report.say(Severity::Error, name, format!("file extension '{extension}' not valid. Valid extensions are .yaml, .yml, .tpl, or .txt"));
        }
        let text = files.get(&format!("{}/{name}", chart.name())).map_or("", String::as_str);
        if !matches!(extension.to_lowercase().as_str(), ".yaml" | ".yml") || text.trim().is_empty() {
            continue;
        }
        if let Some(line) = text.lines().find(|l| !l.trim().is_empty()).filter(|l| l.starts_with([' ', '\t'])) {
            report.say(Severity::Warning, name, format!("document starts with an illegal indent: {line:?}, which may cause parsing problems"));
        }
        for document in documents(text) {
            let Ok(value) = read(&document, name, report) else { return };
            if !value.is_null() {
                object(&value, text, name, minor, report);
            }
        }
    }
}

/// Checks the files of `crds/`.
pub fn definitions(chart: &Chart, report: &mut Report) {
    if !chart.files.iter().any(|f| f.name.starts_with("crds/")) {
        return;
    }
    let prefix = format!("{}/", chart.name());
    for (name, file) in chart.crds() {
        let name = name.strip_prefix(&prefix).unwrap_or(&name);
        for document in documents(&file.text()) {
            let Ok(value) = read(&document, name, report) else { return };
            if value.is_null() {
                continue;
            }
            if !value["apiVersion"].as_str().unwrap_or_default().starts_with("apiextensions.k8s.io") {
                report.say(Severity::Error, name, "apiVersion is not in 'apiextensions.k8s.io'");
            }
            if value["kind"] != "CustomResourceDefinition" {
                report.say(Severity::Error, name, "object kind is not 'CustomResourceDefinition'");
            }
        }
    }
}

/// The documents of a file, divided by lines of dashes.
// Upstream: k8s.io/apimachinery/pkg/util/yaml YAMLReader.
fn documents(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in text.split_inclusive('\n') {
        let divides = line.strip_prefix("---").is_some_and(|rest| rest.trim().is_empty() || rest.trim().starts_with('#'));
        match all.last_mut() {
            Some(last) if !(divides && !last.is_empty()) => last.push_str(line),
            _ => all.push(String::new()),
        }
    }
    all.retain(|d| !d.is_empty());
    all
}

fn read(document: &str, path: &str, report: &mut Report) -> Result<Value, ()> {
    match goyaml::from_yaml(document) {
        Err(e) => report.say(Severity::Error, path, format!("unable to parse YAML: error converting YAML to JSON: {e}")),
        Ok(value) if value.is_null() || value.is_object() => return Ok(value),
        Ok(value) => {
            let kind = charts::values::json_kind(&value);
            report.say(Severity::Error, path, format!("unable to parse YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {kind} into Go value of type rules.k8sYamlStruct"));
        }
    }
    Err(())
}

fn object(value: &Value, text: &str, path: &str, minor: u32, report: &mut Report) {
    let part = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let (api_version, kind, name) = (part(&value["apiVersion"]), part(&value["kind"]), part(&value["metadata"]["name"]));
    let faults: Vec<String> = name_faults(&kind, &name).into_iter().map(|fault| format!("metadata.name: Invalid value: {name:?}: {fault}")).collect();
    if !faults.is_empty() {
        let all = if faults.len() == 1 { faults.concat() } else { format!("[{}]", faults.join(", ")) };
        report.say(Severity::Warning, path, format!("object name does not conform to Kubernetes naming requirements: {name:?}: {all}"));
    }
    if let Some(notice) = deprecations::notice(&api_version, &kind, minor) {
        report.say(Severity::Warning, path, notice);
    }
    let selects = matches!(kind.as_str(), "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet");
    if selects && !text.contains("matchLabels") && !text.contains("matchExpressions") {
        report.say(Severity::Error, path, format!("a {kind} must contain matchLabels or matchExpressions, and {name:?} does not"));
    }
    let is_kept = |item: &Value| item["metadata"]["annotations"].get("helm.sh/resource-policy").is_some();
    if kind == "List" && value["items"].as_array().is_some_and(|items| items.iter().any(is_kept)) {
        report.say(Severity::Error, path, "annotation 'helm.sh/resource-policy' within List objects are ignored");
    }
}

/// What is wrong with an object's name; kinds have rules of their own.
fn name_faults(kind: &str, name: &str) -> Vec<String> {
    let found = match kind.to_lowercase().as_str() {
        "certificatesigningrequest" => Vec::new(),
        "service" => api::names::dns1035_label(name),
        "namespace" => api::names::dns1123_label(name),
        "role" | "clusterrole" | "rolebinding" | "clusterrolebinding" => api::names::path_segment(name),
        _ => api::names::dns1123_subdomain(name),
    };
    found.into_iter().map(|f| f.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::documents;

    #[test]
    fn documents_keep_their_lines() {
        assert_eq!(documents("---\na: 1\n--- # two\nb: 2\n---\n"), ["---\na: 1\n", "b: 2\n"]);
        assert_eq!(documents("\na: 1\n"), ["\na: 1\n"]);
    }
}
