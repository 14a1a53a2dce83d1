//! What templates gave, taken apart: documents, hooks, the order in which kinds are made and removed.
// Upstream: helm pkg/release/v1/util/manifest.go, manifest_sorter.go, kind_sorter.go.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::release::Hook;

const INSTALL_ORDER: [&str; 38] = [
    "PriorityClass", "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodSecurityPolicy", "PodDisruptionBudget", "ServiceAccount", "Secret", "SecretList",
    "ConfigMap", "StorageClass", "PersistentVolume", "PersistentVolumeClaim", "CustomResourceDefinition", "ClusterRole", "ClusterRoleList", "ClusterRoleBinding",
    "ClusterRoleBindingList", "Role", "RoleList", "RoleBinding", "RoleBindingList", "Service", "DaemonSet", "Pod", "ReplicationController", "ReplicaSet", "Deployment",
    "HorizontalPodAutoscaler", "StatefulSet", "Job", "CronJob", "IngressClass", "Ingress", "APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
];

/// What a hook's annotation may name, and the event it means.
const EVENTS: [(&str, &str); 10] = [
    ("pre-install", "pre-install"), ("post-install", "post-install"), ("pre-delete", "pre-delete"), ("post-delete", "post-delete"), ("pre-upgrade", "pre-upgrade"),
    ("post-upgrade", "post-upgrade"), ("pre-rollback", "pre-rollback"), ("post-rollback", "post-rollback"), ("test", "test"), ("test-success", "test"),
];

/// A document that templates gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// The template it came from.
    pub name: String,
    pub content: String,
    pub kind: String,
    pub api_version: String,
}

/// Hooks and plain manifests, each in the order of their kinds.
#[derive(Debug, Default)]
pub struct Sorted {
    pub hooks: Vec<Hook>,
    pub manifests: Vec<Manifest>,
}

/// A file whose text is no YAML.
#[derive(Debug, thiserror::Error)]
#[error("YAML parse error on {path}: {message}")]
pub struct ManifestError {
    pub path: String,
    pub message: String,
}

/// The documents of a text: what stands between lines that begin with `---`. White space before a document goes, what follows it stays.
pub fn split(text: &str) -> Vec<String> {
    let (mut out, mut from) = (Vec::new(), 0);
    for (at, _) in text.match_indices("---") {
        // A separator's own dashes do not begin another.
        if at >= from && (at == 0 || text.as_bytes()[at - 1] == b'\n') {
            out.push(&text[from..at]);
            from = at + 3;
        }
    }
    out.push(&text[from..]);
    out.into_iter().map(str::trim_start).filter(|d| !d.is_empty()).map(str::to_string).collect()
}

/// Sorts rendered files (name to text) into hooks and manifests, in the order of installation.
pub fn sort(files: &BTreeMap<String, String>) -> Result<Sorted, (Sorted, ManifestError)> {
    let mut out = Sorted::default();
    for (path, text) in files {
        let base = path.rsplit('/').next().unwrap_or(path);
        if base.starts_with('_') || text.trim().is_empty() {
            continue;
        }
        for document in split(text) {
            if let Err(message) = place(path, document, &mut out) {
                return Err((out, ManifestError { path: path.clone(), message }));
            }
        }
    }
    sort_by_kind(&mut out.hooks, |h| &h.kind, false);
    sort_by_kind(&mut out.manifests, |m| &m.kind, false);
    Ok(out)
}

struct Head {
    api_version: String,
    kind: String,
    name: String,
    annotations: BTreeMap<String, String>,
}

// Upstream: the struct SimpleHead, read by Go's JSON decoder with its words.
fn head(document: &str) -> Result<Head, String> {
    let value = goyaml::from_yaml(document).map_err(|e| format!("error converting YAML to JSON: {e}"))?;
    let wrong = |got: &Value, field: &str, wanted: &str| {
        format!("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go {field} of type {wanted}", crate::values::json_kind(got))
    };
    let fields = match &value {
        Value::Null => return Ok(Head { api_version: String::new(), kind: String::new(), name: String::new(), annotations: BTreeMap::new() }),
        Value::Object(fields) => fields,
        other => return Err(wrong(other, "value", "util.SimpleHead")),
    };
    let text = |map: &serde_json::Map<String, Value>, key: &str, field: &str| match map.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(s)) => Ok(s.clone()),
        // Upstream: the YAML reader makes texts of numbers and booleans where a field is a text.
        Some(scalar @ (Value::Number(_) | Value::Bool(_))) => Ok(crate::values::go_text(scalar)),
        Some(other) => Err(wrong(other, &format!("struct field {field}"), "string")),
    };
    let mut out = Head { api_version: text(fields, "apiVersion", "SimpleHead.apiVersion")?, kind: text(fields, "kind", "SimpleHead.kind")?, name: String::new(), annotations: BTreeMap::new() };
    match fields.get("metadata") {
        None | Some(Value::Null) => {}
        Some(Value::Object(metadata)) => {
            out.name = text(metadata, "name", ".metadata.name")?;
            match metadata.get("annotations") {
                None | Some(Value::Null) => {}
                Some(Value::Object(annotations)) => {
                    for (key, value) in annotations {
                        match value {
                            Value::String(s) => out.annotations.insert(key.clone(), s.clone()),
                            Value::Null => out.annotations.insert(key.clone(), String::new()),
                            Value::Number(_) | Value::Bool(_) => out.annotations.insert(key.clone(), crate::values::go_text(value)),
                            other => return Err(wrong(other, "struct field .metadata.annotations", "string")),
                        };
                    }
                }
                Some(other) => return Err(wrong(other, "struct field .metadata.annotations", "map[string]string")),
            }
        }
        Some(other) => return Err(wrong(other, "struct field .metadata", "struct { Name string \"json:\\\"name\\\"\"; Annotations map[string]string \"json:\\\"annotations\\\"\" }")),
    }
    Ok(out)
}

