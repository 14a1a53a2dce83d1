//! Node selectors and terms between pods. Pure matches over labels.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::labels::{Labels, selects};

fn requirement(rule: &NodeSelectorRequirement, found: Option<&str>) -> bool {
    let values = rule.values.as_deref().unwrap_or_default();
    let number = |text: &str| text.parse::<i64>().ok();
    let compare = |with: fn(&i64, &i64) -> bool| found.and_then(number).zip(values.first().and_then(|v| number(v))).is_some_and(|(f, v)| with(&f, &v));
    match rule.operator.as_str() {
        "In" => found.is_some_and(|f| values.iter().any(|v| v == f)),
        "NotIn" => found.is_none_or(|f| values.iter().all(|v| v != f)),
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => compare(i64::gt),
        "Lt" => compare(i64::lt),
        _ => false,
    }
}

/// A term without any rule matches nothing.
pub fn term_matches(term: &NodeSelectorTerm, node: &Node) -> bool {
    let labels = node.metadata.labels.as_ref();
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    expressions.iter().all(|rule| requirement(rule, labels.and_then(|l| l.get(&rule.key)).map(String::as_str)))
        && fields.iter().all(|rule| rule.key == "metadata.name" && requirement(rule, node.metadata.name.as_deref()))
}

/// Terms are alternatives.
pub fn selector_matches(selector: &NodeSelector, node: &Node) -> bool {
    selector.node_selector_terms.iter().any(|term| term_matches(term, node))
}

/// A term between pods, ready to be matched.
#[derive(Clone, Debug)]
pub struct PodTerm {
    pub topology_key: Arc<str>,
    pub weight: i64,
    selector: Option<LabelSelector>,
    namespaces: Vec<String>,
    namespace_selector: Option<LabelSelector>,
}

impl PodTerm {
    /// `own_labels`: of the pod that has the term, for matchLabelKeys that the server did not fold in.
    pub fn new(term: &PodAffinityTerm, weight: i64, own_namespace: &str) -> Self {
        let mut namespaces = term.namespaces.clone().unwrap_or_default();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(own_namespace.to_owned());
        }
        Self { topology_key: term.topology_key.as_str().into(), weight, selector: term.label_selector.clone(), namespaces, namespace_selector: term.namespace_selector.clone() }
    }

    /// No selector selects no pods. `namespace_labels` are those of the other pod's namespace.
    pub fn matches(&self, namespace: &str, labels: Option<&Labels>, namespace_labels: Option<&Labels>) -> bool {
        let in_namespace = self.namespaces.iter().any(|n| n == namespace) || self.namespace_selector.as_ref().is_some_and(|s| selects(s, namespace_labels));
        in_namespace && self.selector.as_ref().is_some_and(|s| selects(s, labels))
    }
}
