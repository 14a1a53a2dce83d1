//! How good a place is: 0 to 100 per aspect, weighted and summed. Pure.
//!
//! Upstream's default plugins and weights: taints 3, node affinity 2, spreading 2, pod affinity 2, free resources 1, balance 1, images 1.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::TopologySpreadConstraint;

use crate::affinity::term_matches;
use crate::filter::{NamespaceLabels, spread_selector};
use crate::labels::{selects, tolerates};
use crate::node::NodeFacts;
use crate::pod::PodFacts;

const MAX: i64 = 100;

/// The scores of `feasible`, in its order. `all` nodes are looked at for what pods want to be near.
pub fn scores<'n>(pod: &PodFacts, feasible: &[&'n NodeFacts], all: impl Iterator<Item = &'n NodeFacts> + Clone, namespaces: &NamespaceLabels) -> Vec<i64> {
    let mut sums = vec![0i64; feasible.len()];
    let mut weigh = |weight: i64, scores: Vec<i64>| {
        for (sum, score) in sums.iter_mut().zip(scores) {
            *sum += weight * score;
        }
    };
    let each = |of: &dyn Fn(&NodeFacts) -> i64| feasible.iter().map(|n| of(n)).collect::<Vec<_>>();
    weigh(1, each(&|n| least_allocated(pod, n)));
    weigh(1, each(&|n| balanced(pod, n)));
    weigh(1, each(&|n| images(pod, n)));
    weigh(3, inverted(each(&|n| avoided_taints(pod, n))));
    if prefers_nodes(pod) {
        weigh(2, scaled(each(&|n| preferred_node(pod, n))));
    }
    let near = near_pods(pod, feasible, all.clone(), namespaces);
    weigh(2, between(near));
    weigh(2, spread(pod, feasible, all));
    sums
}

fn share(used: i64, has: i64) -> f64 {
    if has <= 0 { 1.0 } else { (used as f64 / has as f64).min(1.0) }
}

fn least_allocated(pod: &PodFacts, node: &NodeFacts) -> i64 {
    let free = |has: i64, used: i64, wanted: i64| {
        let used = used.saturating_add(wanted);
        if has <= 0 || used > has { 0 } else { (i128::from(has - used) * i128::from(MAX) / i128::from(has)) as i64 }
    };
    let cpu = free(node.allocatable.milli_cpu, node.nominal.milli_cpu, pod.nominal.milli_cpu);
    let memory = free(node.allocatable.memory, node.nominal.memory, pod.nominal.memory);
    (cpu + memory) / 2
}

fn balanced(pod: &PodFacts, node: &NodeFacts) -> i64 {
    let cpu = share(node.requested.milli_cpu.saturating_add(pod.requests.milli_cpu), node.allocatable.milli_cpu);
    let memory = share(node.requested.memory.saturating_add(pod.requests.memory), node.allocatable.memory);
    // Two shares: their standard deviation is half their distance.
    ((1.0 - (cpu - memory).abs() / 2.0) * MAX as f64) as i64
}

/// Upstream: imagelocality; images of 23 MiB to 1000 MiB per container count linearly.
fn images(pod: &PodFacts, node: &NodeFacts) -> i64 {
    const LEAST: i64 = 23 * 1024 * 1024;
    const MOST: i64 = 1000 * 1024 * 1024;
    let Some(spec) = pod.spec() else { return 0 };
    let present = node.node.status.iter().flat_map(|s| s.images.iter().flatten());
    let wanted = |name: &str| spec.containers.iter().filter_map(|c| c.image.as_deref()).any(|image| image == name || format!("{image}:latest") == name);
    let size: i64 = present.filter(|i| i.names.iter().flatten().any(|n| wanted(n))).map(|i| i.size_bytes.unwrap_or(0)).fold(0, i64::saturating_add);
    let most = MOST.saturating_mul(i64::try_from(spec.containers.len()).unwrap_or(1)).max(LEAST + 1);
    MAX.saturating_mul(size.clamp(LEAST, most) - LEAST) / (most - LEAST)
}

fn avoided_taints(pod: &PodFacts, node: &NodeFacts) -> i64 {
    let soft = node.taints().iter().filter(|t| t.effect == "PreferNoSchedule");
    let bearable = |t: &_| pod.tolerations().iter().any(|toleration| matches!(toleration.effect.as_deref(), None | Some("" | "PreferNoSchedule")) && tolerates(toleration, t));
    i64::try_from(soft.filter(|t| !bearable(t)).count()).unwrap_or(MAX)
}

fn preferred_terms(pod: &PodFacts) -> &[k8s_openapi::api::core::v1::PreferredSchedulingTerm] {
    let affinity = pod.spec().and_then(|s| s.affinity.as_ref()).and_then(|a| a.node_affinity.as_ref());
    affinity.and_then(|a| a.preferred_during_scheduling_ignored_during_execution.as_deref()).unwrap_or_default()
}

fn prefers_nodes(pod: &PodFacts) -> bool {
    !preferred_terms(pod).is_empty()
}

fn preferred_node(pod: &PodFacts, node: &NodeFacts) -> i64 {
    preferred_terms(pod).iter().filter(|t| term_matches(&t.preference, &node.node)).map(|t| i64::from(t.weight)).sum()
}

