//! What the claims of a pod demand, read from the caches, with the reservations of pods under way taken into account.

use std::collections::HashMap;
use std::sync::Arc;

use client::{Informer, ObjectKey};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use parking_lot::Mutex;
use scheduling::node::NodeFacts;
use scheduling::pod::PodFacts;
use scheduling::volumes::{BIND_COMPLETED, Binding, Need, SELECTED_NODE, VolumeNeeds, class_of_claim, class_of_volume, reserved_for};

#[derive(Default)]
struct Reserved {
    /// Volume name to the claim that will have it.
    volumes: HashMap<String, ObjectKey>,
    /// Claims to the node they will be provisioned on.
    claims: HashMap<ObjectKey, String>,
}

pub(crate) struct Claims {
    pub claims: Informer<PersistentVolumeClaim>,
    pub volumes: Informer<PersistentVolume>,
    pub classes: Informer<StorageClass>,
    reserved: Mutex<Reserved>,
}

pub(crate) fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    let named = claim.spec.as_ref().and_then(|s| s.volume_name.as_deref()).is_some_and(|n| !n.is_empty());
    named && claim.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(BIND_COMPLETED))
}

impl Claims {
    pub fn new(claims: Informer<PersistentVolumeClaim>, volumes: Informer<PersistentVolume>, classes: Informer<StorageClass>) -> Self {
        Self { claims, volumes, classes, reserved: Mutex::default() }
    }

    /// What the pod needs; an error is a reason against every node, in upstream's words.
    pub fn needs<'n>(&self, pod: &PodFacts, nodes: impl Iterator<Item = &'n NodeFacts>) -> Result<VolumeNeeds, String> {
        let mut needs = VolumeNeeds::default();
        let mut exclusive = Vec::new();
        for name in &pod.claims {
            let Some(claim) = self.claims.get(pod.namespace(), name) else { return Err(format!("persistentvolumeclaim {name:?} not found")) };
            if claim.metadata.deletion_timestamp.is_some() {
                return Err(format!("persistentvolumeclaim {name:?} is being deleted"));
            }
            let spec = claim.spec.as_ref();
            if claim.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Lost") {
                let volume = spec.and_then(|s| s.volume_name.as_deref()).unwrap_or_default();
                return Err(format!("persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}"));
            }
            if spec.is_some_and(|s| s.access_modes.iter().flatten().any(|m| m == "ReadWriteOncePod")) {
                exclusive.push(name.clone());
            }
            needs.needs.push(self.need(claim)?);
        }
        if !exclusive.is_empty() {
            let users = nodes.flat_map(|n| &n.pods).filter(|p| p.namespace() == pod.namespace() && p.uid() != pod.uid() && p.claims.iter().any(|c| exclusive.contains(c)));
            needs.exclusive_users = users.map(|p| p.uid().to_owned()).collect();
        }
        Ok(needs)
    }

    fn need(&self, claim: Arc<PersistentVolumeClaim>) -> Result<Need, String> {
        if is_bound(&claim) {
            let volume = claim.spec.as_ref().and_then(|s| s.volume_name.as_deref()).and_then(|name| self.volumes.get("", name));
            return Ok(Need::Bound { claim: claim.metadata.name.clone().unwrap_or_default(), volume });
        }
        let class_name = class_of_claim(&claim);
        let class = self.classes.get("", class_name).filter(|c| c.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
        let chosen = claim.spec.as_ref().and_then(|s| s.volume_name.as_deref()).is_some_and(|n| !n.is_empty());
        let Some(class) = class.filter(|_| !chosen) else { return Err("pod has unbound immediate PersistentVolumeClaims".into()) };
        let key = ObjectKey::of(&*claim);
        let reserved = self.reserved.lock();
        let free = |v: &Arc<PersistentVolume>| {
            let name = v.metadata.name.as_deref().unwrap_or_default();
            (class_of_volume(v) == class_name || reserved_for(v, &claim)) && reserved.volumes.get(name).is_none_or(|owner| *owner == key)
        };
        let candidates = self.volumes.list().into_iter().filter(free).collect();
        let claim = match reserved.claims.get(&key) {
            None => claim,
            Some(node) => {
                let mut chosen = (*claim).clone();
                chosen.metadata.annotations.get_or_insert_default().insert(SELECTED_NODE.into(), node.clone());
                Arc::new(chosen)
            }
        };
        Ok(Need::Waiting { claim, candidates, class })
    }

    pub fn reserve(&self, bindings: &[Binding], node: &str) {
        let mut reserved = self.reserved.lock();
        for binding in bindings {
            match binding {
                Binding::Existing { claim, volume } => {
                    reserved.volumes.insert(volume.metadata.name.clone().unwrap_or_default(), ObjectKey::of(&**claim));
                }
                Binding::Provision { claim } => {
                    reserved.claims.insert(ObjectKey::of(&**claim), node.to_owned());
                }
            }
        }
    }

    pub fn release(&self, bindings: &[Binding]) {
        let mut reserved = self.reserved.lock();
        for binding in bindings {
            match binding {
                Binding::Existing { volume, .. } => {
                    reserved.volumes.remove(volume.metadata.name.as_deref().unwrap_or_default());
                }
                Binding::Provision { claim } => {
                    reserved.claims.remove(&ObjectKey::of(&**claim));
                }
            }
        }
    }
}
