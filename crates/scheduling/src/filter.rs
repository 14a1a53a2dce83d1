//! Which nodes can take a pod, and in upstream's words why the others cannot. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Taint, TopologySpreadConstraint};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::affinity::{PodTerm, selector_matches};
use crate::labels::{Labels, selects, untolerated};
use crate::node::NodeFacts;
use crate::pod::PodFacts;
use crate::volumes::VolumeNeeds;

/// The plugin that refused, for choosing which events can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Plugin {
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    Resources,
    Volumes,
    Spread,
    PodAffinity,
    Gates,
}

/// Why one node refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub plugin: Plugin,
    pub reasons: Vec<Cow<'static, str>>,
    /// Evicting pods may help.
    pub resolvable: bool,
}

impl Refusal {
    fn new(plugin: Plugin, reason: &'static str, resolvable: bool) -> Self {
        Self { plugin, reasons: vec![reason.into()], resolvable }
    }
}

pub type NamespaceLabels = HashMap<String, Labels>;

/// What is computed once per pod before nodes are looked at.
pub struct Prepared<'a> {
    pod: &'a PodFacts,
    volumes: &'a VolumeNeeds,
    /// (topology key, value) that pods already placed forbid to this one.
    forbidden: HashMap<(Arc<str>, String), i64>,
    /// Per required term: matching pods by value of the topology key.
    affinity: Vec<HashMap<String, i64>>,
    anti: Vec<HashMap<String, i64>>,
    spread: Vec<SpreadCounts<'a>>,
    namespaces: &'a NamespaceLabels,
}

struct SpreadCounts<'a> {
    constraint: &'a TopologySpreadConstraint,
    selector: LabelSelector,
    counts: BTreeMap<String, i64>,
    itself: i64,
}

fn count(map: &mut HashMap<String, i64>, key: &str, by: i64) {
    *map.entry(key.to_owned()).or_insert(0) += by;
}

/// The selector of a constraint with the pod's own values of matchLabelKeys.
pub(crate) fn spread_selector(constraint: &TopologySpreadConstraint, labels: Option<&Labels>) -> LabelSelector {
    let mut selector = constraint.label_selector.clone().unwrap_or_else(|| LabelSelector { match_labels: Some([(String::new(), String::new())].into()), ..Default::default() });
    for key in constraint.match_label_keys.iter().flatten() {
        if let Some(value) = labels.and_then(|l| l.get(key)) {
            selector.match_labels.get_or_insert_default().insert(key.clone(), value.clone());
        }
    }
    selector
}

