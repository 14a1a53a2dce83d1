//! Wires the caches to the world and the queue, and runs the loop.

use std::sync::Arc;

use client::{Change, Informer, Informers, Recorder};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use parking_lot::Mutex;
use scheduling::pod::PodFacts;
use scheduling::volumes::Binding;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::bind::{Failed, bind, bind_claims};
use crate::cache::Cache;
use crate::claims::Claims;
use crate::cycle::{Decision, decide};
use crate::preempt::{Outcome, preempt};
use crate::queue::{SchedulingQueue, Wake};
use crate::report::Reporter;
use crate::{Config, Error};

/// Schedules until `shutdown`.
pub async fn run(config: Config, client: kube::Client, shutdown: CancellationToken) -> Result<(), Error> {
    if config.leader_identity.is_empty() {
        return lead(config, client, shutdown).await;
    }
    let elector = client::LeaderElector::new(client.clone(), "kube-system", "kube-scheduler", &config.leader_identity, client::LeaseTimings::default());
    let work = |leading| lead(config, client, leading);
    elector.lead(shutdown, work).await.unwrap_or(Ok(()))
}

struct Scheduler {
    client: kube::Client,
    cache: Mutex<Cache>,
    queue: SchedulingQueue,
    claims: Claims,
    budgets: Informer<PodDisruptionBudget>,
    reporter: Reporter,
}

async fn lead(config: Config, client: kube::Client, shutdown: CancellationToken) -> Result<(), Error> {
    // Whatever ends this run ends its watches, and nothing of the caller's.
    let shutdown = shutdown.child_token();
    let _ending = shutdown.clone().drop_guard();
    let informers = Informers::new(client.clone(), shutdown.clone());
    let informers = if config.paged_lists { informers.paged() } else { informers };
    let informers = if config.any_server {
        tokio::select! {
            served = client::Served::wait(&client) => informers.of(served),
            () = shutdown.cancelled() => return Ok(()),
        }
    } else {
        informers
    };
    let recorder = Recorder::new(client.clone(), &config.scheduler_name, "", shutdown.clone());
    let scheduler = Arc::new(Scheduler {
        cache: Mutex::default(),
        queue: SchedulingQueue::default(),
        claims: Claims::new(informers.get(), informers.get(), informers.get()),
        budgets: informers.get(),
        reporter: Reporter { client: client.clone(), recorder, scheduler_name: config.scheduler_name.clone() },
        client,
    });
    scheduler.listen(&informers, &config.scheduler_name);
    informers.wait_synced().await?;
    let permits = Arc::new(Semaphore::new(config.binds_at_once.max(1)));
    let closing = scheduler.clone();
    tokio::spawn(async move {
        shutdown.cancelled().await;
        closing.queue.close();
    });
    while let Some(pod) = scheduler.queue.next().await {
        let Ok(permit) = permits.clone().acquire_owned().await else { break };
        if let Some(work) = scheduler.clone().try_one(pod) {
            tokio::spawn(async move {
                work.await;
                drop(permit);
            });
        }
    }
    Ok(())
}

/// Removes what no decision reads: most of a pod.
fn trim(pod: &mut Pod) {
    let Some(spec) = &mut pod.spec else { return };
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        let kept = k8s_openapi::api::core::v1::Container {
            name: std::mem::take(&mut container.name),
            image: container.image.take(),
            ports: container.ports.take(),
            resources: container.resources.take(),
            restart_policy: container.restart_policy.take(),
            ..Default::default()
        };
        *container = kept;
    }
    if let Some(volumes) = &mut spec.volumes {
        volumes.retain(|v| v.persistent_volume_claim.is_some() || v.ephemeral.is_some());
        volumes.shrink_to_fit();
    }
    if let Some(status) = &mut pod.status {
        status.container_statuses = None;
        status.init_container_statuses = None;
        status.ephemeral_container_statuses = None;
    }
    if let Some(annotations) = &mut pod.metadata.annotations {
        annotations.clear();
    }
}

impl Scheduler {
    fn listen(self: &Arc<Self>, informers: &Informers, name: &str) {
        let me = self.clone();
        informers.get::<Node>().on_change(move |change| me.on_node(change));
        let me = self.clone();
        informers.get::<Namespace>().on_change(move |change| {
            let namespace = change.object();
            let name = namespace.metadata.name.clone().unwrap_or_default();
            let mut cache = me.cache.lock();
            match change {
                Change::Deleted(_) => cache.namespaces.remove(&name),
                _ => cache.namespaces.insert(name, namespace.metadata.labels.clone().unwrap_or_default()),
            };
        });
        let (me, name) = (self.clone(), name.to_owned());
        informers.get_trimmed::<Pod>(Some(trim)).on_change(move |change| me.on_pod(change, &name));
        let me = self.clone();
        self.claims.claims.on_change(move |_| me.queue.event(Wake::Volume));
        let me = self.clone();
        self.claims.volumes.on_change(move |_| me.queue.event(Wake::Volume));
        let me = self.clone();
        self.claims.classes.on_change(move |_| me.queue.event(Wake::Volume));
    }

    fn on_node(&self, change: &Change<Node>) {
        let node = change.object();
        let mut cache = self.cache.lock();
        if let Change::Deleted(_) = change {
            return cache.remove_node(node.metadata.name.as_deref().unwrap_or_default());
        }
        cache.put_node(node.clone());
        drop(cache);
        let matters = |n: &Node| {
            let status = n.status.as_ref();
            (n.metadata.labels.clone(), n.spec.as_ref().map(|s| (s.taints.clone(), s.unschedulable)), status.and_then(|s| s.allocatable.clone()))
        };
        if change.old().is_none_or(|old| matters(old) != matters(node)) {
            self.queue.event(Wake::Node);
        }
    }

