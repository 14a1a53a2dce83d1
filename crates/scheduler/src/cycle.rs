//! One try for one pod: filter, score, choose. Reads the world under its lock; writes nothing.

use scheduling::filter::{Plugin, Prepared, Refusal};
use scheduling::fit_error::{message, message_for_all};
use scheduling::node::NodeFacts;
use scheduling::pod::PodFacts;
use scheduling::score::scores;
use scheduling::volumes::{Binding, VolumeNeeds};

use crate::cache::Cache;
use crate::claims::Claims;

pub(crate) enum Decision {
    Place { node: String, bindings: Vec<Binding> },
    NoPlace { message: String, plugins: Vec<Plugin>, refusals: Vec<(String, Refusal)>, needs: Option<VolumeNeeds> },
}

/// Upstream: minFeasibleNodesToFind, numFeasibleNodesToFind.
fn enough(total: usize) -> usize {
    const LEAST: usize = 100;
    if total <= LEAST {
        return total;
    }
    let percent = 50usize.saturating_sub(total / 125).max(5);
    (total * percent / 100).max(LEAST)
}

pub(crate) fn decide(cache: &mut Cache, claims: &Claims, pod: &PodFacts) -> Decision {
    let nodes: Vec<&NodeFacts> = cache.nodes.values().collect();
    let total = nodes.len();
    if total == 0 {
        return Decision::NoPlace { message: "no nodes available to schedule pods".into(), plugins: vec![Plugin::NodeName], refusals: Vec::new(), needs: None };
    }
    let needs = match claims.needs(pod, nodes.iter().copied()) {
        Ok(needs) => needs,
        Err(reason) => {
            let refusal = Refusal { plugin: Plugin::Volumes, reasons: vec![reason.clone().into()], resolvable: false };
            let refusals = nodes.iter().map(|n| (n.name().to_owned(), refusal.clone())).collect();
            return Decision::NoPlace { message: message_for_all(total, &reason), plugins: vec![Plugin::Volumes], refusals, needs: None };
        }
    };
    let prepared = Prepared::new(pod, &needs, nodes.iter().copied(), &cache.namespaces);
    let mut feasible: Vec<&NodeFacts> = Vec::new();
    let mut refusals = Vec::new();
    let (start, wanted) = (cache.next_start % total, enough(total));
    let mut looked = 0;
    for node in nodes[start..].iter().chain(&nodes[..start]) {
        looked += 1;
        // A node must do both with and without those to whom it was promised.
        let promised = cache.with_promises(node, pod).and_then(|full| prepared.refusal(&full));
        match promised.or_else(|| prepared.refusal(node)) {
            Some(refusal) => refusals.push((node.name().to_owned(), refusal)),
            None => feasible.push(node),
        }
        if feasible.len() >= wanted {
            break;
        }
    }
    let chosen = match feasible.len() {
        0 => None,
        1 => Some(feasible[0]),
        _ => best(&feasible, &scores(pod, &feasible, nodes.iter().copied(), &cache.namespaces), looked),
    };
    let Some(node) = chosen else {
        let mut plugins: Vec<Plugin> = refusals.iter().map(|(_, r)| r.plugin).collect();
        plugins.sort_unstable();
        plugins.dedup();
        let text = message(total, refusals.iter().flat_map(|(_, r)| r.reasons.iter().map(AsRef::as_ref)));
        return Decision::NoPlace { message: text, plugins, refusals, needs: Some(needs) };
    };
    let bindings = needs.bindings(&node.node).unwrap_or_default();
    let node = node.name().to_owned();
    cache.next_start = (start + looked) % total;
    Decision::Place { node, bindings }
}

/// The best; of equally good ones not always the same.
fn best<'n>(feasible: &[&'n NodeFacts], scores: &[i64], salt: usize) -> Option<&'n NodeFacts> {
    let top = scores.iter().max()?;
    let ties: Vec<&&NodeFacts> = feasible.iter().zip(scores).filter(|(_, s)| *s == top).map(|(n, _)| n).collect();
    ties.get(salt % ties.len().max(1)).map(|n| **n)
}