impl<'a> Prepared<'a> {
    pub fn new<'n>(pod: &'a PodFacts, volumes: &'a VolumeNeeds, nodes: impl Iterator<Item = &'n NodeFacts> + Clone, namespaces: &'a NamespaceLabels) -> Self {
        let mut prepared = Self {
            pod,
            volumes,
            forbidden: HashMap::new(),
            affinity: vec![HashMap::new(); pod.terms.required_affinity.len()],
            anti: vec![HashMap::new(); pod.terms.required_anti.len()],
            spread: Vec::new(),
            namespaces,
        };
        let own = !pod.terms.required_affinity.is_empty() || !pod.terms.required_anti.is_empty();
        for node in nodes.clone().filter(|n| own || n.with_anti > 0) {
            for other in &node.pods {
                if own || !other.terms.required_anti.is_empty() {
                    prepared.note(node, other, 1);
                }
            }
        }
        for constraint in pod.spread().iter().filter(|c| c.when_unsatisfiable == "DoNotSchedule") {
            prepared.spread.push(spread_counts(pod, constraint, nodes.clone()));
        }
        prepared
    }

    /// Books a pod on a node in or out; preemption tries the world without some pods.
    pub fn note(&mut self, node: &NodeFacts, other: &PodFacts, by: i64) {
        let pod = self.pod;
        let labels_of = |p: &PodFacts| self.namespaces.get(p.namespace());
        let own_namespace = labels_of(pod);
        for term in &other.terms.required_anti {
            if let Some(value) = node.label(&term.topology_key)
                && term.matches(pod.namespace(), pod.labels(), own_namespace)
            {
                *self.forbidden.entry((term.topology_key.clone(), value.to_owned())).or_insert(0) += by;
            }
        }
        let other_namespace = labels_of(other);
        let book = |terms: &[PodTerm], counts: &mut Vec<HashMap<String, i64>>, all: bool| {
            let hit = |t: &PodTerm| t.matches(other.namespace(), other.labels(), other_namespace);
            if all && !terms.iter().all(hit) {
                return;
            }
            for (term, counts) in terms.iter().zip(counts).filter(|(t, _)| all || hit(t)) {
                if let Some(value) = node.label(&term.topology_key) {
                    count(counts, value, by);
                }
            }
        };
        // Upstream: a pod counts for affinity only when it matches all of the terms.
        book(&pod.terms.required_affinity, &mut self.affinity, true);
        book(&pod.terms.required_anti, &mut self.anti, false);
        for spread in &mut self.spread {
            if other.namespace() == pod.namespace()
                && !other.is_terminating()
                && selects(&spread.selector, other.labels())
                && let Some(count) = node.label(&spread.constraint.topology_key).and_then(|v| spread.counts.get_mut(v))
            {
                *count += by;
            }
        }
    }

    /// `None` when the node can take the pod.
    pub fn refusal(&self, node: &NodeFacts) -> Option<Refusal> {
        self.by_node(node).or_else(|| fits(self.pod, node)).or_else(|| self.volumes.refusal(node)).or_else(|| self.by_spread(node)).or_else(|| self.by_pods(node))
    }

    fn by_node(&self, node: &NodeFacts) -> Option<Refusal> {
        let pod = self.pod;
        let spec = pod.spec()?;
        if node.is_unschedulable() {
            let taint = Taint { key: "node.kubernetes.io/unschedulable".into(), effect: "NoSchedule".into(), ..Taint::default() };
            if untolerated(pod.tolerations(), std::slice::from_ref(&taint), |_| true).is_some() {
                return Some(Refusal::new(Plugin::NodeUnschedulable, "node(s) were unschedulable", false));
            }
        }
        if spec.node_name.as_deref().is_some_and(|n| !n.is_empty() && n != node.name()) {
            return Some(Refusal::new(Plugin::NodeName, "node(s) didn't match the requested node name", false));
        }
        if untolerated(pod.tolerations(), node.taints(), |t| t.effect == "NoSchedule" || t.effect == "NoExecute").is_some() {
            return Some(Refusal::new(Plugin::TaintToleration, "node(s) had untolerated taint(s)", false));
        }
        if !matches_node(pod, node) {
            return Some(Refusal::new(Plugin::NodeAffinity, "node(s) didn't match Pod's node affinity/selector", false));
        }
        let taken = |port| node.pods.iter().any(|p| p.ports.iter().any(|other| other.collides(port)));
        if pod.ports.iter().any(taken) {
            return Some(Refusal::new(Plugin::NodePorts, "node(s) didn't have free ports for the requested pod ports", true));
        }
        None
    }

    fn by_spread(&self, node: &NodeFacts) -> Option<Refusal> {
        for spread in &self.spread {
            let Some(value) = node.label(&spread.constraint.topology_key) else {
                return Some(Refusal::new(Plugin::Spread, "node(s) didn't match pod topology spread constraints (missing required label)", false));
            };
            let domains = i32::try_from(spread.counts.len()).unwrap_or(i32::MAX);
            let least = if domains < spread.constraint.min_domains.unwrap_or(1) { 0 } else { spread.counts.values().copied().min().unwrap_or(0) };
            let here = spread.counts.get(value).copied().unwrap_or(0);
            if here + spread.itself - least > i64::from(spread.constraint.max_skew) {
                return Some(Refusal::new(Plugin::Spread, "node(s) didn't match pod topology spread constraints", true));
            }
        }
        None
    }

    fn by_pods(&self, node: &NodeFacts) -> Option<Refusal> {
        let pod = self.pod;
        let at = |counts: &HashMap<String, i64>, term: &PodTerm| node.label(&term.topology_key).map_or(0, |v| counts.get(v).copied().unwrap_or(0));
        let terms = &pod.terms.required_affinity;
        let has_keys = terms.iter().all(|t| node.label(&t.topology_key).is_some());
        let near = terms.iter().zip(&self.affinity).all(|(term, counts)| at(counts, term) > 0);
        if !(has_keys && (near || self.is_first_of_its_kind())) {
            return Some(Refusal::new(Plugin::PodAffinity, "node(s) didn't match pod affinity rules", false));
        }
        if pod.terms.required_anti.iter().zip(&self.anti).any(|(term, counts)| at(counts, term) > 0) {
            return Some(Refusal::new(Plugin::PodAffinity, "node(s) didn't match pod anti-affinity rules", true));
        }
        if self.forbidden.iter().any(|((key, value), n)| *n > 0 && node.label(key) == Some(value)) {
            return Some(Refusal::new(Plugin::PodAffinity, "node(s) didn't satisfy existing pods anti-affinity rules", true));
        }
        None
    }

    /// The first pod of a group that wants to be near itself may go anywhere.
    fn is_first_of_its_kind(&self) -> bool {
        let none_anywhere = self.affinity.iter().all(|counts| counts.values().all(|n| *n <= 0));
        let pod = self.pod;
        let own = self.namespaces.get(pod.namespace());
        none_anywhere && pod.terms.required_affinity.iter().all(|t| t.matches(pod.namespace(), pod.labels(), own))
    }
}

