//! What a former life of this agent left behind: pods that nobody wants any more are ended in good order, their folders removed.
//!
//! Never touches what a known pod owns. Called once, after the first list of pods is here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use client::Informer;
use cri::{ListContainersRequest, ListPodSandboxRequest};
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::api::ObjectMeta;
use pod_lifecycle::{Cause, Stop};

use super::source::spawn;
use crate::agent::Agent;
use crate::make::sandbox::{CONTAINER_NAME, POD_GRACE, POD_NAME, POD_NAMESPACE, POD_UID};
use crate::paths::is_plain_name;
use crate::volume;

type Orphans = BTreeMap<String, Pod>;

/// `pods` is the cache that the first list filled: its pods are wanted even if their workers are not there yet.
pub async fn end_orphans(agent: &Arc<Agent>, pods: &Informer<Pod>) {
    let wanted: BTreeSet<String> = pods.list().iter().filter_map(|p| p.metadata.uid.clone()).chain(agent.registry.all().iter().map(|h| h.uid.clone())).collect();
    match find(agent, &wanted).await {
        Ok(orphans) => {
            for (uid, pod) in orphans {
                tracing::info!(uid, "pod of a former life is not wanted any more");
                let handle = spawn(agent, uid, Arc::new(pod), false);
                handle.set_stop(Stop { cause: Cause::Gone, ..Stop::deleted(None) });
            }
        }
        Err(error) => tracing::warn!(%error, "what a former life left was not found out"),
    }
    remove_folders(agent, &wanted);
}

/// Pods as far as the runtime's labels tell of them.
async fn find(agent: &Agent, wanted: &BTreeSet<String>) -> Result<Orphans, cri::Error> {
    let (sandboxes, containers) = tokio::try_join!(agent.cri.list_pod_sandbox(ListPodSandboxRequest::default()), agent.cri.list_containers(ListContainersRequest::default()))?;
    let mut found = Orphans::new();
    for sandbox in sandboxes.items {
        let label = |name: &str| sandbox.labels.get(name).cloned();
        let Some(uid) = label(POD_UID).filter(|u| is_plain_name(u) && !wanted.contains(u)) else { continue };
        let metadata = ObjectMeta { name: label(POD_NAME), namespace: label(POD_NAMESPACE), uid: Some(uid.clone()), ..ObjectMeta::default() };
        found.entry(uid).or_insert_with(|| Pod { metadata, spec: Some(PodSpec::default()), status: None });
    }
    for container in containers.containers {
        let Some(pod) = container.labels.get(POD_UID).and_then(|uid| found.get_mut(uid)) else { continue };
        let spec = pod.spec.get_or_insert_default();
        let name = container.labels.get(CONTAINER_NAME).cloned().unwrap_or_default();
        if !spec.containers.iter().any(|c| c.name == name) {
            spec.containers.push(Container { name, ..Container::default() });
        }
        spec.termination_grace_period_seconds = container.annotations.get(POD_GRACE).and_then(|g| g.parse().ok()).or(spec.termination_grace_period_seconds);
    }
    Ok(found)
}

fn remove_folders(agent: &Agent, wanted: &BTreeSet<String>) {
    let working: BTreeSet<String> = agent.registry.all().iter().map(|h| h.uid.clone()).collect();
    for entry in std::fs::read_dir(agent.paths.pods()).into_iter().flatten().flatten() {
        let uid = entry.file_name().to_string_lossy().into_owned();
        if wanted.contains(&uid) || working.contains(&uid) {
            continue;
        }
        if let Err(error) = volume::unmount_all(&entry.path(), true) {
            tracing::warn!(uid, %error, "folder of a former pod was not removed");
        }
    }
}
