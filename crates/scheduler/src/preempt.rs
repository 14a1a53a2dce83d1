//! Makes room for a pod that found no place: chooses victims, tells them, and promises the node.

use std::collections::HashMap;

use client::Informer;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use scheduling::filter::Refusal;
use scheduling::fit_error::message;
use scheduling::labels::selects;
use scheduling::node::NodeFacts;
use scheduling::pod::PodFacts;
use scheduling::preemption::{Budgets, Candidate, choose, victims_on};
use scheduling::volumes::VolumeNeeds;

use crate::cache::Cache;

/// At most this many nodes are tried. Upstream: 10 % of the nodes, at least 100.
const TRIED: usize = 100;

pub(crate) enum Outcome {
    /// Evict these and wait for the node.
    Evict(Candidate),
    /// Nothing helps; the words for the message.
    Nothing(String),
}

pub(crate) fn budgets(all: &Informer<PodDisruptionBudget>, cache: &Cache) -> Budgets {
    let mut budgets = Budgets { left: Vec::new(), of_pod: HashMap::new() };
    for budget in all.list() {
        let (Some(spec), Some(status)) = (&budget.spec, &budget.status) else { continue };
        let Some(selector) = &spec.selector else { continue };
        let index = budgets.left.len();
        budgets.left.push(status.disruptions_allowed.unwrap_or(0));
        for pod in cache.nodes.values().flat_map(|n| &n.pods) {
            let disrupted = status.disrupted_pods.as_ref().is_some_and(|d| d.contains_key(pod.name()));
            if pod.pod.metadata.namespace == budget.metadata.namespace && !disrupted && selects(selector, pod.labels()) {
                budgets.of_pod.entry(pod.uid().to_owned()).or_default().push(index);
            }
        }
    }
    budgets
}

/// Upstream: PodEligibleToPreemptOthers.
fn ineligible(pod: &PodFacts, cache: &Cache) -> Option<&'static str> {
    if pod.spec().and_then(|s| s.preemption_policy.as_deref()) == Some("Never") {
        return Some("not eligible due to preemptionPolicy=Never.");
    }
    let nominated = pod.pod.status.as_ref().and_then(|s| s.nominated_node_name.as_deref()).unwrap_or_default();
    let leaving = |n: &NodeFacts| n.pods.iter().any(|p| p.is_terminating() && p.priority < pod.priority);
    if cache.nodes.get(nominated).is_some_and(leaving) {
        return Some("not eligible due to a terminating pod on the nominated node.");
    }
    None
}

pub(crate) fn preempt(cache: &Cache, pod: &PodFacts, needs: Option<&VolumeNeeds>, refusals: &[(String, Refusal)], budgets: &Informer<PodDisruptionBudget>) -> Outcome {
    if let Some(why) = ineligible(pod, cache) {
        return Outcome::Nothing(why.to_owned());
    }
    let total = cache.nodes.len();
    let mut reasons: Vec<String> = Vec::new();
    let mut candidates = Vec::new();
    let budgets = if refusals.iter().any(|(_, r)| r.resolvable) { self::budgets(budgets, cache) } else { Budgets::default() };
    for (name, refusal) in refusals {
        let (Some(node), Some(needs)) = (cache.nodes.get(name).filter(|_| refusal.resolvable), needs) else {
            reasons.push("Preemption is not helpful for scheduling".into());
            continue;
        };
        if candidates.len() >= TRIED {
            break;
        }
        match victims_on(pod, needs, node, cache.nodes.values(), &cache.namespaces, &budgets) {
            Ok(candidate) if !candidate.victims.is_empty() => candidates.push(candidate),
            Ok(_) => {}
            Err(refusal) => reasons.extend(refusal.reasons.iter().map(|r| r.to_string())),
        }
    }
    match choose(candidates) {
        Some(candidate) => Outcome::Evict(candidate),
        None => Outcome::Nothing(message(total, reasons.iter().map(String::as_str))),
    }
}
