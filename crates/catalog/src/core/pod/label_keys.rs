//! Labels of a pod itself that its affinities to other pods, and its spreading, ask for.
//!
//! Upstream: `mutatePodAffinity` and `mutateTopologySpreadConstraints` in `pkg/registry/core/pod/strategy.go`.

use serde_json::{Value, json};

use crate::walk;

/// Writes the values that a new pod's labels have into the selectors of its terms, so that whoever reads them needs the
/// selectors alone.
pub fn fold(pod: &mut Value) {
    let labels = walk::at(pod, "metadata.labels").clone();
    for kind in ["podAffinity", "podAntiAffinity"] {
        let list = |when: &str| format!("spec.affinity.{kind}.{when}DuringSchedulingIgnoredDuringExecution");
        for term in walk::list_mut(pod, &list("required")) {
            fold_term(term, &labels);
        }
        for term in walk::list_mut(pod, &list("preferred")) {
            if let Some(term) = term.get_mut("podAffinityTerm") {
                fold_term(term, &labels);
            }
        }
    }
    for constraint in walk::list_mut(pod, "spec.topologySpreadConstraints") {
        fold_term(constraint, &labels);
    }
}

fn fold_term(term: &mut Value, labels: &Value) {
    let mut further = Vec::new();
    for (keys, operator) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
        for key in walk::list(term, keys).iter().filter_map(Value::as_str) {
            if let Some(value) = labels.get(key) {
                further.push(json!({"key": key, "operator": operator, "values": [value]}));
            }
        }
    }
    let Some(selector) = term.get_mut("labelSelector").and_then(Value::as_object_mut).filter(|_| !further.is_empty()) else { return };
    if let Some(expressions) = selector.entry("matchExpressions").or_insert_with(|| json!([])).as_array_mut() {
        expressions.append(&mut further);
    }
}
