//! Reads the caches for one deployment and wires them to its queue.

use client::{Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, controller_owner, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};
use kube::Api;
use scheduling::labels::selects;
use tokio::task::JoinSet;

use super::plan::{Observed, claim_sets, plan};
use crate::caches::{Caches, orphans_of};
use crate::ownership::lives;
use crate::pods;

struct Deployments {
    caches: Caches,
    deployments: Informer<Deployment>,
    client: kube::Client,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let deployments = caches.informers.get::<Deployment>();
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_deployment = queue.clone();
    deployments.on_change(move |change| on_deployment.add(ObjectKey::of(&**change.object())));
    let (on_set, known) = (queue.clone(), deployments.clone());
    caches.replica_sets.on_change(move |change| {
        for set in [Some(change.object()), change.old()].into_iter().flatten() {
            wake_owner(set, &known, &on_set);
        }
    });
    // A Recreate waits for the last old pod to go: nothing else tells the deployment.
    let (on_pod, sets, known) = (queue.clone(), caches.replica_sets.clone(), deployments.clone());
    caches.pods.on_change(move |change| {
        let pod = change.object();
        let gone = matches!(change, client::Change::Deleted(_)) || pods::is_terminal(pod);
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let owner = controller_owner(&**pod).filter(|o| gone && o.kind == "ReplicaSet");
        if let Some(set) = owner.and_then(|o| sets.get(namespace, &o.name)) {
            wake_owner(&set, &known, &on_pod);
        }
    });
    let mut shell = shell.clone();
    shell.executor = shell.executor.named("deployment-controller");
    let controller = Deployments { caches: caches.clone(), deployments, client: shell.executor.client().clone() };
    tasks.spawn(run_controller(controller, queue, shell, 4));
}

fn wake_owner(set: &ReplicaSet, deployments: &Informer<Deployment>, queue: &WorkQueue<ObjectKey>) {
    let namespace = set.metadata.namespace.as_deref().unwrap_or_default();
    match controller_owner(set) {
        Some(owner) if owner.kind == "Deployment" => queue.add(ObjectKey::new(namespace, owner.name.clone())),
        Some(_) => {}
        None => {
            let matching = |d: &Deployment| selects(&d.spec.selector, set.metadata.labels.as_ref());
            for deployment in deployments.list_namespace(namespace).iter().filter(|d| matching(d)) {
                queue.add(ObjectKey::of(&**deployment));
            }
        }
    }
}

impl Controller for Deployments {
    const NAME: &'static str = "deployment";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let Some(deployment) = self.deployments.get_key(key) else { return Ok(None) };
        let uid = deployment.metadata.uid.clone().unwrap_or_default();
        let mut sets = self.caches.replica_sets_by_owner.get(&uid);
        sets.extend(self.caches.replica_sets_by_owner.get(&orphans_of(&key.namespace)));
        let may_adopt = !claim_sets(&deployment, &sets, true).adopts || lives(Api::<Deployment>::namespaced(self.client.clone(), &key.namespace), &key.name, &uid).await?;
        let has_pods = |uid: &String| self.caches.pods_by_owner.get(uid).iter().any(|p| !pods::is_terminal(p));
        let sets_with_pods = sets.iter().filter_map(|s| s.metadata.uid.clone()).filter(has_pods).collect();
        Ok(Some(Observed { deployment, sets, may_adopt, sets_with_pods }))
    }

    fn plan(observed: Observed, now: Timestamp) -> Plan {
        plan(observed, now)
    }
}
