//! Warnings of what decides where a pod runs.

use serde_json::Value;

use crate::node_labels;
use crate::walk;

/// Selection of nodes, and spreading over them.
pub fn nodes(told: &mut Vec<String>, spec: &Value, within: &str) {
    told.extend(node_labels::deprecated_keys(spec, "nodeSelector").map(|(key, why)| format!("{within}spec.nodeSelector[{key}]: {why}")));
    let affinity = walk::at(spec, "affinity.nodeAffinity");
    if affinity.is_object() {
        let path = format_args!("{within}spec.affinity.nodeAffinity");
        for (i, term) in walk::list(affinity, "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms").iter().enumerate() {
            node_labels::warn_expressions(told, term, format_args!("{path}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{i}]"));
        }
        for (i, term) in walk::list(affinity, "preferredDuringSchedulingIgnoredDuringExecution").iter().enumerate() {
            node_labels::warn_preferred(told, &term["preference"], format_args!("{path}.preferredDuringSchedulingIgnoredDuringExecution[{i}].preference"));
        }
    }
    for (i, constraint) in walk::list(spec, "topologySpreadConstraints").iter().enumerate() {
        let key = walk::text(constraint, "topologyKey");
        if let Some(why) = node_labels::deprecated(key) {
            told.push(format!("{within}spec.topologySpreadConstraints[{i}].topologyKey: {key} is {why}"));
        }
        if constraint["labelSelector"].is_null() {
            told.push(format!("{within}spec.topologySpreadConstraints[{i}].labelSelector: a null labelSelector results in matching no pod"));
        }
    }
}

/// Nearness to other pods.
pub fn pods(told: &mut Vec<String>, spec: &Value, within: &str) {
    let affinity = &spec["affinity"];
    if !affinity.is_object() {
        return;
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let required = "requiredDuringSchedulingIgnoredDuringExecution";
        for (i, _) in walk::list(&affinity[kind], required).iter().enumerate().filter(|(_, term)| term["labelSelector"].is_null()) {
            told.push(format!("{within}spec.affinity.{kind}.{required}[{i}].labelSelector: a null labelSelector results in matching no pod"));
        }
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
        for (i, _) in walk::list(&affinity[kind], preferred).iter().enumerate().filter(|(_, term)| term["podAffinityTerm"]["labelSelector"].is_null()) {
            told.push(format!("{within}spec.affinity.{kind}.{preferred}[{i}].podAffinityTerm.labelSelector: a null labelSelector results in matching no pod"));
        }
    }
}
