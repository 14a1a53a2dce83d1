//! How much of a quota objects use. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuotaSpec, Service};
use quantity::Quantity;
use scheduling::resources::{Amounts, limits, requests};

use crate::pods;

pub(crate) type Usage = BTreeMap<String, Quantity>;

fn whole(number: i64) -> Quantity {
    Quantity::from_value(number, quantity::Format::DecimalSi)
}

fn bytes(number: i64) -> Quantity {
    Quantity::from_value(number, quantity::Format::BinarySi)
}

fn add(usage: &mut Usage, name: &str, amount: Quantity) {
    let sum = usage.entry(name.to_owned()).or_default();
    *sum = sum.plus(amount);
}

/// Does a pod fall under all scopes of the quota? Upstream: podMatchesScopeFunc.
pub(crate) fn in_scope(spec: &ResourceQuotaSpec, pod: &Pod) -> bool {
    let plain = spec.scopes.iter().flatten().map(|s| (s.as_str(), "Exists", &[][..]));
    let selected = spec.scope_selector.iter().flat_map(|s| s.match_expressions.iter().flatten()).map(|e| (e.scope_name.as_str(), e.operator.as_str(), e.values.as_deref().unwrap_or_default()));
    plain.chain(selected).all(|(scope, operator, values)| has_scope(scope, operator, values, pod))
}

fn has_scope(scope: &str, operator: &str, values: &[String], pod: &Pod) -> bool {
    let Some(spec) = &pod.spec else { return false };
    let ends = spec.active_deadline_seconds.is_some_and(|s| s >= 0);
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => is_best_effort(pod),
        "NotBestEffort" => !is_best_effort(pod),
        "CrossNamespacePodAffinity" => crosses_namespaces(pod),
        "PriorityClass" => {
            let class = spec.priority_class_name.clone().unwrap_or_default();
            match operator {
                "In" => values.contains(&class),
                "NotIn" => !values.contains(&class),
                "Exists" => !class.is_empty(),
                "DoesNotExist" => class.is_empty(),
                _ => false,
            }
        }
        _ => false,
    }
}

fn is_best_effort(pod: &Pod) -> bool {
    let containers = pod.spec.iter().flat_map(|s| s.containers.iter().chain(s.init_containers.iter().flatten()));
    let counted = |list: Option<&BTreeMap<String, _>>| list.is_some_and(|l: &BTreeMap<String, k8s_openapi::apimachinery::pkg::api::resource::Quantity>| l.contains_key("cpu") || l.contains_key("memory"));
    !containers.filter_map(|c| c.resources.as_ref()).any(|r| counted(r.requests.as_ref()) || counted(r.limits.as_ref()))
}

fn crosses_namespaces(pod: &Pod) -> bool {
    let Some(affinity) = pod.spec.as_ref().and_then(|s| s.affinity.as_ref()) else { return false };
    let required = affinity.pod_affinity.iter().flat_map(|a| a.required_during_scheduling_ignored_during_execution.iter().flatten());
    let required_anti = affinity.pod_anti_affinity.iter().flat_map(|a| a.required_during_scheduling_ignored_during_execution.iter().flatten());
    let preferred = affinity.pod_affinity.iter().flat_map(|a| a.preferred_during_scheduling_ignored_during_execution.iter().flatten());
    let preferred_anti = affinity.pod_anti_affinity.iter().flat_map(|a| a.preferred_during_scheduling_ignored_during_execution.iter().flatten());
    let all = required.chain(required_anti).chain(preferred.chain(preferred_anti).map(|t| &t.pod_affinity_term));
    all.into_iter().any(|t| t.namespace_selector.is_some() || t.namespaces.as_ref().is_some_and(|n| !n.is_empty()))
}

pub(crate) fn of_pods(usage: &mut Usage, all: &[Arc<Pod>]) {
    for pod in all {
        add(usage, "count/pods", whole(1));
        // Finished pods use nothing any more.
        let Some(spec) = pod.spec.as_ref().filter(|_| !pods::is_terminal(pod)) else { continue };
        add(usage, "pods", whole(1));
        let (requests, limits) = (requests(spec), limits(spec));
        amounts(usage, &requests, &["", "requests."]);
        amounts(usage, &limits, &["limits."]);
        for (name, amount) in &requests.others {
            add(usage, &format!("requests.{name}"), whole(*amount));
            if name.starts_with("hugepages-") {
                add(usage, name, bytes(*amount));
            }
        }
    }
}

fn amounts(usage: &mut Usage, amounts: &Amounts, prefixes: &[&str]) {
    for prefix in prefixes {
        add(usage, &format!("{prefix}cpu"), Quantity::from_milli(amounts.milli_cpu, quantity::Format::DecimalSi));
        add(usage, &format!("{prefix}memory"), bytes(amounts.memory));
        add(usage, &format!("{prefix}ephemeral-storage"), bytes(amounts.storage));
    }
}

pub(crate) fn of_services(usage: &mut Usage, all: &[Arc<Service>]) {
    for service in all {
        add(usage, "services", whole(1));
        add(usage, "count/services", whole(1));
        let Some(spec) = &service.spec else { continue };
        let ports = i64::try_from(spec.ports.as_ref().map_or(0, Vec::len)).unwrap_or(0);
        match spec.type_.as_deref() {
            Some("NodePort") => add(usage, "services.nodeports", whole(ports)),
            Some("LoadBalancer") => {
                add(usage, "services.loadbalancers", whole(1));
                if spec.allocate_load_balancer_node_ports != Some(false) {
                    add(usage, "services.nodeports", whole(ports));
                }
            }
            _ => {}
        }
    }
}

pub(crate) fn of_claims(usage: &mut Usage, all: &[Arc<PersistentVolumeClaim>]) {
    for claim in all {
        let class = scheduling::volumes::class_of_claim(claim);
        let storage = scheduling::volumes::requested(claim);
        add(usage, "persistentvolumeclaims", whole(1));
        add(usage, "count/persistentvolumeclaims", whole(1));
        add(usage, "requests.storage", storage);
        if !class.is_empty() {
            add(usage, &format!("{class}.storageclass.storage.k8s.io/persistentvolumeclaims"), whole(1));
            add(usage, &format!("{class}.storageclass.storage.k8s.io/requests.storage"), storage);
        }
    }
}

/// Plain counts: the quota's name and the resource it counts, as (plural, group).
pub(crate) fn counted(name: &str) -> Option<(String, String)> {
    match name {
        "configmaps" | "secrets" | "replicationcontrollers" | "resourcequotas" => Some((name.to_owned(), String::new())),
        _ => {
            let rest = name.strip_prefix("count/")?;
            let (plural, group) = rest.split_once('.').unwrap_or((rest, ""));
            Some((plural.to_owned(), group.to_owned()))
        }
    }
}

pub(crate) fn count(usage: &mut Usage, name: &str, number: usize) {
    usage.insert(name.to_owned(), whole(i64::try_from(number).unwrap_or(i64::MAX)));
}
