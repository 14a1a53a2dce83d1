//! ResourceQuota: what an object uses, which quotas count it, and whether they have room.
//!
//! Pure: object, old object and quota in, a charge or a refusal out. Who stores the charge tries again on a race.
//! Upstream: apiserver `pkg/admission/plugin/resourcequota/controller.go`, `pkg/quota/v1/evaluator/core`.

use catalog::core::pod::pod_level::{Amounts, amounts, of_pod};
use catalog::walk;
use quantity::{Format, Quantity};
use serde_json::{Value, json};

fn one() -> Quantity {
    Quantity::from_value(1, Format::DecimalSi)
}

/// What one object counts for, by quota names.
pub fn usage(group: &str, plural: &str, object: &Value) -> Amounts {
    let mut used = Amounts::new();
    let counted = if group.is_empty() { format!("count/{plural}") } else { format!("count/{plural}.{group}") };
    used.insert(counted, one());
    if !group.is_empty() {
        return used;
    }
    match plural {
        "pods" => pod_usage(object, &mut used),
        "services" => {
            used.insert("services".into(), one());
            let kind = walk::text(object, "spec.type");
            let ports = i64::try_from(walk::list(object, "spec.ports").len()).unwrap_or(i64::MAX);
            let node_ports = match kind {
                "NodePort" => ports,
                "LoadBalancer" if walk::at(object, "spec.allocateLoadBalancerNodePorts").as_bool() != Some(false) => ports,
                _ => 0,
            };
            used.insert("services.nodeports".into(), Quantity::from_value(node_ports, Format::DecimalSi));
            used.insert("services.loadbalancers".into(), Quantity::from_value(i64::from(kind == "LoadBalancer"), Format::DecimalSi));
        }
        "persistentvolumeclaims" => {
            used.insert("persistentvolumeclaims".into(), one());
            let class = walk::text(object, "spec.storageClassName");
            let prefix = format!("{class}.storageclass.storage.k8s.io/");
            if !class.is_empty() {
                used.insert(format!("{prefix}persistentvolumeclaims"), one());
            }
            if let Some(storage) = amounts(walk::at(object, "spec.resources.requests")).remove("storage") {
                if !class.is_empty() {
                    used.insert(format!("{prefix}requests.storage"), storage.clone());
                }
                used.insert("requests.storage".into(), storage);
            }
        }
        "secrets" | "configmaps" | "replicationcontrollers" | "resourcequotas" => drop(used.insert(plural.into(), one())),
        _ => {}
    }
    used
}

fn pod_usage(pod: &Value, used: &mut Amounts) {
    if matches!(walk::text(pod, "status.phase"), "Succeeded" | "Failed") {
        return;
    }
    used.insert("pods".into(), one());
    let spec = walk::at(pod, "spec");
    for (name, amount) in of_pod(spec, "requests") {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-") {
            used.insert(name.clone(), amount.clone());
        }
        used.insert(format!("requests.{name}"), amount);
    }
    for (name, amount) in of_pod(spec, "limits") {
        if matches!(name.as_str(), "cpu" | "memory" | "ephemeral-storage") {
            used.insert(format!("limits.{name}"), amount);
        }
    }
}

/// A quota's scopes, in the form of selectors.
pub fn scopes(quota: &Value) -> Vec<Value> {
    let listed = walk::list(quota, "spec.scopes").iter().filter_map(Value::as_str).map(|scope| json!({"scopeName": scope, "operator": "Exists"}));
    listed.chain(walk::list(quota, "spec.scopeSelector.matchExpressions").iter().cloned()).collect()
}

/// Whether a quota's scopes take in the object; only pods and claims have any.
pub fn counts(quota: &Value, plural: &str, object: &Value) -> bool {
    scopes(quota).into_iter().all(|term| plural == "pods" && in_scope(&term, object))
}

pub(crate) fn in_scope(term: &Value, pod: &Value) -> bool {
    let spec = walk::at(pod, "spec");
    match walk::text(term, "scopeName") {
        "Terminating" => !walk::at(spec, "activeDeadlineSeconds").is_null(),
        "NotTerminating" => walk::at(spec, "activeDeadlineSeconds").is_null(),
        "BestEffort" => catalog::core::pod::qos_class(spec) == "BestEffort",
        "NotBestEffort" => catalog::core::pod::qos_class(spec) != "BestEffort",
        "PriorityClass" => {
            let (class, values) = (walk::text(spec, "priorityClassName"), walk::list(term, "values"));
            let listed = values.iter().any(|v| v == class);
            match walk::text(term, "operator") {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => !class.is_empty(),
                _ => class.is_empty(),
            }
        }
        "CrossNamespacePodAffinity" => ["podAffinity", "podAntiAffinity"].iter().any(|kind| crosses(walk::at(walk::at(spec, "affinity"), kind))),
        _ => false,
    }
}

