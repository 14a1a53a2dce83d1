//! Claims and volumes: what a pod's claims demand of a node, and which volume fits a claim. Pure; also used by the binder.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;

use crate::affinity::selector_matches;
use crate::filter::{Plugin, Refusal};
use crate::labels::{Labels, selects};
use crate::node::NodeFacts;

pub const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
pub const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
pub const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";

/// One claim of a pod as far as it matters for the place.
#[derive(Clone, Debug)]
pub enum Need {
    /// Bound: the volume says where.
    Bound { claim: String, volume: Option<Arc<PersistentVolume>> },
    /// Waits for a node: one of these volumes, or a new one where the class allows it.
    Waiting { claim: Arc<PersistentVolumeClaim>, candidates: Vec<Arc<PersistentVolume>>, class: Arc<StorageClass> },
}

/// All claims of one pod.
#[derive(Clone, Debug, Default)]
pub struct VolumeNeeds {
    pub needs: Vec<Need>,
    /// Uids of pods that use a ReadWriteOncePod claim of this pod.
    pub exclusive_users: Vec<String>,
}

/// What binding on one node takes.
#[derive(Clone, Debug)]
pub enum Binding {
    Existing { claim: Arc<PersistentVolumeClaim>, volume: Arc<PersistentVolume> },
    Provision { claim: Arc<PersistentVolumeClaim> },
}

impl VolumeNeeds {
    pub fn refusal(&self, node: &NodeFacts) -> Option<Refusal> {
        let refuse = |reason: &'static str, resolvable| Some(Refusal { plugin: Plugin::Volumes, reasons: vec![reason.into()], resolvable });
        if !self.exclusive_users.is_empty() {
            return refuse("node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode", true);
        }
        for need in &self.needs {
            match need {
                Need::Bound { volume: None, .. } => return refuse("node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)", false),
                Need::Bound { volume: Some(volume), .. } if !reachable(volume, &node.node) => return refuse("node(s) didn't match PersistentVolume's node affinity", false),
                Need::Bound { .. } | Need::Waiting { .. } => {}
            }
        }
        if self.bindings(&node.node).is_none() {
            return refuse("node(s) didn't find available persistent volumes to bind", false);
        }
        None
    }

    /// How the waiting claims would be bound on this node; `None` when one cannot be.
    pub fn bindings(&self, node: &Node) -> Option<Vec<Binding>> {
        let mut taken: Vec<&str> = Vec::new();
        let mut bindings = Vec::new();
        for need in &self.needs {
            let Need::Waiting { claim, candidates, class } = need else { continue };
            let chosen_elsewhere = claim.metadata.annotations.as_ref().and_then(|a| a.get(SELECTED_NODE)).is_some_and(|n| Some(n) != node.metadata.name.as_ref());
            if chosen_elsewhere {
                return None;
            }
            let free = candidates.iter().filter(|v| !taken.contains(&volume_name(v)) && reachable(v, node));
            if let Some(volume) = best_volume(claim, free) {
                taken.push(volume_name(volume));
                bindings.push(Binding::Existing { claim: claim.clone(), volume: volume.clone() });
            } else if class.provisioner != NO_PROVISIONER && class_allows(class, node) {
                bindings.push(Binding::Provision { claim: claim.clone() });
            } else {
                return None;
            }
        }
        Some(bindings)
    }
}

fn volume_name(volume: &PersistentVolume) -> &str {
    volume.metadata.name.as_deref().unwrap_or_default()
}

pub fn reachable(volume: &PersistentVolume, node: &Node) -> bool {
    let required = volume.spec.as_ref().and_then(|s| s.node_affinity.as_ref()).and_then(|a| a.required.as_ref());
    required.is_none_or(|r| selector_matches(r, node))
}

