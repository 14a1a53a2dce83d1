//! Reads the caches for one job and wires them to its queue.

use std::sync::Arc;

use client::{Controller, Error, Informer, ObjectKey, Plan, Shell, WorkQueue, controller_owner, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use scheduling::labels::selects;
use tokio::task::JoinSet;

use super::plan::{Observed as Known, claim_pods, is_tracked, plan, untrack};
use crate::caches::{Caches, orphans_of};
use crate::ownership::lives;
use crate::pods;

/// No job has this name: the key of tracked pods that belong to none.
const NOBODY: &str = "";

struct Jobs {
    caches: Caches,
    jobs: Informer<Job>,
    client: kube::Client,
}

pub(crate) enum Observed {
    Known(Known),
    /// Pods whose job is gone: nobody counts them any more.
    Forsaken(Vec<Arc<Pod>>),
}

pub(crate) fn start(caches: &Caches, shell: &Shell, tasks: &mut JoinSet<()>) {
    let jobs = caches.informers.get::<Job>();
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_job = queue.clone();
    jobs.on_change(move |change| on_job.add(ObjectKey::of(&**change.object())));
    let (on_pod, known) = (queue.clone(), jobs.clone());
    caches.pods.on_change(move |change| {
        for pod in [Some(change.object()), change.old()].into_iter().flatten() {
            let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
            match controller_owner(&**pod) {
                Some(owner) if owner.kind == "Job" => on_pod.add(ObjectKey::new(namespace, owner.name.clone())),
                None if pods::is_active(pod) || is_tracked(pod) => {
                    let matching = |j: &Job| j.spec.as_ref().and_then(|s| s.selector.as_ref()).is_some_and(|s| selects(s, pod.metadata.labels.as_ref()));
                    let takers: Vec<_> = known.list_namespace(namespace).into_iter().filter(|j| matching(j)).collect();
                    takers.iter().for_each(|j| on_pod.add(ObjectKey::of(&**j)));
                    if takers.is_empty() && is_tracked(pod) {
                        on_pod.add(ObjectKey::new(namespace, NOBODY));
                    }
                }
                _ => {}
            }
        }
    });
    let mut shell = shell.clone();
    shell.executor = shell.executor.named("job-controller");
    let controller = Jobs { caches: caches.clone(), jobs, client: shell.executor.client().clone() };
    tasks.spawn(run_controller(controller, queue, shell, 4));
}

impl Controller for Jobs {
    const NAME: &'static str = "job";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        let Some(job) = self.jobs.get_key(key) else {
            let of_job = |p: &Arc<Pod>| is_tracked(p) && controller_owner(&**p).is_none_or(|o| o.kind == "Job" && o.name == key.name);
            let forsaken: Vec<_> = self.caches.pods.list_namespace(&key.namespace).into_iter().filter(|p| of_job(p) && !self.is_wanted(p)).collect();
            return Ok((!forsaken.is_empty()).then_some(Observed::Forsaken(forsaken)));
        };
        // Upstream: a job that names another manager is that manager's alone.
        if job.spec.as_ref().and_then(|s| s.managed_by.as_deref()).is_some_and(|m| m != "kubernetes.io/job-controller") {
            return Ok(None);
        }
        let uid = job.metadata.uid.clone().unwrap_or_default();
        let mut pods = self.caches.pods_by_owner.get(&uid);
        pods.extend(self.caches.pods_by_owner.get(&orphans_of(&key.namespace)));
        let may_adopt = !claim_pods(&job, &pods, true).adopts || lives(Api::<Job>::namespaced(self.client.clone(), &key.namespace), &key.name, &uid).await?;
        Ok(Some(Observed::Known(Known { job, pods, may_adopt })))
    }

    fn plan(observed: Observed, now: Timestamp) -> Plan {
        match observed {
            Observed::Known(known) => plan(&known, now),
            Observed::Forsaken(pods) => Plan::of(pods.iter().map(|p| untrack(p))),
        }
    }
}

impl Jobs {
    /// Does a job own the pod, or would one adopt it?
    fn is_wanted(&self, pod: &Pod) -> bool {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        match controller_owner(pod) {
            Some(owner) => self.jobs.get(namespace, &owner.name).is_some_and(|job| job.metadata.uid.as_ref() == Some(&owner.uid)),
            None => self.jobs.list_namespace(namespace).iter().any(|j| j.spec.as_ref().and_then(|s| s.selector.as_ref()).is_some_and(|s| selects(s, pod.metadata.labels.as_ref()))),
        }
    }
}
