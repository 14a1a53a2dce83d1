//! What writers of custom resources are told though nothing is wrong.
//!
//! Upstream: apiextensions-apiserver `pkg/registry/customresource/strategy.go` (`generateWarningsFromObj`).

use std::collections::BTreeSet;

use api::names;
use serde_json::Value;

use crate::walk;

/// Finalizers that Kubernetes itself sets.
const STANDARD: [&str; 2] = ["foregroundDeletion", "orphan"];

/// Warnings about finalizers that a write adds.
pub fn warnings(object: &Value, old: Option<&Value>) -> Vec<String> {
    let finalizers = |of: &Value| -> BTreeSet<String> { walk::list(of, "metadata.finalizers").iter().filter_map(Value::as_str).map(str::to_owned).collect() };
    let before = old.map(finalizers).unwrap_or_default();
    finalizers(object).difference(&before).flat_map(|name| about(name)).collect()
}

fn about(name: &str) -> Vec<String> {
    let mut why = names::qualified_name(name);
    if !name.contains('/') && !STANDARD.contains(&name) {
        why.push("prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers".into());
    }
    why.into_iter().map(|why| format!("metadata.finalizers: {name:?}: {why}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn new_finalizers_without_a_path_are_told() {
        let object = |names: Value| json!({"metadata": {"finalizers": names}});
        let told = ["metadata.finalizers: \"b.example.com\": prefer a domain-qualified finalizer name including a path (/) to avoid accidental conflicts with other finalizer writers"];
        assert_eq!(warnings(&object(json!(["orphan", "a.example.com/x", "b.example.com"])), None), told);
        assert_eq!(warnings(&object(json!(["b.example.com"])), Some(&object(json!(["b.example.com"])))), [""; 0]);
    }
}