fn class_allows(class: &StorageClass, node: &Node) -> bool {
    let terms = class.allowed_topologies.as_deref().unwrap_or_default();
    let label = |key: &str| node.metadata.labels.as_ref().and_then(|l: &Labels| l.get(key));
    let term = |t: &k8s_openapi::api::core::v1::TopologySelectorTerm| t.match_label_expressions.iter().flatten().all(|e| label(&e.key).is_some_and(|v| e.values.contains(v)));
    terms.is_empty() || terms.iter().any(term)
}

pub fn class_of_claim(claim: &PersistentVolumeClaim) -> &str {
    let legacy = claim.metadata.annotations.as_ref().and_then(|a| a.get("volume.beta.kubernetes.io/storage-class"));
    legacy.or_else(|| claim.spec.as_ref().and_then(|s| s.storage_class_name.as_ref())).map_or("", String::as_str)
}

pub fn class_of_volume(volume: &PersistentVolume) -> &str {
    let legacy = volume.metadata.annotations.as_ref().and_then(|a| a.get("volume.beta.kubernetes.io/storage-class"));
    legacy.or_else(|| volume.spec.as_ref().and_then(|s| s.storage_class_name.as_ref())).map_or("", String::as_str)
}

pub fn capacity(volume: &PersistentVolume) -> quantity::Quantity {
    let storage = volume.spec.as_ref().and_then(|s| s.capacity.as_ref()).and_then(|c| c.get("storage"));
    storage.and_then(|q| q.0.parse().ok()).unwrap_or_default()
}

pub fn requested(claim: &PersistentVolumeClaim) -> quantity::Quantity {
    let storage = claim.spec.as_ref().and_then(|s| s.resources.as_ref()).and_then(|r| r.requests.as_ref()).and_then(|r| r.get("storage"));
    storage.and_then(|q| q.0.parse().ok()).unwrap_or_default()
}

/// Could the volume hold the claim, leaving aside who has it now? Upstream: FindMatchingVolume.
pub fn suits(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    let (Some(has), Some(wants)) = (&volume.spec, &claim.spec) else { return false };
    let mode = |m: &Option<String>| m.clone().unwrap_or_else(|| "Filesystem".into());
    let attributes = |a: &Option<String>| a.clone().unwrap_or_default();
    let modes = has.access_modes.as_deref().unwrap_or_default();
    mode(&has.volume_mode) == mode(&wants.volume_mode)
        && class_of_volume(volume) == class_of_claim(claim)
        && attributes(&has.volume_attributes_class_name) == attributes(&wants.volume_attributes_class_name)
        && wants.access_modes.iter().flatten().all(|m| modes.contains(m))
        && wants.selector.as_ref().is_none_or(|s| selects(s, volume.metadata.labels.as_ref()))
        && capacity(volume) >= requested(claim)
        && volume.metadata.deletion_timestamp.is_none()
}

/// Is the volume kept for exactly this claim?
pub fn reserved_for(volume: &PersistentVolume, claim: &PersistentVolumeClaim) -> bool {
    volume.spec.as_ref().and_then(|s| s.claim_ref.as_ref()).is_some_and(|r| {
        r.name == claim.metadata.name && r.namespace == claim.metadata.namespace && r.uid.as_ref().is_none_or(|uid| uid.is_empty() || Some(uid) == claim.metadata.uid.as_ref())
    })
}

/// A volume reserved for the claim, or else the smallest free one that suits.
pub fn best_volume<'v>(claim: &PersistentVolumeClaim, volumes: impl Iterator<Item = &'v Arc<PersistentVolume>>) -> Option<&'v Arc<PersistentVolume>> {
    let mut best: Option<&Arc<PersistentVolume>> = None;
    for volume in volumes {
        if reserved_for(volume, claim) {
            return Some(volume);
        }
        let free = volume.spec.as_ref().is_some_and(|s| s.claim_ref.is_none());
        let phase = volume.status.as_ref().and_then(|s| s.phase.as_deref());
        if free && matches!(phase, Some("Available")) && suits(volume, claim) && best.is_none_or(|b| capacity(volume) < capacity(b)) {
            best = Some(volume);
        }
    }
    best
}