fn near_pods<'n>(pod: &PodFacts, feasible: &[&NodeFacts], all: impl Iterator<Item = &'n NodeFacts>, namespaces: &NamespaceLabels) -> Vec<i64> {
    /// Upstream: HardPodAffinityWeight.
    const HARD: i64 = 1;
    let own_soft = !pod.terms.preferred_affinity.is_empty() || !pod.terms.preferred_anti.is_empty();
    let mut wishes: HashMap<(&str, &str), i64> = HashMap::new();
    let own_labels = namespaces.get(pod.namespace());
    for node in all.filter(|n| n.with_terms > 0) {
        for other in node.pods.iter().filter(|p| !p.terms.is_empty()) {
            let mut note = |term: &'n crate::affinity::PodTerm, weight: i64| {
                if let Some(value) = node.label(&term.topology_key) {
                    *wishes.entry((&*term.topology_key, value)).or_insert(0) += weight;
                }
            };
            for term in other.terms.preferred_affinity.iter().filter(|t| t.matches(pod.namespace(), pod.labels(), own_labels)) {
                note(term, term.weight);
            }
            for term in other.terms.preferred_anti.iter().filter(|t| t.matches(pod.namespace(), pod.labels(), own_labels)) {
                note(term, -term.weight);
            }
            for term in other.terms.required_affinity.iter().filter(|t| t.matches(pod.namespace(), pod.labels(), own_labels)) {
                note(term, HARD);
            }
        }
    }
    let mut own: HashMap<(String, String), i64> = HashMap::new();
    if own_soft {
        for node in feasible {
            for other in &node.pods {
                let labels = namespaces.get(other.namespace());
                let terms = pod.terms.preferred_affinity.iter().map(|t| (t, t.weight)).chain(pod.terms.preferred_anti.iter().map(|t| (t, -t.weight)));
                for (term, weight) in terms.filter(|(t, _)| t.matches(other.namespace(), other.labels(), labels)) {
                    if let Some(value) = node.label(&term.topology_key) {
                        *own.entry((term.topology_key.to_string(), value.to_owned())).or_insert(0) += weight;
                    }
                }
            }
        }
    }
    let at = |node: &NodeFacts| {
        let theirs: i64 = wishes.iter().filter(|((key, value), _)| node.label(key) == Some(value)).map(|(_, w)| w).sum();
        let ours: i64 = own.iter().filter(|((key, value), _)| node.label(key) == Some(value)).map(|(_, w)| w).sum();
        theirs + ours
    };
    feasible.iter().map(|n| at(n)).collect()
}

/// Soft constraints of the pod, or else an even spread of one owner's pods over nodes and zones.
fn spread<'n>(pod: &PodFacts, feasible: &[&NodeFacts], all: impl Iterator<Item = &'n NodeFacts> + Clone) -> Vec<i64> {
    let soft: Vec<&TopologySpreadConstraint> = pod.spread().iter().filter(|c| c.when_unsatisfiable == "ScheduleAnyway").collect();
    let mut crowding = vec![0f64; feasible.len()];
    let default = soft.is_empty();
    let mut by_key = |key: &str, slack: f64, related: &dyn Fn(&PodFacts) -> bool| {
        let mut counts: HashMap<&str, i64> = HashMap::new();
        // Without rules of the pod's own the places that are left are compared with each other only.
        let looked: Vec<&NodeFacts> = if default { feasible.to_vec() } else { all.clone().collect() };
        for node in looked {
            if let Some(value) = node.label(key) {
                *counts.entry(value).or_insert(0) += i64::try_from(node.pods.iter().filter(|p| related(p)).count()).unwrap_or(0);
            }
        }
        let weight = ((counts.len() + 2) as f64).ln();
        for (sum, node) in crowding.iter_mut().zip(feasible) {
            if let Some(count) = node.label(key).and_then(|v| counts.get(v)) {
                *sum += *count as f64 * weight + slack;
            }
        }
    };
    if soft.is_empty() {
        let Some(owner) = pod.owner.as_deref().filter(|_| pod.spread().is_empty()) else { return vec![0; feasible.len()] };
        let sibling = |p: &PodFacts| p.owner.as_deref() == Some(owner) && !p.is_terminating();
        by_key("kubernetes.io/hostname", 2.0, &sibling);
        by_key("topology.kubernetes.io/zone", 4.0, &sibling);
    }
    for constraint in soft {
        let selector = spread_selector(constraint, pod.labels());
        by_key(&constraint.topology_key, f64::from(constraint.max_skew) - 1.0, &|p| p.namespace() == pod.namespace() && !p.is_terminating() && selects(&selector, p.labels()));
    }
    let (least, most) = crowding.iter().fold((f64::MAX, 0f64), |(least, most), c| (least.min(*c), most.max(*c)));
    crowding.iter().map(|c| if most <= 0.0 { MAX } else { (MAX as f64 * (most + least - c) / most) as i64 }).collect()
}

/// The highest becomes 100.
fn scaled(scores: Vec<i64>) -> Vec<i64> {
    let most = scores.iter().copied().max().unwrap_or(0);
    if most == 0 { scores } else { scores.into_iter().map(|s| s * MAX / most).collect() }
}

/// The lowest is best.
fn inverted(scores: Vec<i64>) -> Vec<i64> {
    let most = scores.iter().copied().max().unwrap_or(0);
    if most == 0 { vec![MAX; scores.len()] } else { scores.into_iter().map(|s| MAX - s * MAX / most).collect() }
}

/// The lowest becomes 0, the highest 100.
fn between(scores: Vec<i64>) -> Vec<i64> {
    let (least, most) = (scores.iter().copied().min().unwrap_or(0), scores.iter().copied().max().unwrap_or(0));
    if most == least { vec![0; scores.len()] } else { scores.into_iter().map(|s| MAX * (s - least) / (most - least)).collect() }
}
