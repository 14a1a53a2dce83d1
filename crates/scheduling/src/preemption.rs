//! Whom to evict so that a more important pod finds a place. Pure. Upstream: framework/preemption, plugins/defaultpreemption.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::filter::{NamespaceLabels, Prepared, Refusal};
use crate::node::NodeFacts;
use crate::pod::PodFacts;
use crate::volumes::VolumeNeeds;

type Start = Option<Time>;

/// A node and the pods to evict there.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub node: String,
    pub victims: Vec<Arc<PodFacts>>,
    pub violations: usize,
}

/// How many more pods each disruption budget can spare; pods by uid to the budgets that count them.
#[derive(Default)]
pub struct Budgets {
    pub left: Vec<i32>,
    pub of_pod: HashMap<String, Vec<usize>>,
}

impl Budgets {
    /// Splits pods into those whose eviction breaks a budget and the rest.
    fn split(&self, pods: Vec<Arc<PodFacts>>) -> (Vec<Arc<PodFacts>>, Vec<Arc<PodFacts>>) {
        let mut left = self.left.clone();
        pods.into_iter().partition(|pod| {
            let mut violates = false;
            for budget in self.of_pod.get(pod.uid()).into_iter().flatten() {
                if let Some(left) = left.get_mut(*budget) {
                    *left -= 1;
                    violates |= *left < 0;
                }
            }
            violates
        })
    }
}

/// More important pods first; of equally important ones those that run longer.
fn importance(a: &PodFacts, b: &PodFacts) -> std::cmp::Ordering {
    let start = |p: &PodFacts| -> Start { p.pod.status.as_ref().and_then(|s| s.start_time.clone()) };
    b.priority.cmp(&a.priority).then_with(|| match (start(a), start(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    })
}

/// The fewest pods of lower priority whose removal lets the pod in, or why not even that would help.
pub fn victims_on<'n>(
    pod: &PodFacts,
    volumes: &VolumeNeeds,
    node: &NodeFacts,
    all: impl Iterator<Item = &'n NodeFacts> + Clone,
    namespaces: &NamespaceLabels,
    budgets: &Budgets,
) -> Result<Candidate, Refusal> {
    let mut prepared = Prepared::new(pod, volumes, all, namespaces);
    let mut room = node.clone();
    let mut lower: Vec<Arc<PodFacts>> = node.pods.iter().filter(|p| p.priority < pod.priority).cloned().collect();
    if lower.is_empty() {
        return Err(Refusal { plugin: crate::filter::Plugin::Resources, reasons: vec!["No preemption victims found for incoming pod".into()], resolvable: false });
    }
    for other in &lower {
        room.remove(other.uid());
        prepared.note(node, other, -1);
    }
    if let Some(refusal) = prepared.refusal(&room) {
        return Err(refusal);
    }
    lower.sort_by(|a, b| importance(a, b));
    let (breaking, harmless) = budgets.split(lower);
    let mut victims = Vec::new();
    let mut violations = 0;
    // Those that can stay after all stay, the most important first.
    for (other, breaks) in breaking.into_iter().map(|p| (p, true)).chain(harmless.into_iter().map(|p| (p, false))) {
        room.add(other.clone());
        prepared.note(node, &other, 1);
        if prepared.refusal(&room).is_some() {
            room.remove(other.uid());
            prepared.note(node, &other, -1);
            violations += usize::from(breaks);
            victims.push(other);
        }
    }
    victims.sort_by(|a, b| importance(a, b));
    Ok(Candidate { node: node.name().to_owned(), victims, violations })
}

/// Fewest broken budgets, then the least important victims, then the fewest, then those that started last.
pub fn choose(candidates: Vec<Candidate>) -> Option<Candidate> {
    let first_start = |c: &Candidate| -> Start {
        let top = c.victims.first()?.priority;
        c.victims.iter().filter(|v| v.priority == top).filter_map(|v| v.pod.status.as_ref()?.start_time.clone()).min()
    };
    // Upstream adds MaxInt32+1 to each so that sums of negative priorities still prefer fewer pods.
    let sum = |c: &Candidate| c.victims.iter().map(|v| i64::from(v.priority) + i64::from(i32::MAX) + 1).sum::<i64>();
    candidates.into_iter().min_by(|a, b| {
        let highest = |c: &Candidate| c.victims.first().map_or(i32::MIN, |v| v.priority);
        a.violations
            .cmp(&b.violations)
            .then_with(|| highest(a).cmp(&highest(b)))
            .then_with(|| sum(a).cmp(&sum(b)))
            .then_with(|| a.victims.len().cmp(&b.victims.len()))
            .then_with(|| first_start(b).cmp(&first_start(a)))
    })
}
