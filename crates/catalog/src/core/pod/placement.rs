//! Validation of what decides where a pod runs: affinity, tolerations, spreading, gates.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::check::{self, syntax};
use crate::walk;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Gates of scheduling and readiness.
pub fn gates(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    for (i, gate) in walk::list(spec, "readinessGates").iter().enumerate() {
        let (path, name) = (path.child("readinessGates").index(i).child("conditionType"), walk::text(gate, "conditionType"));
        syntax(errors, &path, name, names::qualified_name(name));
    }
    let mut seen = HashSet::new();
    for (i, gate) in walk::list(spec, "schedulingGates").iter().enumerate() {
        let (path, name) = (path.child("schedulingGates").index(i), walk::text(gate, "name"));
        syntax(errors, &path, name, names::qualified_name(name));
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
    }
}

pub fn affinity(errors: &mut FieldErrors, affinity: &Value, path: &Path) {
    let (node, path_of_node) = (walk::at(affinity, "nodeAffinity"), path.child("nodeAffinity"));
    if walk::at(node, REQUIRED).is_object() {
        node_selector(errors, walk::at(node, REQUIRED), &path_of_node.child(REQUIRED));
    }
    for (i, term) in walk::list(node, PREFERRED).iter().enumerate() {
        let path = path_of_node.child(PREFERRED).index(i);
        weight(errors, term, &path);
        node_term(errors, walk::at(term, "preference"), false, &path.child("preference"));
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let (pods, path) = (walk::at(affinity, kind), path.child(kind));
        for (i, term) in walk::list(pods, REQUIRED).iter().enumerate() {
            pod_term(errors, term, &path.child(REQUIRED).index(i));
        }
        for (i, term) in walk::list(pods, PREFERRED).iter().enumerate() {
            let path = path.child(PREFERRED).index(i);
            weight(errors, term, &path);
            pod_term(errors, walk::at(term, "podAffinityTerm"), &path.child("podAffinityTerm"));
        }
    }
}

fn weight(errors: &mut FieldErrors, term: &Value, path: &Path) {
    let weight = walk::int(term, "weight");
    if !(1..=100).contains(&weight) {
        errors.push(FieldError::invalid(&path.child("weight"), weight, "must be in the range 1-100"));
    }
}

/// A node selector: of pods, of persistent volumes.
pub fn node_selector(errors: &mut FieldErrors, selector: &Value, path: &Path) {
    let path = path.child("nodeSelectorTerms");
    if walk::list(selector, "nodeSelectorTerms").is_empty() {
        errors.push(FieldError::required(&path, "must have at least one node selector term"));
    }
    for (i, term) in walk::list(selector, "nodeSelectorTerms").iter().enumerate() {
        node_term(errors, term, true, &path.index(i));
    }
}

/// Upstream: what is only preferred may name values that no label has.
fn node_term(errors: &mut FieldErrors, term: &Value, required: bool, path: &Path) {
    for (i, requirement) in walk::list(term, "matchExpressions").iter().enumerate() {
        let path = path.child("matchExpressions").index(i);
        let (key, values) = (walk::text(requirement, "key"), walk::list(requirement, "values"));
        match walk::text(requirement, "operator") {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(&path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'")),
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::forbidden(&path.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")),
            "Gt" | "Lt" if values.len() != 1 => errors.push(FieldError::required(&path.child("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'")),
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => errors.push(FieldError::invalid(&path.child("operator"), other, "not a valid selector operator")),
        }
        syntax(errors, &path.child("key"), key, names::qualified_name(key));
        for (j, value) in values.iter().filter_map(Value::as_str).enumerate().filter(|_| required) {
            syntax(errors, &path.child("values").index(j), value, names::label_value(value));
        }
    }
    for (i, requirement) in walk::list(term, "matchFields").iter().enumerate() {
        let path = path.child("matchFields").index(i);
        match walk::text(requirement, "operator") {
            "In" | "NotIn" if walk::list(requirement, "values").len() == 1 => {}
            "In" | "NotIn" => errors.push(FieldError::required(&path.child("values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector")),
            other => errors.push(FieldError::invalid(&path.child("operator"), other, "not a valid selector operator")),
        }
        let key = walk::text(requirement, "key");
        if key != "metadata.name" {
            errors.push(FieldError::invalid(&path.child("key"), key, "not a valid field selector key"));
            continue;
        }
        for (j, value) in walk::list(requirement, "values").iter().filter_map(Value::as_str).enumerate() {
            syntax(errors, &path.child("values").index(j), value, names::dns1123_subdomain(value));
        }
    }
}

fn pod_term(errors: &mut FieldErrors, term: &Value, path: &Path) {
    check::label_selector(errors, walk::at(term, "labelSelector"), &path.child("labelSelector"));
    check::label_selector(errors, walk::at(term, "namespaceSelector"), &path.child("namespaceSelector"));
    for name in walk::list(term, "namespaces").iter().filter_map(Value::as_str) {
        syntax(errors, &path.child("namespace"), name, names::dns1123_label(name));
    }
    super::spreading::label_keys(errors, term, path);
    let key = walk::text(term, "topologyKey");
    if key.is_empty() {
        errors.push(FieldError::required(&path.child("topologyKey"), "can not be empty"));
    }
    syntax(errors, &path.child("topologyKey"), key, names::qualified_name(key));
}

/// Tolerations of a pod or of a runtime class.
pub fn tolerations(errors: &mut FieldErrors, spec: &Value, list: &Path) {
    for (i, toleration) in walk::list(spec, "tolerations").iter().enumerate() {
        let path = list.index(i);
        let text = |key| walk::text(toleration, key);
        check::optional_name(errors, &path.child("key"), text("key"), names::qualified_name);
        if text("key").is_empty() && text("operator") != "Exists" {
            errors.push(FieldError::invalid(&path.child("operator"), text("operator"), "operator must be Exists when `key` is empty, which means \"match all values and all keys\""));
        }
        if !walk::at(toleration, "tolerationSeconds").is_null() && text("effect") != "NoExecute" {
            errors.push(FieldError::invalid(&path.child("effect"), text("effect"), "effect must be 'NoExecute' when `tolerationSeconds` is set"));
        }
        match text("operator") {
            "Equal" | "" => {
                let faults = names::label_value(text("value"));
                if !faults.is_empty() {
                    errors.push(FieldError::invalid(&path.child("operator"), text("value"), faults.join(";")));
                }
            }
            "Exists" if !text("value").is_empty() => errors.push(FieldError::invalid(&path.child("operator"), text("value"), "value must be empty when `operator` is 'Exists'")),
            "Exists" => {}
            // Upstream: without TaintTolerationComparisonOperators these are refused, yet named.
            other @ ("Lt" | "Gt") => errors.push(FieldError::not_supported(&path.child("operator"), other, &["Equal", "Exists", "Lt", "Gt"])),
            other => errors.push(FieldError::not_supported(&path.child("operator"), other, &["Equal", "Exists"])),
        }
        check::maybe_one_of(errors, &path.child("effect"), text("effect"), &EFFECTS);
    }
}
