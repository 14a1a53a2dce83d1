//! Volumes by claim: a bound claim whose persistent volume is a folder of this node.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{HostPathVolumeSource, PersistentVolume, PersistentVolumeClaim, Pod};
use kube::Api;

use super::place;
use crate::agent::Agent;
use crate::make::security::pod_context;

pub async fn mount(agent: &Agent, pod: &Pod, claim_name: &str) -> Result<PathBuf, String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(agent.client.clone(), namespace);
    let text = |e: kube::Error| client::api_message(&e);
    let claim = claims.get(claim_name).await.map_err(|e| format!("error getting PVC {namespace}/{claim_name}: {}", text(e)))?;
    if claim.metadata.deletion_timestamp.is_some() {
        return Err(format!("can't start pod because PVC {namespace}/{claim_name} is being deleted"));
    }
    let volume_name = claim.spec.as_ref().and_then(|s| s.volume_name.clone()).filter(|n| !n.is_empty()).ok_or_else(|| format!("PVC {namespace}/{claim_name} is not bound"))?;
    let volumes: Api<PersistentVolume> = Api::all(agent.client.clone());
    let volume = volumes.get(&volume_name).await.map_err(|e| format!("error getting PV {volume_name}: {}", text(e)))?;
    let spec = volume.spec.unwrap_or_default();
    let bound = spec.claim_ref.as_ref().is_some_and(|c| c.uid.is_none() || c.uid == claim.metadata.uid);
    if !bound {
        return Err(format!("PV {volume_name} is not bound to PVC {namespace}/{claim_name}"));
    }
    let group = pod_context(pod).and_then(|c| c.fs_group).and_then(|g| u32::try_from(g).ok());
    let lazy = pod_context(pod).and_then(|c| c.fs_group_change_policy.as_deref()) == Some("OnRootMismatch");
    let (path, owned) = if let Some(local) = &spec.local {
        let found = place::host_path(&HostPathVolumeSource { path: local.path.clone(), type_: Some("Directory".into()) })?;
        (found, true)
    } else if let Some(host) = &spec.host_path {
        (place::host_path(host)?, false)
    } else {
        return Err(format!("no volume plugin matched for PV {volume_name}"));
    };
    // Upstream: a host path is never given to the group, a local volume is.
    if let Some(group) = group.filter(|_| owned) {
        let root = path.clone();
        let done = tokio::task::spawn_blocking(move || place::own_by_group(&root, group, lazy)).await;
        done.map_err(|e| e.to_string())?.map_err(|e| format!("applyFSGroup failed for vol {volume_name}: {e}"))?;
    }
    Ok(path)
}
