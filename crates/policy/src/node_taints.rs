//! TaintNodesByCondition: a new node takes no pods before its condition is known.
//!
//! Upstream: `plugin/pkg/admission/nodetaint`.

use catalog::walk;
use serde_json::{Value, json};

const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// Adds the taint that node lifecycle takes off once the node is ready.
pub fn taint(node: &mut Value) {
    let there = walk::list(node, "spec.taints").iter().any(|t| walk::text(t, "key") == NOT_READY && walk::text(t, "effect") == "NoSchedule");
    if there {
        return;
    }
    if let Some(taints) = walk::object_mut(node, "spec").map(|s| s.entry("taints").or_insert_with(|| json!([]))).and_then(Value::as_array_mut) {
        taints.push(json!({"key": NOT_READY, "effect": "NoSchedule"}));
    }
}
