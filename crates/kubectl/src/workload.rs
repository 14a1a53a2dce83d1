//! What commands know of any object that has a pod template: where its pod spec is, its selector, its containers.
//!
//! By shape alone: custom workloads with `spec.template.spec` are like built-in ones.

use serde_json::{Map, Value};

use crate::failure::{Outcome, fail};

/// The path of the pod spec within the object.
pub fn pod_spec_path(object: &Value) -> Option<&'static [&'static str]> {
    match object["kind"].as_str()? {
        "Pod" => Some(&["spec"]),
        "PodTemplate" => Some(&["template", "spec"]),
        "CronJob" => Some(&["spec", "jobTemplate", "spec", "template", "spec"]),
        _ if object["spec"]["template"]["spec"].is_object() => Some(&["spec", "template", "spec"]),
        _ => None,
    }
}

pub fn at<'a>(object: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(object, |at, step| &at[*step])
}

pub fn at_mut<'a>(object: &'a mut Value, path: &[&str]) -> &'a mut Value {
    path.iter().fold(object, |at, step| &mut at[*step])
}

/// The selector of a workload's pods, as a query.
pub fn selector_text(object: &Value) -> Outcome<String> {
    let selector = &object["spec"]["selector"];
    if selector["matchLabels"].is_object() || selector["matchExpressions"].is_array() {
        return query(selector);
    }
    match selector.as_object() {
        Some(labels) if !labels.is_empty() => Ok(pairs(labels)),
        _ => fail("no selector"),
    }
}

pub fn pairs(labels: &Map<String, Value>) -> String {
    labels.iter().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect::<Vec<_>>().join(",")
}

/// The object form of a selector as a query.
pub fn query(selector: &Value) -> Outcome<String> {
    let mut parts: Vec<String> = selector["matchLabels"].as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = expression["key"].as_str().unwrap_or_default();
        let values = || expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(",");
        parts.push(match expression["operator"].as_str() {
            Some("In") => format!("{key} in ({})", values()),
            Some("NotIn") => format!("{key} notin ({})", values()),
            Some("Exists") => key.to_owned(),
            Some("DoesNotExist") => format!("!{key}"),
            other => return fail(format!("{:?} is not a valid label selector operator", other.unwrap_or_default())),
        });
    }
    parts.sort();
    Ok(parts.join(","))
}

/// Whether the name matches a pattern in which `*` stands for anything.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => {
            let Some(mut tail) = name.strip_prefix(start) else { return false };
            if rest.is_empty() {
                return true;
            }
            loop {
                if matches(rest, tail) {
                    return true;
                }
                let mut chars = tail.chars();
                if chars.next().is_none() {
                    return false;
                }
                tail = chars.as_str();
            }
        }
    }
}

/// Whether an owner reference of the object names the owner as its controller.
pub fn is_controlled_by(object: &Value, owner_uid: &str) -> bool {
    object["metadata"]["ownerReferences"].as_array().is_some_and(|all| all.iter().any(|o| o["controller"] == true && o["uid"] == owner_uid))
}

pub fn controller_of(object: &Value) -> Option<&Value> {
    object["metadata"]["ownerReferences"].as_array()?.iter().find(|o| o["controller"] == true)
}
