//! Decisions as data: nodes and placed pods, then the pod without a node; expected are refusals, scores and the victims.

use std::fmt::Write as _;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use scheduling::filter::{NamespaceLabels, Prepared};
use scheduling::fit_error::message;
use scheduling::node::NodeFacts;
use scheduling::pod::PodFacts;
use scheduling::preemption::{Budgets, victims_on};
use scheduling::score::scores;
use scheduling::volumes::VolumeNeeds;
use serde_json::Value;

fn parse(given: &str) -> (Vec<NodeFacts>, PodFacts) {
    let (mut nodes, mut pending) = (Vec::new(), None);
    for document in given.split("\n---\n") {
        let value: Value = serde_saphyr::from_str(document).expect("case is YAML");
        if value["kind"] == "Node" {
            nodes.push(NodeFacts::new(Arc::new(serde_json::from_value::<Node>(value).expect("a node"))));
            continue;
        }
        let mut pod: Pod = serde_json::from_value(value).expect("a pod");
        pod.metadata.namespace.get_or_insert_with(|| "default".into());
        pod.metadata.uid = pod.metadata.name.clone();
        let facts = PodFacts::new(Arc::new(pod));
        let place = facts.spec().and_then(|s| s.node_name.clone());
        match place {
            Some(name) => nodes.iter_mut().find(|n| n.name() == name).expect("node before its pods").add(Arc::new(facts)),
            None => pending = Some(facts),
        }
    }
    (nodes, pending.expect("a pod without a node"))
}

fn check(given: &str) -> String {
    let (nodes, pod) = parse(given);
    let namespaces: NamespaceLabels = [("default".to_owned(), Default::default())].into();
    let needs = VolumeNeeds::default();
    let prepared = Prepared::new(&pod, &needs, nodes.iter(), &namespaces);
    let (mut feasible, mut refusals) = (Vec::new(), Vec::new());
    for node in &nodes {
        match prepared.refusal(node) {
            None => feasible.push(node),
            Some(refusal) => refusals.push((node, refusal)),
        }
    }
    let mut out = String::new();
    if feasible.is_empty() {
        let _ = writeln!(out, "{}", message(nodes.len(), refusals.iter().flat_map(|(_, r)| r.reasons.iter().map(AsRef::as_ref))));
        for (node, refusal) in refusals.iter().filter(|(_, r)| r.resolvable) {
            let found = match victims_on(&pod, &needs, node, nodes.iter(), &namespaces, &Budgets::default()) {
                Ok(candidate) => candidate.victims.iter().map(|v| v.name().to_owned()).collect::<Vec<_>>().join(" "),
                Err(why) => why.reasons.join(", "),
            };
            let _ = writeln!(out, "{} ({:?}): evict {found}", node.name(), refusal.plugin);
        }
        return out;
    }
    for (node, refusal) in &refusals {
        let _ = writeln!(out, "{}: {}", node.name(), refusal.reasons.join(", "));
    }
    for (node, score) in feasible.iter().zip(scores(&pod, &feasible, nodes.iter(), &namespaces)) {
        let _ = writeln!(out, "{}: score {score}", node.name());
    }
    out
}

#[test]
fn cases() {
    casefile::run("cases", check);
}
