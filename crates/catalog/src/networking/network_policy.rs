//! NetworkPolicies.

use serde_json::{Value, json};

use super::resource as of_group;
use crate::columns::{age, columns, name, selector};
use crate::resource::Resource;
use crate::walk;

pub fn network_policy() -> Resource {
    of_group("NetworkPolicy", "networkpolicies", true)
        .short(&["netpol"])
        .rules(|rules| {
            rules.generation = true;
            rules.default = default;
        })
        .columns(columns(&["Name", "Pod-Selector", "Age"]), |object, now| vec![name(object), selector(walk::at(object, "spec.podSelector")), age(object, now)])
}

/// Upstream: `pkg/apis/networking/v1/defaults.go`.
fn default(object: &mut Value) {
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    for direction in ["ingress", "egress"] {
        for rule in walk::items(spec, direction) {
            for port in walk::items(rule, "ports") {
                walk::fill(port, "protocol", "TCP");
            }
        }
    }
    if spec.get("policyTypes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let egress = spec.get("egress").and_then(Value::as_array).is_some_and(|e| !e.is_empty());
        spec.insert("policyTypes".into(), if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    }
}
