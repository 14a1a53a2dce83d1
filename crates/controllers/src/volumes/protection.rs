//! Finalizers that keep claims in use and bound volumes from vanishing.

use std::sync::Arc;

use client::{Action, Controller, Error, Index, Informer, ObjectKey, Plan, Shell, WorkQueue, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::ListParams;
use tokio::task::JoinSet;

use crate::caches::Caches;
use crate::pods;

const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";

struct Protection {
    claims: Informer<PersistentVolumeClaim>,
    volumes: Informer<PersistentVolume>,
    pods_by_claim: Index<Pod>,
    client: kube::Client,
}

pub(crate) enum Observed {
    Claim { claim: Arc<PersistentVolumeClaim>, used: bool },
    Volume(Arc<PersistentVolume>),
}

fn claims_of(pod: &Pod) -> Vec<String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let volumes = pod.spec.iter().flat_map(|s| s.volumes.iter().flatten());
    volumes
        .filter_map(|v| match (&v.persistent_volume_claim, &v.ephemeral) {
            (Some(claim), _) => Some(format!("{namespace}/{}", claim.claim_name)),
            (None, Some(_)) => Some(format!("{namespace}/{name}-{}", v.name)),
            _ => None,
        })
        .collect()
}

/// Only a pod that has a node and is not finished uses a claim.
fn uses(pod: &Pod) -> bool {
    !pods::node_name(pod).is_empty() && !pods::is_terminal(pod)
}

/// A key without a namespace is a volume.
pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let controller = Protection { claims: caches.informers.get(), volumes: caches.informers.get(), pods_by_claim: caches.pods.index(claims_of), client: shell.executor.client().clone() };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_claim = queue.clone();
    controller.claims.on_change(move |change| on_claim.add(ObjectKey::of(&**change.object())));
    let on_volume = queue.clone();
    controller.volumes.on_change(move |change| on_volume.add(ObjectKey::of(&**change.object())));
    let (on_pod, claims) = (queue.clone(), controller.claims.clone());
    caches.pods.on_change(move |change| {
        let pod = change.object();
        if matches!(change, client::Change::Deleted(_)) || pods::is_terminal(pod) {
            for key in claims_of(pod).iter().filter_map(|k| k.split_once('/')).map(|(namespace, name)| ObjectKey::new(namespace, name)) {
                if claims.get_key(&key).is_some_and(|c| c.metadata.deletion_timestamp.is_some()) {
                    on_pod.add(key);
                }
            }
        }
    });
    tasks.spawn(run_controller(controller, queue, shell.clone(), 2));
}

impl Controller for Protection {
    const NAME: &'static str = "storage-protection";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        if key.namespace.is_empty() {
            return Ok(self.volumes.get_key(key).map(Observed::Volume));
        }
        let Some(claim) = self.claims.get_key(key) else { return Ok(None) };
        let mut used = self.pods_by_claim.get(&key.to_string()).iter().any(|p| uses(p));
        if claim.metadata.deletion_timestamp.is_some() && !used {
            // The last word is the API's: a pod may have come that the cache has not seen.
            let live = Api::<Pod>::namespaced(self.client.clone(), &key.namespace).list(&ListParams::default()).await?;
            used = live.iter().any(|p| uses(p) && claims_of(p).contains(&key.to_string()));
        }
        Ok(Some(Observed::Claim { claim, used }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        match observed {
            Observed::Claim { claim, used } => Plan::of(guard(&*claim, CLAIM_FINALIZER, used)),
            Observed::Volume(volume) => {
                let bound = volume.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Bound");
                Plan::of(guard(&*volume, VOLUME_FINALIZER, bound))
            }
        }
    }
}

/// Puts the finalizer on what lives, takes it off what is deleted and no longer in use.
fn guard<K: kube::Resource<DynamicType = ()> + Clone + serde::Serialize>(object: &K, finalizer: &str, in_use: bool) -> Option<Action> {
    let has = object.meta().finalizers.iter().flatten().any(|f| f == finalizer);
    let mut after = object.clone();
    let finalizers = after.meta_mut().finalizers.get_or_insert_default();
    match (object.meta().deletion_timestamp.is_some(), has) {
        (false, false) => finalizers.push(finalizer.to_owned()),
        (true, true) if !in_use => finalizers.retain(|f| f != finalizer),
        _ => return None,
    }
    Action::update(object, &after)
}
