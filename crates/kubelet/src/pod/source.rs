//! Pods from the API: each change becomes an update, a stop or a removal of its worker.
//!
//! Keeps true: a worker ends only after its pod is gone from the API and from the runtime; a pod of the same name with another uid is
//! another pod.

use std::sync::Arc;

use client::{Change, Informer, InformerOptions};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::runtime::watcher;
use pod_lifecycle::{Cause, Stop};
use tokio::sync::mpsc;

use super::registry::PodHandle;
use super::{statics, worker};
use crate::agent::Agent;
use crate::paths::is_plain_name;

pub const MIRROR: &str = "kubernetes.io/config.mirror";

/// Starts watching and feeds workers until the shutdown. Returns the cache.
pub fn start(agent: &Arc<Agent>) -> Informer<Pod> {
    let field = format!("spec.nodeName={}", agent.config.node_name);
    let options = InformerOptions { watch: watcher::Config::default().fields(&field), streaming: agent.config.streaming_lists, trim: None };
    let informer = Informer::start(Api::<Pod>::all(agent.client.clone()), options, agent.shutdown.clone());
    let (sender, mut receiver) = mpsc::unbounded_channel::<Change<Pod>>();
    informer.on_change(move |change| drop(sender.send(change.clone())));
    let agent = agent.clone();
    // The queue is as long as the pods of this node, which the API server bounds.
    tokio::spawn(async move {
        while let Some(change) = receiver.recv().await {
            apply(&agent, &change);
        }
    });
    informer
}

fn apply(agent: &Arc<Agent>, change: &Change<Pod>) {
    match change {
        Change::Added(pod) => upsert(agent, pod),
        Change::Modified { old, new } => {
            if old.metadata.uid != new.metadata.uid {
                gone(agent, old);
            }
            upsert(agent, new);
        }
        Change::Deleted(pod) => gone(agent, pod),
    }
}

fn upsert(agent: &Arc<Agent>, pod: &Arc<Pod>) {
    let Some(uid) = pod.metadata.uid.clone().filter(|u| is_plain_name(u)) else { return };
    if is_mirror(pod) {
        return statics::mirror_changed(agent, pod);
    }
    let handle = match agent.registry.get(&uid) {
        Some(handle) => {
            let old = handle.pod();
            // Downward API volumes show these.
            if old.metadata.labels != pod.metadata.labels || old.metadata.annotations != pod.metadata.annotations {
                handle.mark_objects_changed();
            }
            handle.update(pod.clone());
            handle
        }
        None => spawn(agent, uid, pod.clone(), false),
    };
    if pod.metadata.deletion_timestamp.is_some() {
        let grace = pod.metadata.deletion_grace_period_seconds;
        handle.set_stop(Stop::deleted(grace));
    }
}

pub fn is_mirror(pod: &Pod) -> bool {
    pod.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(MIRROR))
}

fn gone(agent: &Arc<Agent>, pod: &Arc<Pod>) {
    if is_mirror(pod) {
        return statics::mirror_gone(agent, pod);
    }
    let Some(handle) = pod.metadata.uid.as_deref().and_then(|uid| agent.registry.get(uid)) else { return };
    // Upstream: one that vanishes without having ended (a forced deletion) still gets its grace.
    let grace = handle.stop().and_then(|s| s.grace_seconds).filter(|g| *g > 0);
    handle.set_stop(Stop { cause: Cause::Gone, ..Stop::deleted(grace) });
}

/// Starts the worker of a pod.
pub fn spawn(agent: &Arc<Agent>, uid: String, pod: Arc<Pod>, is_static: bool) -> Arc<PodHandle> {
    let handle = Arc::new(PodHandle::new(uid.clone(), pod, is_static));
    agent.registry.insert(handle.clone());
    let (agent, worked) = (agent.clone(), handle.clone());
    tokio::spawn(async move {
        worker::run(agent.clone(), worked).await;
        if !agent.shutdown.is_cancelled() {
            agent.registry.remove(&uid);
        }
    });
    handle
}