fn crosses(affinity: &Value) -> bool {
    let required = walk::list(affinity, "requiredDuringSchedulingIgnoredDuringExecution").iter();
    let preferred = walk::list(affinity, "preferredDuringSchedulingIgnoredDuringExecution").iter().map(|t| walk::at(t, "podAffinityTerm"));
    required.chain(preferred).any(|term| !walk::list(term, "namespaces").is_empty() || walk::at(term, "namespaceSelector").is_object())
}

fn printed(amounts: &Amounts, only: &[&String]) -> String {
    only.iter().filter_map(|name| amounts.get(*name).map(|amount| format!("{name}={amount}"))).collect::<Vec<_>>().join(",")
}

/// The quota's `status.used` with `delta` added; none where it counts nothing of it; why not where it has no room.
pub fn charge(quota: &Value, delta: &Amounts) -> Result<Option<Value>, String> {
    let name = api::meta::name(quota);
    let (hard, used) = (amounts(walk::at(quota, "status.hard")), amounts(walk::at(quota, "status.used")));
    let touched: Vec<&String> = delta.iter().filter(|(key, amount)| hard.contains_key(*key) && !amount.is_zero()).map(|(key, _)| key).collect();
    if touched.is_empty() {
        return Ok(None);
    }
    let unknown: Vec<_> = touched.iter().filter(|key| !used.contains_key(**key)).map(|key| key.as_str()).collect();
    if !unknown.is_empty() {
        return Err(format!("status unknown for quota: {name}, resources: {}", unknown.join(",")));
    }
    let mut after = walk::at(quota, "status.used").clone();
    let mut over = Vec::new();
    for key in touched {
        let (Some(more), Some(now), Some(most)) = (delta.get(key), used.get(key), hard.get(key)) else { continue };
        let sum = now.clone().plus(more.clone());
        if more.sign() > 0 && sum > *most {
            over.push(key);
        }
        after[key.as_str()] = sum.to_string().into();
    }
    if over.is_empty() {
        return Ok(Some(after));
    }
    Err(format!("exceeded quota: {name}, requested: {}, used: {}, limited: {}", printed(delta, &over), printed(&used, &over), printed(&hard, &over)))
}

/// New less old usage.
pub fn delta(new: Amounts, old: Option<Amounts>) -> Amounts {
    let Some(old) = old else { return new };
    let mut delta = new;
    for (key, amount) in old {
        let rest = delta.get(&key).map_or_else(|| amount.clone().negated(), |now| now.clone().minus(amount.clone()));
        delta.insert(key, rest);
    }
    delta
}

/// A quota on computing resources makes every container say what it needs. Upstream: `PodEvaluator.Constraints`.
pub fn unsaid(quota: &Value, pod: &Value) -> Option<String> {
    let hard = amounts(walk::at(quota, "status.hard"));
    let mut missing = Vec::new();
    for key in hard.keys() {
        let (list, resource) = match key.as_str() {
            "cpu" | "memory" => ("requests", key.as_str()),
            "requests.cpu" | "requests.memory" => ("requests", &key["requests.".len()..]),
            "limits.cpu" | "limits.memory" => ("limits", &key["limits.".len()..]),
            _ => continue,
        };
        let silent = |container: &&Value| walk::at(walk::at(container, "resources"), list).get(resource).is_none();
        if walk::at(walk::at(pod, "spec.resources"), list).get(resource).is_some() {
            continue;
        }
        let containers = ["initContainers", "containers"].into_iter().flat_map(|l| walk::list(walk::at(pod, "spec"), l));
        let names: Vec<_> = containers.filter(silent).map(|c| walk::text(c, "name")).collect();
        if !names.is_empty() {
            missing.push(format!("{key} for: {}", names.join(",")));
        }
    }
    (!missing.is_empty()).then(|| format!("failed quota: {}: must specify {}", api::meta::name(quota), missing.join("; ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn refuses_in_upstreams_words() {
        let quota = json!({"metadata": {"name": "q"}, "status": {"hard": {"pods": "1", "cpu": "1"}, "used": {"pods": "1", "cpu": "0"}}});
        let pod = json!({"spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "500m"}}}]}});
        let refusal = super::charge(&quota, &super::usage("", "pods", &pod));
        assert_eq!(refusal, Err("exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1".into()));
        let room = json!({"metadata": {"name": "q"}, "status": {"hard": {"cpu": "1"}, "used": {"cpu": "250m"}}});
        assert_eq!(super::charge(&room, &super::usage("", "pods", &pod)), Ok(Some(json!({"cpu": "750m"}))));
    }
}
