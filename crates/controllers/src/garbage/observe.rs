//! Looks at one object: its state at the API, and whether its owners live.

use std::sync::Arc;

use client::{Controller, Error, EventType, Plan, Recorder, Target, is_not_found, request_json};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::graph::{Node, Owner};
use super::monitor::{Shared, Uid};
use super::plan::{Observed, OwnerState, plan};
use crate::discovery::Resource;

pub(crate) struct Collector {
    pub shared: Shared,
    pub client: kube::Client,
    pub recorder: Recorder,
}

impl Controller for Collector {
    const NAME: &'static str = "garbage-collector";
    type Key = Uid;
    type Observed = Observed;

    async fn observe(&self, uid: &Uid) -> Result<Option<Observed>, Error> {
        let Some(node) = self.shared.graph.lock().get(uid).cloned() else { return Ok(None) };
        let worth = node.foreground || node.orphans || (!node.deleting && !node.owners.is_empty()) || !node.seen;
        let Some(resource) = node.resource.clone().filter(|_| worth) else { return Ok(None) };
        let Some(live) = self.live(&resource, &node, uid).await? else {
            // Gone, or another of that name: whoever depends on it is looked at, and owners that waited go on.
            let look = self.shared.graph.lock().remove(uid);
            self.shared.look_at(look);
            return Ok(None);
        };
        if !node.seen {
            // It exists; its own watch will tell the rest.
            return Ok(None);
        }
        let target = Target { kind: resource.kind.clone(), namespace: node.namespace.to_string(), name: node.name.to_string(), uid: Some(uid.to_string()), resource_version: live.resource_version.clone() };
        if node.orphans {
            return Ok(Some(Observed::Orphaning { dependents: self.dependents(&node).await?, target, meta: live }));
        }
        if node.foreground {
            let blocking = self.shared.graph.lock().blocking(uid);
            let waiting = !blocking.is_empty();
            self.shared.look_at(blocking);
            return Ok(Some(Observed::Waiting { target, meta: live, waiting }));
        }
        let mut owners = Vec::new();
        for owner in &node.owners {
            owners.push((owner.uid.to_string(), self.owner_state(owner, &node, &resource, uid).await?));
        }
        Ok(Some(Observed::Owned { target, meta: live, owners, has_dependents: !node.dependents.is_empty(), unblock: self.circular(&node).await? }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        plan(observed)
    }
}

impl Collector {
    /// The object's metadata at the API, if it still is this object.
    async fn live(&self, resource: &Resource, node: &Node, uid: &str) -> Result<Option<ObjectMeta>, Error> {
        let path = format!("{}/{}", resource.kind.path(&node.namespace), node.name);
        match request_json(&self.client, "GET", &path, None).await {
            Ok(mut value) => {
                let meta: ObjectMeta = serde_json::from_value(value["metadata"].take())?;
                Ok(Some(meta).filter(|m| m.uid.as_deref() == Some(uid)))
            }
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn owner_state(&self, owner: &Owner, node: &Node, resource: &Resource, uid: &str) -> Result<OwnerState, Error> {
        let (known, owner_resource) = {
            let graph = self.shared.graph.lock();
            (graph.get(&owner.uid).cloned(), graph.resource(owner.group(), &owner.kind))
        };
        // A kind nobody serves (now): nothing is known about the owner, so nothing is done.
        let Some(owner_resource) = owner_resource else { return Ok(OwnerState::Solid) };
        if owner_resource.namespaced && !resource.namespaced {
            self.tell_invalid(owner, node, resource, uid);
            return Ok(OwnerState::Solid);
        }
        let namespace: &str = if owner_resource.namespaced { &node.namespace } else { "" };
        if let Some(known) = known.filter(|k| k.seen && k.name == owner.name && *k.namespace == *namespace) {
            return Ok(if known.foreground { OwnerState::Waiting } else { OwnerState::Solid });
        }
        let wanted = Node { resource: None, namespace: namespace.into(), name: owner.name.clone(), owners: Vec::new(), dependents: Default::default(), deleting: false, foreground: false, orphans: false, seen: false };
        let live = self.live(&owner_resource, &wanted, &owner.uid).await?;
        Ok(match live {
            None => OwnerState::Gone,
            Some(meta) if meta.deletion_timestamp.is_some() && meta.finalizers.iter().flatten().any(|f| f == super::graph::FOREGROUND) => OwnerState::Waiting,
            Some(_) => OwnerState::Solid,
        })
    }

    fn tell_invalid(&self, owner: &Owner, node: &Node, resource: &Resource, uid: &str) {
        let regarding = ObjectReference {
            api_version: Some(resource.kind.api_version()),
            kind: Some(resource.kind.kind.to_string()),
            name: Some(node.name.to_string()),
            namespace: Some(node.namespace.to_string()).filter(|n| !n.is_empty()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        let text = format!("ownerRef [{}/{}, namespace: , name: {}, uid: {}] does not exist in namespace {:?}", owner.api_version, owner.kind, owner.name, owner.uid, node.namespace);
        self.recorder.event(&regarding, EventType::Warning, "OwnerRefInvalidNamespace", text);
    }

    /// The dependents as they are at the API now, to be orphaned.
    async fn dependents(&self, node: &Node) -> Result<Vec<(Target, ObjectMeta)>, Error> {
        let mut all = Vec::new();
        for uid in &node.dependents {
            all.extend(self.target_of(uid).await?);
        }
        Ok(all)
    }

    /// Dependents that wait for their own dependents, this one among them perhaps: a circle that must be opened.
    async fn circular(&self, node: &Node) -> Result<Vec<(Target, ObjectMeta)>, Error> {
        let waiting: Vec<Arc<str>> = {
            let graph = self.shared.graph.lock();
            node.dependents.iter().filter(|d| graph.get(d).is_some_and(|n| n.foreground)).cloned().collect()
        };
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let mut all = Vec::new();
        for uid in &waiting {
            all.extend(self.target_of(uid).await?);
        }
        Ok(all)
    }

    async fn target_of(&self, uid: &Uid) -> Result<Option<(Target, ObjectMeta)>, Error> {
        let Some(node) = self.shared.graph.lock().get(uid).cloned() else { return Ok(None) };
        let Some(resource) = node.resource.clone() else { return Ok(None) };
        let Some(meta) = self.live(&resource, &node, uid).await? else { return Ok(None) };
        let target = Target { kind: resource.kind.clone(), namespace: node.namespace.to_string(), name: node.name.to_string(), uid: Some(uid.to_string()), resource_version: meta.resource_version.clone() };
        Ok(Some((target, meta)))
    }
}