    fn on_pod(&self, change: &Change<Pod>, scheduler_name: &str) {
        let pod = change.object();
        let uid = pod.metadata.uid.as_deref().unwrap_or_default();
        let node = pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or_default();
        let finished = matches!(pod.status.as_ref().and_then(|s| s.phase.as_deref()), Some("Succeeded" | "Failed"));
        if matches!(change, Change::Deleted(_)) || finished {
            self.queue.remove(uid);
            if self.cache.lock().remove_pod(uid) {
                self.queue.event(Wake::PodGone);
            }
            return;
        }
        if !node.is_empty() {
            self.queue.remove(uid);
            let known = self.cache.lock().place_of(uid).is_some_and(|n| n == node);
            let same = change.old().is_some_and(|old| old.spec == pod.spec && old.metadata.labels == pod.metadata.labels && old.metadata.deletion_timestamp == pod.metadata.deletion_timestamp);
            if !(known && same) {
                self.cache.lock().place(Arc::new(PodFacts::new(pod.clone())), node);
                self.queue.event(Wake::PodPlaced);
            }
            return;
        }
        let spec = pod.spec.as_ref();
        let mine = spec.and_then(|s| s.scheduler_name.as_deref()).unwrap_or("default-scheduler") == scheduler_name;
        let gated = spec.is_some_and(|s| s.scheduling_gates.as_ref().is_some_and(|g| !g.is_empty()));
        if !mine || gated || pod.metadata.deletion_timestamp.is_some() {
            return self.queue.remove(uid);
        }
        // A pod on its way to a node is not tried again because of news that are older than the binding.
        if self.cache.lock().place_of(uid).is_some() {
            return;
        }
        let facts = Arc::new(PodFacts::new(pod.clone()));
        if let Some(node) = pod.status.as_ref().and_then(|s| s.nominated_node_name.as_deref()).filter(|n| !n.is_empty()) {
            self.cache.lock().nominate(facts.clone(), node);
        }
        let changed = change.old().is_some_and(|old| old.spec != pod.spec || old.metadata.labels != pod.metadata.labels);
        self.queue.add(facts, changed);
    }

    /// One try. Returns the work that remains to be done on the API.
    fn try_one(self: Arc<Self>, pod: Arc<PodFacts>) -> Option<futures::future::BoxFuture<'static, ()>> {
        let mut cache = self.cache.lock();
        if cache.place_of(pod.uid()).is_some() {
            self.queue.remove(pod.uid());
            return None;
        }
        match decide(&mut cache, &self.claims, &pod) {
            Decision::Place { node, bindings } => {
                self.claims.reserve(&bindings, &node);
                cache.place(pod.clone(), &node);
                drop(cache);
                Some(Box::pin(async move { self.carry_out(pod, node, bindings).await }))
            }
            Decision::NoPlace { message, plugins, refusals, needs } => {
                let outcome = preempt(&cache, &pod, needs.as_ref(), &refusals, &self.budgets);
                let (text, candidate, lower) = match outcome {
                    Outcome::Evict(candidate) => {
                        let lower = cache.lower_promises(&candidate.node, pod.priority);
                        for other in &lower {
                            cache.withdraw(other.uid());
                        }
                        cache.nominate(pod.clone(), &candidate.node);
                        (message, Some(candidate), lower)
                    }
                    // Without any node there is nothing to preempt and nothing to say about it.
                    Outcome::Nothing(_) if refusals.is_empty() => (message, None, Vec::new()),
                    Outcome::Nothing(why) => (format!("{message} preemption: {why}"), None, Vec::new()),
                };
                drop(cache);
                let me = self.clone();
                Some(Box::pin(async move {
                    if let Some(candidate) = &candidate {
                        for victim in &candidate.victims {
                            me.reporter.evict(victim, &pod, &candidate.node).await;
                        }
                        for other in &lower {
                            me.reporter.clear_nomination(other).await;
                        }
                    }
                    me.reporter.failed(&pod, "Unschedulable", &text, candidate.as_ref().map(|c| c.node.as_str())).await;
                    me.queue.unschedulable(pod.uid(), plugins);
                }))
            }
        }
    }

    async fn carry_out(&self, pod: Arc<PodFacts>, node: String, bindings: Vec<Binding>) {
        let claimed = bind_claims(&self.client, &self.claims, &bindings, &node).await;
        let result = match claimed {
            Ok(()) => bind(&self.client, &pod, &node).await,
            Err(failed) => Err(failed),
        };
        self.claims.release(&bindings);
        match result {
            Ok(()) => {
                self.queue.remove(pod.uid());
                self.reporter.scheduled(&pod, &node);
            }
            Err(failed) => {
                self.take_back(pod.uid(), &node);
                self.queue.event(Wake::PodGone);
                match failed {
                    Failed::Moot => self.queue.remove(pod.uid()),
                    Failed::Because(why) => {
                        self.reporter.failed(&pod, "SchedulerError", &why, None).await;
                        self.queue.retry(pod.uid());
                    }
                }
            }
        }
    }

    /// Takes an assumption back; what the cache has learnt since then stays.
    fn take_back(&self, uid: &str, node: &str) {
        let mut cache = self.cache.lock();
        if cache.place_of(uid) == Some(node) {
            cache.remove_pod(uid);
        }
    }
}
