//! Who owns whom: a small node per object of the cluster, fed by metadata watches. Plain data, no IO.
//!
//! An owner that is named but was not seen is a virtual node until the API says whether it exists.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use client::Kind;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};

use crate::discovery::Resource;

pub(crate) const FOREGROUND: &str = "foregroundDeletion";
pub(crate) const ORPHAN: &str = "orphan";

/// The part of an owner reference that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub uid: Arc<str>,
    pub api_version: Arc<str>,
    pub kind: Arc<str>,
    pub name: Box<str>,
    pub blocks: bool,
}

impl Owner {
    fn of(reference: &OwnerReference) -> Self {
        Self {
            uid: reference.uid.as_str().into(),
            api_version: reference.api_version.as_str().into(),
            kind: reference.kind.as_str().into(),
            name: reference.name.as_str().into(),
            blocks: reference.block_owner_deletion == Some(true),
        }
    }

    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// `None` while the resource of a virtual node is not known.
    pub resource: Option<Arc<Resource>>,
    pub namespace: Box<str>,
    pub name: Box<str>,
    pub owners: Vec<Owner>,
    pub dependents: BTreeSet<Arc<str>>,
    pub deleting: bool,
    /// Deleted with foreground propagation: waits for its dependents.
    pub foreground: bool,
    pub orphans: bool,
    pub seen: bool,
}

#[derive(Default)]
pub(crate) struct Graph {
    nodes: HashMap<Arc<str>, Node>,
    /// By group and kind.
    resources: HashMap<(String, String), Arc<Resource>>,
}

impl Graph {
    pub fn set_resources(&mut self, all: &[Arc<Resource>]) {
        self.resources = all.iter().map(|r| ((r.kind.group.to_string(), r.kind.kind.to_string()), r.clone())).collect();
    }

    pub fn resource(&self, group: &str, kind: &str) -> Option<Arc<Resource>> {
        self.resources.get(&(group.to_owned(), kind.to_owned())).cloned()
    }

    pub fn get(&self, uid: &str) -> Option<&Node> {
        self.nodes.get(uid)
    }

    /// An object was seen, new or changed. Returns the uids to look at.
    pub fn put(&mut self, resource: &Arc<Resource>, meta: &ObjectMeta) -> Vec<Arc<str>> {
        let Some(uid) = meta.uid.as_deref().map(Arc::<str>::from) else { return Vec::new() };
        let has = |finalizer: &str| meta.finalizers.iter().flatten().any(|f| f == finalizer);
        let deleting = meta.deletion_timestamp.is_some();
        let owners: Vec<Owner> = meta.owner_references.iter().flatten().map(Owner::of).collect();
        let before = self.nodes.remove(&uid);
        let mut node = Node {
            resource: Some(resource.clone()),
            namespace: meta.namespace.as_deref().unwrap_or_default().into(),
            name: meta.name.as_deref().unwrap_or_default().into(),
            owners,
            dependents: before.as_ref().map(|b| b.dependents.clone()).unwrap_or_default(),
            deleting,
            foreground: deleting && has(FOREGROUND),
            orphans: deleting && has(ORPHAN),
            seen: true,
        };
        let mut look = Vec::new();
        // A first sight with owners: one of them may be gone already.
        let news = before.as_ref().is_none_or(|b| !b.seen || b.owners != node.owners);
        if news && !node.owners.is_empty() {
            look.push(uid.clone());
        }
        if deleting && (node.foreground || node.orphans) && before.as_ref().is_none_or(|b| !b.deleting || b.foreground != node.foreground || b.orphans != node.orphans) {
            look.push(uid.clone());
            if node.foreground {
                look.extend(node.dependents.iter().cloned());
            }
        }
        let old_owners = before.map(|b| b.owners).unwrap_or_default();
        for gone in old_owners.iter().filter(|o| !node.owners.contains(o)) {
            // An owner that waited for this one may go on.
            look.push(gone.uid.clone());
            if !node.owners.iter().any(|o| o.uid == gone.uid) {
                self.unlink(&gone.uid, &uid);
            }
        }
        let owners = std::mem::take(&mut node.owners);
        for owner in &owners {
            look.extend(self.link(owner, &uid, &node.namespace));
            // A dependent on its way out may be the last one its owner waits for.
            if deleting && self.nodes.get(&owner.uid).is_some_and(|o| o.foreground) {
                look.push(owner.uid.clone());
            }
        }
        node.owners = owners;
        self.nodes.insert(uid, node);
        look
    }