fn place(path: &str, document: String, out: &mut Sorted) -> Result<(), String> {
    let head = head(&document)?;
    let Some(events) = head.annotations.get("helm.sh/hook") else {
        out.manifests.push(Manifest { name: path.to_string(), content: document, kind: head.kind, api_version: head.api_version });
        return Ok(());
    };
    let named: Option<Vec<String>> = events
        .split(',')
        .map(|e| e.trim().to_lowercase())
        .map(|e| EVENTS.iter().find(|(name, _)| *name == e).map(|(_, event)| event.to_string()))
        .collect();
    // Upstream: a hook of an unknown event is skipped.
    let Some(events) = named else { return Ok(()) };
    let list = |key: &str| head.annotations.get(key).map(|v| v.split(',').map(|p| p.trim().to_lowercase()).collect()).unwrap_or_default();
    let hook = Hook {
        weight: head.annotations.get("helm.sh/hook-weight").and_then(|w| w.strip_prefix('+').unwrap_or(w).parse().ok()).unwrap_or(0),
        delete_policies: list("helm.sh/hook-delete-policy"),
        output_log_policies: list("helm.sh/hook-output-log-policy"),
        name: head.name,
        kind: head.kind,
        path: path.to_string(),
        manifest: document,
        events,
        ..Hook::default()
    };
    out.hooks.push(hook);
    Ok(())
}

/// Sorts by the order in which kinds are installed, or removed; what it does not name comes last, by name.
pub fn sort_by_kind<T>(items: &mut [T], kind: impl Fn(&T) -> &String, uninstall: bool) {
    const LAST: usize = INSTALL_ORDER.len() * 2;
    let rank = |k: &str| match INSTALL_ORDER.iter().position(|o| *o == k) {
        // Upstream: services go before all that answers them, behind what leads to them.
        Some(_) if uninstall && k == "Service" => LAST - 2 * 33 - 1,
        Some(at) if uninstall => LAST - 2 * at - 2,
        Some(at) => at,
        None => LAST,
    };
    items.sort_by(|a, b| {
        let (a, b) = (kind(a), kind(b));
        let (ra, rb) = (rank(a), rank(b));
        ra.cmp(&rb).then_with(|| if ra == LAST { a.cmp(b) } else { std::cmp::Ordering::Equal })
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_split_as_upstream_splits() {
        assert_eq!(split("---\na: 1\n\n---\n\n---\n# c\nb: 2\n--- # x\nc: 3\n"), ["a: 1\n\n", "# c\nb: 2\n", "# x\nc: 3\n"]);
        assert_eq!(split("a: |\n  x---y\n  ---z"), ["a: |\n  x---y\n  ---z"]);
        assert_eq!(split("---a: 1"), ["a: 1"]);
        assert!(split(" \n---\n").is_empty());
    }

    #[test]
    fn kinds_have_their_order() {
        let files = BTreeMap::from([
            ("c/templates/a.yaml".to_string(), "kind: Zeta\n---\nkind: Deployment\n---\nkind: Alpha\n---\nkind: Namespace".to_string()),
            ("c/templates/_b.yaml".to_string(), "kind: [".to_string()),
            ("c/templates/h.yaml".to_string(), "kind: Job\nmetadata: {name: j, annotations: {helm.sh/hook: 'pre-install, Test', helm.sh/hook-weight: '-5'}}".to_string()),
            ("c/templates/u.yaml".to_string(), "kind: Job\nmetadata: {annotations: {helm.sh/hook: crd-install}}".to_string()),
        ]);
        let mut sorted = sort(&files).expect("sorted");
        let kinds = |s: &Sorted| s.manifests.iter().map(|m| m.kind.clone()).collect::<Vec<_>>();
        assert_eq!(kinds(&sorted), ["Namespace", "Deployment", "Alpha", "Zeta"]);
        assert_eq!((sorted.hooks.len(), sorted.hooks[0].weight, sorted.hooks[0].events.clone()), (1, -5, vec!["pre-install".to_string(), "test".to_string()]));
        sort_by_kind(&mut sorted.manifests, |m| &m.kind, true);
        assert_eq!(kinds(&sorted), ["Deployment", "Namespace", "Alpha", "Zeta"]);
    }
}
