//! Reads the caches for one claim or one volume and wires both to one queue.

use std::sync::Arc;

use client::{Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::Api;
use tokio::task::JoinSet;

use super::{claim, volume};
use crate::caches::Caches;

struct Binder {
    claims: Informer<PersistentVolumeClaim>,
    volumes: Informer<PersistentVolume>,
    classes: Informer<StorageClass>,
    client: kube::Client,
}

pub(crate) enum Observed {
    Claim(claim::Observed),
    Volume(volume::Observed),
}

/// A key without a namespace is a volume, one with a namespace a claim.
pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let informers = &caches.informers;
    let binder = Binder { claims: informers.get(), volumes: informers.get(), classes: informers.get(), client: shell.executor.client().clone() };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let (on_claim, volumes) = (queue.clone(), binder.volumes.clone());
    binder.claims.on_change(move |change| {
        let claim = change.object();
        on_claim.add(ObjectKey::of(&**claim));
        if let Some(name) = claim.spec.as_ref().and_then(|s| s.volume_name.clone()).filter(|n| !n.is_empty()) {
            on_claim.add(ObjectKey::new("", name));
        } else if matches!(change, client::Change::Deleted(_)) {
            let key = ObjectKey::of(&**claim);
            volumes.list().iter().filter(|v| volume::claim_key(v).as_ref() == Some(&key)).for_each(|v| on_claim.add(ObjectKey::of(&**v)));
        }
    });
    let (on_volume, claims) = (queue.clone(), binder.claims.clone());
    binder.volumes.on_change(move |change| {
        let volume = change.object();
        on_volume.add(ObjectKey::of(&**volume));
        match volume::claim_key(volume) {
            Some(key) => on_volume.add(key),
            // A free volume may be what somebody waits for.
            None => claims.list().iter().filter(|c| claim::is_unbound(c)).for_each(|c| on_volume.add(ObjectKey::of(&**c))),
        }
    });
    let (on_class, claims) = (queue.clone(), binder.claims.clone());
    binder.classes.on_change(move |_| claims.list().iter().filter(|c| claim::is_unbound(c)).for_each(|c| on_class.add(ObjectKey::of(&**c))));
    let mut shell = shell.clone();
    shell.executor = shell.executor.named("persistentvolume-controller");
    // One worker: two claims must not be promised one volume.
    tasks.spawn(run_controller(binder, queue, shell, 1));
}

impl Controller for Binder {
    const NAME: &'static str = "persistentvolume-binder";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        if key.namespace.is_empty() {
            let Some(volume) = self.volumes.get_key(key) else { return Ok(None) };
            let claim = match volume::claim_key(&volume) {
                Some(key) => self.claim(&key, &volume).await?,
                None => None,
            };
            return Ok(Some(Observed::Volume(volume::Observed { volume, claim })));
        }
        let Some(claim) = self.claims.get_key(key) else { return Ok(None) };
        let named = claim.spec.as_ref().and_then(|s| s.volume_name.as_deref()).filter(|n| !n.is_empty());
        let named = named.map(|name| self.volumes.get("", name));
        let class = scheduling::volumes::class_of_claim(&claim);
        let class = (!class.is_empty()).then(|| self.classes.get("", class));
        let volumes = if named.is_none() { self.volumes.list() } else { Vec::new() };
        Ok(Some(Observed::Claim(claim::Observed { claim, named, class, volumes })))
    }

    fn plan(observed: Observed, now: Timestamp) -> Plan {
        match observed {
            Observed::Claim(observed) => claim::plan(&observed, now),
            Observed::Volume(observed) => volume::plan(&observed, now),
        }
    }
}

impl Binder {
    /// The claim of a volume; that it is gone is asked of the API before the volume is released.
    async fn claim(&self, key: &ObjectKey, volume: &PersistentVolume) -> Result<Option<Arc<PersistentVolumeClaim>>, Error> {
        let uid = volume.spec.as_ref().and_then(|s| s.claim_ref.as_ref()).and_then(|r| r.uid.clone());
        let same = |claim: &PersistentVolumeClaim| uid.as_ref().is_none_or(|uid| uid.is_empty() || Some(uid) == claim.metadata.uid.as_ref());
        if let Some(claim) = self.claims.get_key(key).filter(|c| same(c)) {
            return Ok(Some(claim));
        }
        let live = Api::<PersistentVolumeClaim>::namespaced(self.client.clone(), &key.namespace).get_opt(&key.name).await?;
        Ok(live.filter(|c| same(c)).map(Arc::new))
    }
}
