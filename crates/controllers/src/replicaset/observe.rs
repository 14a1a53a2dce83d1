//! Reads the caches for one set and wires them to its queue.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use client::{Change, Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, controller_owner, run_controller};
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use kube::Api;
use tokio::task::JoinSet;

use super::plan::{Observed, claim_pods, plan};
use super::view::Replicated;
use crate::caches::{Caches, orphans_of};
use crate::ownership::lives;
use crate::pods;

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    spawn::<ReplicaSet>(caches, shell, tasks, "replicaset-controller");
    spawn::<ReplicationController>(caches, shell, tasks, "replication-controller");
}

trait Kind: Replicated + kube::Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + serde::de::DeserializeOwned + std::fmt::Debug {
    const NAME: &'static str;
}

impl Kind for ReplicaSet {
    const NAME: &'static str = "replicaset";
}

impl Kind for ReplicationController {
    const NAME: &'static str = "replicationcontroller";
}

struct Sets<R> {
    caches: Caches,
    sets: Informer<R>,
    client: kube::Client,
    kind: PhantomData<R>,
}

fn spawn<R: Kind>(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>, component: &str) {
    let sets = caches.informers.get::<R>();
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_set = queue.clone();
    sets.on_change(move |change| on_set.add(ObjectKey::of(&**change.object())));
    let (on_pod, known) = (queue.clone(), sets.clone());
    caches.pods.on_change(move |change| {
        for pod in [Some(change.object()), change.old()].into_iter().flatten() {
            wake_owner(pod, change, &known, &on_pod);
        }
    });
    let controller = Sets { caches: caches.clone(), sets, client: shell.executor.client().clone(), kind: PhantomData::<R> };
    let mut shell = shell.clone();
    shell.executor = shell.executor.named(component);
    tasks.spawn(run_controller(controller, queue, shell, 4));
}

fn wake_owner<R: Kind>(pod: &Pod, change: &Change<Pod>, sets: &Informer<R>, queue: &WorkQueue<ObjectKey>) {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    match controller_owner(pod) {
        Some(owner) if owner.kind == <R as kube::Resource>::kind(&()) => queue.add(ObjectKey::new(namespace, owner.name.clone())),
        Some(_) => {}
        // A pod without an owner may be adopted by any set that selects it.
        None if !matches!(change, Change::Deleted(_)) && pods::is_active(pod) => {
            for set in sets.list_namespace(namespace).iter().filter(|s| s.selects(pod.metadata.labels.as_ref())) {
                queue.add(ObjectKey::of(&**set));
            }
        }
        None => {}
    }
}

impl<R: Kind> Controller for Sets<R> {
    const NAME: &'static str = R::NAME;
    type Key = ObjectKey;
    type Observed = Observed<R>;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed<R>>, Error> {
        let Some(set) = self.sets.get_key(key) else { return Ok(None) };
        let uid = Replicated::meta(&*set).uid.clone().unwrap_or_default();
        let mut pods = self.caches.pods_by_owner.get(&uid);
        pods.extend(self.caches.pods_by_owner.get(&orphans_of(&key.namespace)));
        let may_adopt = !claim_pods(&*set, &pods, true).adopts || lives(Api::<R>::namespaced(self.client.clone(), &key.namespace), &key.name, &uid).await?;
        Ok(Some(Observed { crowd: self.crowd(&set, &uid), set, pods, may_adopt }))
    }

    fn plan(observed: Observed<R>, now: Timestamp) -> Plan {
        plan(observed, now)
    }
}

impl<R: Kind> Sets<R> {
    /// Pods per node of this set and of its siblings under one deployment.
    fn crowd(&self, set: &Arc<R>, uid: &str) -> HashMap<String, usize> {
        let siblings: Vec<String> = match controller_owner(&**set) {
            Some(owner) => self.caches.replica_sets_by_owner.get(&owner.uid).iter().filter_map(|s| s.metadata.uid.clone()).collect(),
            None => vec![uid.to_owned()],
        };
        let mut crowd = HashMap::new();
        for pod in siblings.iter().flat_map(|uid| self.caches.pods_by_owner.get(uid)) {
            if pods::is_active(&pod) {
                *crowd.entry(pods::node_name(&pod).to_owned()).or_insert(0) += 1;
            }
        }
        crowd
    }
}
