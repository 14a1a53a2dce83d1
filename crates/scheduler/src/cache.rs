//! The world as the scheduler counts on it: nodes with their pods, those bound, those on their way, those with a promised node.
//!
//! Plain data under one lock; no IO. A pod is on at most one node.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::Node;
use scheduling::filter::NamespaceLabels;
use scheduling::node::NodeFacts;
use scheduling::pod::PodFacts;

#[derive(Default)]
pub(crate) struct Cache {
    pub nodes: BTreeMap<String, NodeFacts>,
    pub namespaces: NamespaceLabels,
    /// Where each pod is, by uid.
    places: HashMap<String, String>,
    /// Pods on nodes that are not known (yet).
    strays: HashMap<String, Vec<Arc<PodFacts>>>,
    /// Pods that wait for victims to leave a node.
    nominated: HashMap<String, (String, Arc<PodFacts>)>,
    /// Where the last search for nodes ended, so that all get their turn.
    pub next_start: usize,
}

impl Cache {
    pub fn put_node(&mut self, node: Arc<Node>) {
        let name = node.metadata.name.clone().unwrap_or_default();
        if let Some(known) = self.nodes.get_mut(&name) {
            return known.set_node(node);
        }
        let mut facts = NodeFacts::new(node);
        for pod in self.strays.remove(&name).unwrap_or_default() {
            facts.add(pod);
        }
        self.nodes.insert(name, facts);
    }

    pub fn remove_node(&mut self, name: &str) {
        if let Some(node) = self.nodes.remove(name)
            && !node.pods.is_empty()
        {
            self.strays.insert(name.to_owned(), node.pods);
        }
    }

    /// Books a pod on a node: bound, or assumed to be soon. Replaces what was booked for it before.
    pub fn place(&mut self, pod: Arc<PodFacts>, node: &str) {
        self.remove_pod(pod.uid());
        self.places.insert(pod.uid().to_owned(), node.to_owned());
        match self.nodes.get_mut(node) {
            Some(facts) => facts.add(pod),
            None => self.strays.entry(node.to_owned()).or_default().push(pod),
        }
    }

    /// Forgets where a pod is; true when it was somewhere.
    pub fn remove_pod(&mut self, uid: &str) -> bool {
        self.nominated.remove(uid);
        let Some(node) = self.places.remove(uid) else { return false };
        if let Some(facts) = self.nodes.get_mut(&node) {
            facts.remove(uid);
        } else if let Some(strays) = self.strays.get_mut(&node) {
            strays.retain(|p| p.uid() != uid);
            if strays.is_empty() {
                self.strays.remove(&node);
            }
        }
        true
    }

    pub fn place_of(&self, uid: &str) -> Option<&str> {
        self.places.get(uid).map(String::as_str)
    }

    pub fn nominate(&mut self, pod: Arc<PodFacts>, node: &str) {
        if !self.places.contains_key(pod.uid()) {
            self.nominated.insert(pod.uid().to_owned(), (node.to_owned(), pod));
        }
    }

    pub fn withdraw(&mut self, uid: &str) {
        self.nominated.remove(uid);
    }

    /// The node with those added to whom it was promised and who are at least as important; `None` when there are none.
    pub fn with_promises(&self, node: &NodeFacts, pod: &PodFacts) -> Option<NodeFacts> {
        let mut promised = self.nominated.values().filter(|(n, p)| n == node.name() && p.priority >= pod.priority && p.uid() != pod.uid()).peekable();
        promised.peek()?;
        let mut full = node.clone();
        for (_, other) in promised {
            full.add(other.clone());
        }
        Some(full)
    }

    /// Pods of lower priority that were promised the node give way to a new promise.
    pub fn lower_promises(&self, node: &str, priority: i32) -> Vec<Arc<PodFacts>> {
        self.nominated.values().filter(|(n, p)| n == node && p.priority < priority).map(|(_, p)| p.clone()).collect()
    }
}
