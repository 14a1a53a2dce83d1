//! Reads the caches for one daemon set and wires sets, pods and nodes to its queue.

use client::{Controller, Error, Index, Informer, ObjectKey, Plan, Shell, WorkQueue, controller_owner, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use scheduling::labels::selects;
use tokio::task::JoinSet;

use super::plan::{Observed, claim_pods, plan};
use crate::caches::{Caches, orphans_of};
use crate::ownership::lives;

struct Daemons {
    caches: Caches,
    sets: Informer<DaemonSet>,
    revisions: Index<ControllerRevision>,
    client: kube::Client,
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let sets = caches.informers.get::<DaemonSet>();
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_set = queue.clone();
    sets.on_change(move |change| on_set.add(ObjectKey::of(&**change.object())));
    let (on_pod, known) = (queue.clone(), sets.clone());
    caches.pods.on_change(move |change| {
        for pod in [Some(change.object()), change.old()].into_iter().flatten() {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            match controller_owner(&**pod) {
                Some(owner) if owner.kind == "DaemonSet" => on_pod.add(ObjectKey::new(namespace, owner.name.clone())),
                Some(_) => {}
                None => known.list_namespace(namespace).iter().filter(|s| selects(&s.spec.selector, pod.metadata.labels.as_ref())).for_each(|s| on_pod.add(ObjectKey::of(&**s))),
            }
        }
    });
    let (on_node, known) = (queue.clone(), sets.clone());
    caches.nodes.on_change(move |change| {
        let matters = |n: &Node| (n.metadata.labels.clone(), n.spec.as_ref().and_then(|s| s.taints.clone()));
        let gone = matches!(change, client::Change::Deleted(_));
        if gone || change.old().is_none_or(|old| matters(old) != matters(change.object())) {
            known.list().iter().for_each(|s| on_node.add(ObjectKey::of(&**s)));
        }
    });
    let mut shell = shell.clone();
    shell.executor = shell.executor.named("daemonset-controller");
    let revisions = caches.revisions_by_owner.clone();
    let controller = Daemons { caches: caches.clone(), sets, revisions, client: shell.executor.client().clone() };
    tasks.spawn(run_controller(controller, queue, shell, 2));
}

impl Controller for Daemons {
    const NAME: &'static str = "daemonset";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let Some(set) = self.sets.get_key(key) else { return Ok(None) };
        let uid = set.metadata.uid.clone().unwrap_or_default();
        let mut pods = self.caches.pods_by_owner.get(&uid);
        pods.extend(self.caches.pods_by_owner.get(&orphans_of(&key.namespace)));
        let may_adopt = !claim_pods(&set, &pods, true).adopts || lives(Api::<DaemonSet>::namespaced(self.client.clone(), &key.namespace), &key.name, &uid).await?;
        Ok(Some(Observed { set, pods, nodes: self.caches.nodes.list(), revisions: self.revisions.get(&uid), may_adopt }))
    }

    fn plan(observed: Observed, now: Timestamp) -> Plan {
        plan(&observed, now)
    }
}
