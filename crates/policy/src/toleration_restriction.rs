//! PodTolerationRestriction: which taints the pods of a namespace tolerate, and which they may.
//!
//! Upstream: `plugin/pkg/admission/podtolerationrestriction`, `pkg/util/tolerations`.

use api::meta;
use catalog::walk;
use serde::Deserialize;
use serde_json::{Value, json};

const USUAL: &str = "scheduler.alpha.kubernetes.io/defaultTolerations";
const ALLOWED: &str = "scheduler.alpha.kubernetes.io/tolerationsWhitelist";

/// What holds where a namespace says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TolerationSettings {
    default: Vec<Value>,
    whitelist: Vec<Value>,
    api_version: String,
    kind: String,
}

impl TolerationSettings {
    pub fn read(configuration: &Value) -> Result<Self, String> {
        let settings: Self = serde_json::from_value(configuration.clone()).map_err(|e| e.to_string())?;
        if settings.api_version != "podtolerationrestriction.admission.k8s.io/v1alpha1" || settings.kind != "Configuration" {
            return Err("wanted a Configuration of podtolerationrestriction.admission.k8s.io/v1alpha1".into());
        }
        Ok(settings)
    }

    /// Gives a pod the tolerations of its namespace, and that for the pressure that pods with requests survive.
    pub fn mutate(&self, pod: &mut Value, namespace: &Value, is_new: bool) -> Result<(), String> {
        let mut further = if is_new { said(namespace, USUAL)?.unwrap_or_else(|| self.default.clone()) } else { Vec::new() };
        if catalog::core::pod::qos_class(walk::at(pod, "spec")) != "BestEffort" {
            further.push(json!({"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}));
        }
        if !further.is_empty() {
            let all = [walk::list(pod, "spec.tolerations"), &further].concat();
            if let Some(spec) = walk::object_mut(pod, "spec") {
                spec.insert("tolerations".into(), merged(&all).into());
            }
        }
        self.check(pod, namespace)
    }

    pub fn check(&self, pod: &Value, namespace: &Value) -> Result<(), String> {
        let allowed = said(namespace, ALLOWED)?.unwrap_or_else(|| self.whitelist.clone());
        let fits = |toleration: &Value| allowed.iter().any(|wide| covers(wide, toleration));
        if allowed.is_empty() || walk::list(pod, "spec.tolerations").iter().all(fits) {
            return Ok(());
        }
        Err("pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist".into())
    }
}

/// The tolerations of an annotation; none where there is no such annotation.
fn said(namespace: &Value, key: &str) -> Result<Option<Vec<Value>>, String> {
    match meta::annotation(namespace, key) {
        None => Ok(None),
        Some("") => Ok(Some(Vec::new())),
        Some(text) => serde_json::from_str(text).map(Some).map_err(|e| e.to_string()),
    }
}

fn is_same(one: &Value, other: &Value) -> bool {
    ["key", "operator", "value", "effect"].iter().all(|field| walk::text(one, field) == walk::text(other, field)) && one.get("tolerationSeconds") == other.get("tolerationSeconds")
}

/// Whether a toleration bears all that another one bears.
fn covers(wide: &Value, narrow: &Value) -> bool {
    if is_same(wide, narrow) {
        return true;
    }
    let (of, is) = (|field: &str| walk::text(wide, field).to_owned(), |field: &str| walk::text(wide, field) == walk::text(narrow, field));
    let everything = of("key").is_empty() && of("operator") == "Exists";
    if (!is("key") && !everything) || (!is("effect") && !of("effect").is_empty()) {
        return false;
    }
    if of("effect") == "NoExecute"
        && let Some(most) = wide["tolerationSeconds"].as_i64()
        && narrow["tolerationSeconds"].as_i64().is_none_or(|seconds| seconds > most)
    {
        return false;
    }
    match of("operator").as_str() {
        "" | "Equal" => walk::text(narrow, "operator") == "Equal" && is("value"),
        operator => operator == "Exists",
    }
}

/// All of them, without those that others cover.
fn merged(all: &[Value]) -> Vec<Value> {
    let mut kept: Vec<Value> = Vec::new();
    for (i, toleration) in all.iter().enumerate() {
        let later = all.get(i + 1..).unwrap_or_default().iter().any(|other| !is_same(other, toleration) && covers(other, toleration));
        if !later && !kept.iter().any(|other| covers(other, toleration)) {
            kept.push(toleration.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toleration(key: &str, effect: &str) -> Value {
        json!({"key": key, "operator": "Exists", "effect": effect})
    }

    #[test]
    fn tolerations_are_merged_and_bounded() {
        let settings = TolerationSettings::read(&json!({"apiVersion": "podtolerationrestriction.admission.k8s.io/v1alpha1", "kind": "Configuration", "default": [toleration("a", "NoSchedule")]})).unwrap();
        let mut pod = json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}], "tolerations": [toleration("b", "NoExecute")]}});
        settings.mutate(&mut pod, &json!({}), true).unwrap();
        settings.mutate(&mut pod, &json!({}), true).unwrap();
        assert_eq!(pod["spec"]["tolerations"], json!([toleration("b", "NoExecute"), toleration("a", "NoSchedule"), toleration("node.kubernetes.io/memory-pressure", "NoSchedule")]));
        let namespace = json!({"metadata": {"annotations": {USUAL: "", ALLOWED: "[{\"key\": \"b\", \"operator\": \"Exists\"}]"}}});
        let mut pod = json!({"spec": {"tolerations": [toleration("b", "NoExecute")]}});
        settings.mutate(&mut pod, &namespace, true).unwrap();
        assert_eq!(pod["spec"]["tolerations"], json!([toleration("b", "NoExecute")]));
        let why = settings.check(&json!({"spec": {"tolerations": [toleration("c", "NoExecute")]}}), &namespace).unwrap_err();
        assert_eq!(why, "pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist");
        assert!(settings.check(&pod, &json!({"metadata": {"annotations": {ALLOWED: "{"}}})).is_err());
    }

    #[test]
    fn the_wider_one_stays() {
        let seconds = |n: i64| json!({"key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": n});
        assert_eq!(merged(&[seconds(5), seconds(10), seconds(7)]), [seconds(10)]);
        assert_eq!(merged(&[seconds(5), json!({"operator": "Exists"})]), [json!({"operator": "Exists"})]);
        let equal = |value: &str| json!({"key": "k", "operator": "Equal", "value": value});
        assert_eq!(merged(&[equal("a"), equal("b"), equal("a")]), [equal("a"), equal("b")]);
    }
}
