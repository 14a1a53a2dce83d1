//! What may be consumed only where a quota counts it: the configuration of the plug-in ResourceQuota.
//!
//! Upstream: apiserver `pkg/admission/plugin/resourcequota/{config.go,controller.go}`, `apis/resourcequota`.

use catalog::core::pod::pod_level::{Amounts, amounts};
use catalog::walk;
use serde::Deserialize;
use serde_json::Value;

use crate::quota::{in_scope, scopes};

/// One resource whose consumption is limited by default.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limited {
    #[serde(default)]
    api_group: String,
    #[serde(default)]
    resource: String,
    /// Parts of quota names, such as `requests.` or `.storageclass.`.
    #[serde(default)]
    match_contains: Vec<String>,
    /// Scopes that need a quota, as a quota's `scopeSelector` has them.
    #[serde(default)]
    match_scopes: Vec<Value>,
}

/// Reads the plug-in's configuration.
pub fn read(configuration: &Value) -> Result<Vec<Limited>, String> {
    let of = (configuration["apiVersion"].as_str().unwrap_or_default(), configuration["kind"].as_str().unwrap_or_default());
    if !matches!(of, ("apiserver.config.k8s.io/v1", "ResourceQuotaConfiguration") | ("resourcequota.admission.k8s.io/v1beta1" | "resourcequota.admission.k8s.io/v1alpha1", "Configuration")) {
        return Err("wanted a ResourceQuotaConfiguration of apiserver.config.k8s.io/v1".into());
    }
    let limited = match &configuration["limitedResources"] {
        Value::Null => Vec::new(),
        listed => serde_json::from_value::<Vec<Limited>>(listed.clone()).map_err(|e| format!("limitedResources: {e}"))?,
    };
    let root = api::Path::new("limitedResources");
    let errors: Vec<_> = limited.iter().enumerate().filter(|(_, one)| one.resource.is_empty()).map(|(i, _)| api::FieldError::required(&root.index(i).child("resource"), "")).collect();
    if errors.is_empty() { Ok(limited) } else { Err(api::field::aggregate(&errors)) }
}

/// What is missing for an object to be written.
#[derive(Debug, PartialEq, Eq)]
pub enum Uncovered {
    /// No quota counts these.
    Amounts(String),
    /// No quota selects these scopes.
    Scopes(String),
}

/// Whether quotas cover what is limited. `all` are the namespace's quotas, `counting` those that count the object.
pub fn uncovered(limited: &[Limited], (group, plural): (&str, &str), object: &Value, usage: &Amounts, all: &[Value], counting: &[&Value]) -> Option<Uncovered> {
    let own: Vec<&Limited> = limited.iter().filter(|one| one.api_group == group && one.resource == plural).collect();
    let is_limited = |name: &str| own.iter().any(|one| one.match_contains.iter().any(|part| name.contains(part.as_str())));
    let is_counted = |name: &str| counting.iter().any(|quota| amounts(walk::at(quota, "status.hard")).contains_key(name));
    let missing: Vec<&str> = usage.iter().filter(|(name, amount)| !amount.is_zero() && is_limited(name) && !is_counted(name)).map(|(name, _)| name.as_str()).collect();
    if !missing.is_empty() {
        return Some(Uncovered::Amounts(format!("insufficient quota to consume: {}", missing.join(","))));
    }
    // Upstream: scopes are those of pods, whatever resource they are listed for.
    if !(group.is_empty() && plural == "pods") {
        return None;
    }
    let selected: Vec<String> = all.iter().flat_map(scopes).filter(|term| in_scope(term, object)).map(|term| walk::text(&term, "scopeName").to_owned()).collect();
    let open: Vec<String> = limited.iter().flat_map(|one| &one.match_scopes).filter(|term| in_scope(term, object) && !selected.iter().any(|s| s == walk::text(term, "scopeName"))).map(told).collect();
    (!open.is_empty()).then(|| Uncovered::Scopes(format!("insufficient quota to match these scopes: [{}]", open.join(" "))))
}

/// As Go prints it.
fn told(term: &Value) -> String {
    let values: Vec<&str> = walk::list(term, "values").iter().filter_map(Value::as_str).collect();
    format!("{{{} {} [{}]}}", walk::text(term, "scopeName"), walk::text(term, "operator"), values.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota;
    use serde_json::json;

    fn configured(limited: Value) -> Result<Vec<Limited>, String> {
        read(&json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "ResourceQuotaConfiguration", "limitedResources": limited}))
    }

    #[test]
    fn what_is_limited_needs_a_quota_that_counts_it() {
        let limited = configured(json!([{"resource": "persistentvolumeclaims", "matchContains": [".storageclass."]}])).unwrap();
        let claim = json!({"spec": {"storageClassName": "gold", "resources": {"requests": {"storage": "1Gi"}}}});
        let usage = quota::usage("", "persistentvolumeclaims", &claim);
        let told = |quotas: &[Value]| uncovered(&limited, ("", "persistentvolumeclaims"), &claim, &usage, quotas, &quotas.iter().collect::<Vec<_>>());
        let missing = "insufficient quota to consume: gold.storageclass.storage.k8s.io/persistentvolumeclaims,gold.storageclass.storage.k8s.io/requests.storage";
        assert_eq!(told(&[]), Some(Uncovered::Amounts(missing.into())));
        let hard = json!({"gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1", "gold.storageclass.storage.k8s.io/requests.storage": "1Gi"});
        assert_eq!(told(&[json!({"status": {"hard": hard}})]), None);
    }

    #[test]
    fn scopes_that_are_limited_need_a_quota_that_selects_them() {
        let limited = configured(json!([{"resource": "pods", "matchScopes": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high", "higher"]}]}])).unwrap();
        let told = |class: &str, quotas: &[Value]| {
            let pod = json!({"spec": {"priorityClassName": class}});
            uncovered(&limited, ("", "pods"), &pod, &quota::usage("", "pods", &pod), quotas, &[])
        };
        assert_eq!(told("low", &[]), None);
        assert_eq!(told("high", &[]), Some(Uncovered::Scopes("insufficient quota to match these scopes: [{PriorityClass In [high higher]}]".into())));
        let covering = json!({"spec": {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}}});
        assert_eq!(told("high", std::slice::from_ref(&covering)), None);
        assert!(told("higher", &[covering]).is_some());
    }

    #[test]
    fn what_upstream_refuses_is_refused() {
        assert!(configured(json!([{"matchContains": ["x"]}])).unwrap_err().contains("limitedResources[0].resource: Required value"));
        assert!(read(&json!({"kind": "X"})).is_err() && configured(json!([{"resourse": "pods"}])).is_err());
    }
}
