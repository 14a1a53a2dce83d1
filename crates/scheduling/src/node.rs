//! A node with the pods on it. Sums are kept as pods come and go; they always equal the sum over `pods`.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Taint};

use crate::pod::PodFacts;
use crate::resources::Amounts;

#[derive(Clone, Debug)]
pub struct NodeFacts {
    pub node: Arc<Node>,
    pub allocatable: Amounts,
    pub max_pods: i64,
    pub requested: Amounts,
    pub nominal: Amounts,
    pub pods: Vec<Arc<PodFacts>>,
    /// Pods with terms between pods at all, and those with required anti-affinity: most nodes have none and are passed over.
    pub with_terms: usize,
    pub with_anti: usize,
}

impl NodeFacts {
    pub fn new(node: Arc<Node>) -> Self {
        let mut facts = Self { node: node.clone(), allocatable: Amounts::default(), max_pods: 0, requested: Amounts::default(), nominal: Amounts::default(), pods: Vec::new(), with_terms: 0, with_anti: 0 };
        facts.set_node(node);
        facts
    }

    pub fn set_node(&mut self, node: Arc<Node>) {
        let list = node.status.as_ref().and_then(|s| s.allocatable.as_ref().or(s.capacity.as_ref()));
        self.allocatable = Amounts::of(list);
        self.max_pods = list.and_then(|l| l.get("pods")).and_then(|q| q.0.parse::<quantity::Quantity>().ok()).map_or(0, |q| q.value());
        self.node = node;
    }

    pub fn name(&self) -> &str {
        self.node.metadata.name.as_deref().unwrap_or_default()
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.node.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }

    pub fn taints(&self) -> &[Taint] {
        self.node.spec.as_ref().and_then(|s| s.taints.as_deref()).unwrap_or_default()
    }

    pub fn is_unschedulable(&self) -> bool {
        self.node.spec.as_ref().and_then(|s| s.unschedulable) == Some(true)
    }

    pub fn add(&mut self, pod: Arc<PodFacts>) {
        self.requested.add(&pod.requests);
        self.nominal.add(&pod.nominal);
        self.with_terms += usize::from(!pod.terms.is_empty());
        self.with_anti += usize::from(!pod.terms.required_anti.is_empty());
        self.pods.push(pod);
    }

    pub fn remove(&mut self, uid: &str) -> Option<Arc<PodFacts>> {
        let at = self.pods.iter().position(|p| p.uid() == uid)?;
        let pod = self.pods.swap_remove(at);
        self.requested.sub(&pod.requests);
        self.nominal.sub(&pod.nominal);
        self.with_terms -= usize::from(!pod.terms.is_empty());
        self.with_anti -= usize::from(!pod.terms.required_anti.is_empty());
        Some(pod)
    }
}
