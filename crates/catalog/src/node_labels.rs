//! Labels of nodes that have had their day, and what whoever still selects by one is told.
//!
//! Upstream: `pkg/api/node/util.go`.

use std::fmt::Display;

use serde_json::Value;

use crate::walk;

/// Why a label of nodes should no longer be used; none for one that is well.
pub fn deprecated(key: &str) -> Option<&'static str> {
    Some(match key {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead",
        "failure-domain.beta.kubernetes.io/zone" => "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead",
        "beta.kubernetes.io/instance-type" => "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead",
        "app.kubernetes.io/created-by" => "deprecated since v1.9",
        "scheduler.alpha.kubernetes.io/preferAvoidPods" => "deprecated since v1.22; use Taints and Tolerations instead",
        "node-role.kubernetes.io/master" => "use \"node-role.kubernetes.io/control-plane\" instead",
        _ => return None,
    })
}

/// The keys of a map at `path` that have had their day, and why.
pub fn deprecated_keys<'a>(object: &'a Value, path: &str) -> impl Iterator<Item = (&'a str, &'static str)> {
    walk::map(object, path).into_iter().flat_map(|map| map.keys()).filter_map(|key| Some((key.as_str(), deprecated(key)?)))
}

/// What a list of expressions over labels of nodes, `matchExpressions` of `of`, has to be told.
pub fn warn_expressions(told: &mut Vec<String>, of: &Value, path: impl Display) {
    for (i, expression) in walk::list(of, "matchExpressions").iter().enumerate() {
        warn_expression(told, expression, format_args!("{path}.matchExpressions[{i}]"));
    }
}

fn warn_expression(told: &mut Vec<String>, expression: &Value, path: impl Display) {
    let key = walk::text(expression, "key");
    if let Some(why) = deprecated(key) {
        told.push(format!("{path}.key: {key} is {why}"));
    }
}

/// A preferred term is not refused for values that are none: its writer is told of them.
pub fn warn_preferred(told: &mut Vec<String>, term: &Value, path: impl Display) {
    for (i, expression) in walk::list(term, "matchExpressions").iter().enumerate() {
        warn_expression(told, expression, format_args!("{path}.matchExpressions[{i}]"));
        for (j, value) in walk::list(expression, "values").iter().filter_map(Value::as_str).enumerate() {
            for fault in api::names::label_value(value) {
                told.push(format!("{path}.matchExpressions[{i}].values[{j}]: {value} is invalid, {fault}"));
            }
        }
    }
}

/// A selector over labels of nodes.
pub fn warn_selector(told: &mut Vec<String>, selector: &Value, path: &str) {
    warn_expressions(told, selector, path);
    told.extend(deprecated_keys(selector, "matchLabels").map(|(key, why)| format!("{path}.matchLabels.{key}: {why}")));
}