/// Node selector and required node affinity.
pub fn matches_node(pod: &PodFacts, node: &NodeFacts) -> bool {
    let Some(spec) = pod.spec() else { return true };
    let labels = node.node.metadata.labels.as_ref();
    let selected = spec.node_selector.iter().flatten().all(|(k, v)| labels.and_then(|l| l.get(k)) == Some(v));
    let required = spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref()).and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    selected && required.is_none_or(|r| selector_matches(r, &node.node))
}

fn spread_counts<'a, 'n>(pod: &PodFacts, constraint: &'a TopologySpreadConstraint, nodes: impl Iterator<Item = &'n NodeFacts>) -> SpreadCounts<'a> {
    let selector = spread_selector(constraint, pod.labels());
    let honors_affinity = constraint.node_affinity_policy.as_deref() != Some("Ignore");
    let honors_taints = constraint.node_taints_policy.as_deref() == Some("Honor");
    let mut counts = BTreeMap::new();
    for node in nodes {
        let Some(value) = node.label(&constraint.topology_key) else { continue };
        let tainted = honors_taints && untolerated(pod.tolerations(), node.taints(), |t| t.effect != "PreferNoSchedule").is_some();
        if tainted || honors_affinity && !matches_node(pod, node) {
            continue;
        }
        let here = node.pods.iter().filter(|p| p.namespace() == pod.namespace() && !p.is_terminating() && selects(&selector, p.labels())).count();
        *counts.entry(value.to_owned()).or_insert(0) += i64::try_from(here).unwrap_or(i64::MAX);
    }
    let itself = i64::from(selects(&selector, pod.labels()));
    SpreadCounts { constraint, selector, counts, itself }
}

/// Resources and the number of pods; every reason at once.
pub fn fits(pod: &PodFacts, node: &NodeFacts) -> Option<Refusal> {
    let mut reasons: Vec<Cow<'static, str>> = Vec::new();
    let mut resolvable = true;
    if i64::try_from(node.pods.len()).unwrap_or(i64::MAX) >= node.max_pods {
        reasons.push("Too many pods".into());
    }
    let mut check = |wanted: i64, has: i64, used: i64, reason: &dyn Fn() -> Cow<'static, str>| {
        if wanted > 0 && wanted > has.saturating_sub(used) {
            resolvable &= wanted <= has;
            reasons.push(reason());
        }
    };
    let (want, has, used) = (&pod.requests, &node.allocatable, &node.requested);
    check(want.milli_cpu, has.milli_cpu, used.milli_cpu, &|| "Insufficient cpu".into());
    check(want.memory, has.memory, used.memory, &|| "Insufficient memory".into());
    check(want.storage, has.storage, used.storage, &|| "Insufficient ephemeral-storage".into());
    for (name, wanted) in &want.others {
        check(*wanted, has.other(name), used.other(name), &|| format!("Insufficient {name}").into());
    }
    (!reasons.is_empty()).then_some(Refusal { plugin: Plugin::Resources, reasons, resolvable })
}