    fn link(&mut self, owner: &Owner, dependent: &Arc<str>, namespace: &str) -> Option<Arc<str>> {
        if let Some(known) = self.nodes.get_mut(&owner.uid) {
            known.dependents.insert(dependent.clone());
            return known.foreground.then(|| dependent.clone());
        }
        let resource = self.resource(owner.group(), &owner.kind);
        let namespace = if resource.as_ref().is_none_or(|r| r.namespaced) { namespace } else { "" };
        let node = Node {
            resource,
            namespace: namespace.into(),
            name: owner.name.clone(),
            owners: Vec::new(),
            dependents: [dependent.clone()].into(),
            deleting: false,
            foreground: false,
            orphans: false,
            seen: false,
        };
        self.nodes.insert(owner.uid.clone(), node);
        None
    }

    fn unlink(&mut self, owner: &str, dependent: &Arc<str>) {
        let Some(node) = self.nodes.get_mut(owner) else { return };
        node.dependents.remove(dependent);
        if !node.seen && node.dependents.is_empty() {
            self.nodes.remove(owner);
        }
    }

    /// An object is gone. Returns the uids to look at: its dependents, and owners that waited for it.
    pub fn remove(&mut self, uid: &str) -> Vec<Arc<str>> {
        let Some((uid, node)) = self.nodes.remove_entry(uid) else { return Vec::new() };
        let mut look: Vec<Arc<str>> = node.dependents.iter().cloned().collect();
        for owner in &node.owners {
            self.unlink(&owner.uid, &uid);
            if self.nodes.get(&owner.uid).is_some_and(|o| o.foreground) {
                look.push(owner.uid.clone());
            }
        }
        look
    }

    /// All uids of one resource, for finding what a new list no longer has.
    pub fn uids_of(&self, kind: &Kind) -> Vec<Arc<str>> {
        self.nodes.iter().filter(|(_, n)| n.seen && n.resource.as_ref().is_some_and(|r| r.kind == *kind)).map(|(uid, _)| uid.clone()).collect()
    }

    /// The dependents that keep an owner waiting.
    pub fn blocking(&self, uid: &str) -> Vec<Arc<str>> {
        let Some(node) = self.nodes.get(uid) else { return Vec::new() };
        let blocks = |d: &&Arc<str>| self.nodes.get(*d).is_some_and(|n| n.owners.iter().any(|o| &*o.uid == uid && o.blocks));
        node.dependents.iter().filter(blocks).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource() -> Arc<Resource> {
        let kind = Kind { group: "".into(), version: "v1".into(), kind: "Pod".into(), plural: "pods".into() };
        Arc::new(Resource { kind, namespaced: true, verbs: Vec::new() })
    }

    fn meta(uid: &str, owner: Option<&str>, finalizer: Option<&str>) -> ObjectMeta {
        let reference = |uid: &str| OwnerReference { api_version: "v1".into(), kind: "Pod".into(), name: uid.into(), uid: uid.into(), block_owner_deletion: Some(true), ..Default::default() };
        ObjectMeta {
            uid: Some(uid.into()),
            name: Some(uid.into()),
            namespace: Some("ns".into()),
            owner_references: owner.map(|o| vec![reference(o)]),
            finalizers: finalizer.map(|f| vec![f.into()]),
            deletion_timestamp: finalizer.map(|_| k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(jiff::Timestamp::UNIX_EPOCH)),
            ..Default::default()
        }
    }

    #[test]
    fn owners_may_be_seen_late_and_wait_for_their_dependents() {
        let (mut graph, pods) = (Graph::default(), resource());
        graph.set_resources(std::slice::from_ref(&pods));
        assert_eq!(graph.put(&pods, &meta("child", Some("parent"), None)), ["child".into()]);
        assert!(!graph.get("parent").is_some_and(|n| n.seen));
        assert!(graph.put(&pods, &meta("parent", None, None)).is_empty());
        let look = graph.put(&pods, &meta("parent", None, Some(FOREGROUND)));
        assert_eq!(look, ["parent".into(), "child".into()]);
        assert_eq!(graph.blocking("parent"), ["child".into()]);
        assert_eq!(graph.remove("child"), ["parent".into()]);
        assert!(graph.blocking("parent").is_empty());
        assert!(graph.remove("parent").is_empty());
    }
}
