//! Resources of a pod as a whole: what they default to, and what its containers add up to.
//!
//! Upstream: `defaultPodRequests` and its siblings in `pkg/apis/core/v1/defaults.go`, `component-helpers/resource`.

use std::collections::BTreeMap;

use quantity::Quantity;
use serde_json::{Map, Value, json};

use crate::walk;

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, Quantity>;

/// Reads a list of amounts; what cannot be read counts as nothing.
pub fn amounts(list: &Value) -> Amounts {
    let parse = |value: &Value| value.as_str().and_then(|t| t.parse::<Quantity>().ok());
    list.as_object().into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), parse(value)?))).collect()
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (key, amount) in more {
        let total = sum.get(key).map_or_else(|| amount.clone(), |have| have.clone().plus(amount.clone()));
        sum.insert(key.clone(), total);
    }
}

fn take_larger(most: &mut Amounts, other: &Amounts) {
    for (key, amount) in other {
        if most.get(key).is_none_or(|have| have < amount) {
            most.insert(key.clone(), amount.clone());
        }
    }
}

/// What the containers need together: `which` is `requests` or `limits`. Those that run all the time add up; init
/// containers run one after another beside the sidecars started before them.
pub fn of_containers(spec: &Value, which: &str) -> Amounts {
    let of = |container: &Value| amounts(walk::at(walk::at(container, "resources"), which));
    let mut sum = Amounts::new();
    for container in walk::list(spec, "containers") {
        add(&mut sum, &of(container));
    }
    let (mut sidecars, mut most) = (Amounts::new(), Amounts::new());
    for container in walk::list(spec, "initContainers") {
        let mut needs = of(container);
        if walk::text(container, "restartPolicy") == "Always" {
            add(&mut sum, &needs);
            add(&mut sidecars, &needs);
            needs = sidecars.clone();
        } else {
            add(&mut needs, &sidecars);
        }
        take_larger(&mut most, &needs);
    }
    take_larger(&mut sum, &most);
    sum
}

/// What the pod as a whole needs: its own amounts before those of its containers, and its overhead.
pub fn of_pod(spec: &Value, which: &str) -> Amounts {
    let mut sum = of_containers(spec, which);
    for (key, amount) in amounts(walk::at(walk::at(spec, "resources"), which)) {
        if is_supported(&key) {
            sum.insert(key, amount);
        }
    }
    for (key, amount) in amounts(walk::at(spec, "overhead")) {
        if which == "requests" || sum.contains_key(&key) {
            add(&mut sum, &Amounts::from([(key, amount)]));
        }
    }
    sum
}

pub fn is_huge_page(name: &str) -> bool {
    name.starts_with("hugepages-")
}

/// What may be said for the pod as a whole.
pub fn is_supported(name: &str) -> bool {
    matches!(name, "cpu" | "memory") || is_huge_page(name)
}

pub(super) fn default(spec: &mut Map<String, Value>) {
    let Some(resources) = spec.get("resources").filter(|r| r.is_object()) else { return };
    let (requests, limits) = (filled(resources, "requests"), filled(resources, "limits"));
    if !requests && !limits {
        return;
    }
    let whole = Value::Object(spec.clone());
    let (container_requests, container_limits) = (of_containers(&whole, "requests"), of_containers(&whole, "limits"));
    let Some(resources) = spec.get_mut("resources").and_then(Value::as_object_mut) else { return };
    let asked = resources.get("requests").cloned().unwrap_or_default();
    let huge = container_limits.iter().filter(|(key, _)| is_huge_page(key) && asked.get(key.as_str()).is_none());
    merge(resources, "limits", huge);
    if resources.get("limits").and_then(Value::as_object).is_some_and(|l| !l.is_empty()) {
        merge(resources, "requests", container_requests.iter().filter(|(key, _)| matches!(key.as_str(), "cpu" | "memory")));
        let own = amounts(resources.get("limits").unwrap_or(&Value::Null));
        merge(resources, "requests", own.iter().filter(|(key, _)| is_supported(key)));
    } else {
        let everywhere = |key: &str| ["containers", "initContainers"].iter().flat_map(|list| walk::list(&whole, list)).all(|c| walk::at(c, "resources.limits").get(key).is_some());
        merge(resources, "limits", container_limits.iter().filter(|(key, _)| matches!(key.as_str(), "cpu" | "memory") && everywhere(key)));
    }
}

fn filled(resources: &Value, key: &str) -> bool {
    walk::map(resources, key).is_some_and(|m| !m.is_empty())
}

fn merge<'a>(resources: &mut Map<String, Value>, key: &str, more: impl Iterator<Item = (&'a String, &'a Quantity)>) {
    for (name, amount) in more {
        if let Some(list) = resources.entry(key).or_insert_with(|| json!({})).as_object_mut() {
            list.entry(name).or_insert_with(|| amount.to_string().into());
        }
    }
}
