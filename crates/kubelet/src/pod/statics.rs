//! Static pods: manifests in a folder, run without an API, shown in it by mirror pods.
//!
//! Keeps true: the same file gives the same uid, so a restart adopts what runs; a changed file is another pod.
//! Upstream: pkg/kubelet/config/{common,file}.go, pkg/kubelet/pod/mirror_client.go.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use pod_lifecycle::{Cause, Stop};
use sha2::{Digest as _, Sha256};

use super::source::{MIRROR, spawn};
use crate::agent::Agent;
use file_events::{FOLDER, Inotify};

const HASH: &str = "kubernetes.io/config.hash";
const MANIFEST_BYTES: u64 = 1 << 20;

/// Follows the folder until the shutdown.
pub async fn follow(agent: Arc<Agent>, dir: std::path::PathBuf) {
    let watch = std::fs::create_dir_all(&dir).and_then(|()| Inotify::watch(&dir, FOLDER));
    if let Err(error) = &watch {
        tracing::warn!(dir = %dir.display(), %error, "static pods are read once: the folder cannot be watched");
    }
    loop {
        sync(&agent, &dir);
        let Ok(watch) = &watch else { return };
        tokio::select! {
            changed = watch.changed() => if changed.is_err() { return },
            () = agent.shutdown.cancelled() => return,
        }
    }
}

fn sync(agent: &Arc<Agent>, dir: &Path) {
    let mut wanted = BTreeMap::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if hidden || !path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json") {
            continue;
        }
        match read(agent, &path) {
            Ok(pod) => drop(wanted.insert(pod.metadata.uid.clone().unwrap_or_default(), pod)),
            Err(error) => tracing::warn!(file = %path.display(), error, "static pod was not read"),
        }
    }
    for handle in agent.registry.all().into_iter().filter(|h| h.is_static) {
        if !wanted.contains_key(&handle.uid) && handle.stop().is_none() {
            handle.set_stop(Stop { cause: Cause::Gone, ..Stop::deleted(None) });
            if let Some(mirror) = handle.mirror() {
                delete_mirror(agent, mirror);
            }
        }
    }
    for (uid, pod) in wanted {
        if agent.registry.get(&uid).is_none() {
            let handle = spawn(agent, uid, Arc::new(pod), true);
            create_mirror(agent, &handle.pod());
        }
    }
}

fn read(agent: &Agent, path: &Path) -> Result<Pod, String> {
    let length = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if length > MANIFEST_BYTES {
        return Err(format!("larger than {MANIFEST_BYTES} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let mut pod: Pod = serde_saphyr::from_str(&text).map_err(|e| e.to_string())?;
    let node = &agent.config.node_name;
    let mut hash = Sha256::new();
    hash.update(text.as_bytes());
    hash.update(node.as_bytes());
    hash.update(path.as_os_str().as_encoded_bytes());
    let digest: String = hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect();
    let spec = pod.spec.as_mut().ok_or("the manifest has no spec")?;
    spec.node_name = Some(node.clone());
    // Static pods stay on a node that is not ready.
    spec.tolerations.get_or_insert_default().push(k8s_openapi::api::core::v1::Toleration { effect: Some("NoExecute".into()), operator: Some("Exists".into()), ..Default::default() });
    spec.restart_policy.get_or_insert_with(|| "Always".into());
    spec.enable_service_links.get_or_insert(true);
    let meta = &mut pod.metadata;
    let name = meta.name.clone().filter(|n| !n.is_empty()).ok_or("the manifest has no name")?;
    if !name.ends_with(&format!("-{node}")) {
        meta.name = Some(format!("{name}-{node}"));
    }
    meta.namespace.get_or_insert_with(|| "default".into());
    meta.uid = Some(digest.clone());
    let annotations = meta.annotations.get_or_insert_default();
    annotations.insert(HASH.into(), digest);
    annotations.insert("kubernetes.io/config.source".into(), "file".into());
    Ok(pod)
}

fn create_mirror(agent: &Arc<Agent>, pod: &Arc<Pod>) {
    let (agent, pod) = (agent.clone(), pod.clone());
    tokio::spawn(async move {
        let mut mirror = (*pod).clone();
        let hash = mirror.metadata.uid.take().unwrap_or_default();
        mirror.metadata.annotations.get_or_insert_default().insert(MIRROR.into(), hash);
        mirror.status = None;
        let api: Api<Pod> = Api::namespaced(agent.client.clone(), pod.metadata.namespace.as_deref().unwrap_or("default"));
        // The API may not be up before its own static pod is: try until it takes it.
        for attempt in 0..60u32 {
            match api.create(&PostParams::default(), &mirror).await {
                Ok(_) => return,
                Err(kube::Error::Api(status)) if status.code == 409 => return,
                Err(error) => tracing::debug!(%error, "mirror pod was not created"),
            }
            tokio::select! {
                () = tokio::time::sleep(std::time::Duration::from_secs(1 << attempt.min(4))) => {}
                () = agent.shutdown.cancelled() => return,
            }
        }
    });
}

fn delete_mirror(agent: &Arc<Agent>, mirror: Arc<Pod>) {
    let agent = agent.clone();
    tokio::spawn(async move {
        let api: Api<Pod> = Api::namespaced(agent.client.clone(), mirror.metadata.namespace.as_deref().unwrap_or("default"));
        let params = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
        if let Err(error) = api.delete(mirror.metadata.name.as_deref().unwrap_or_default(), &params).await {
            tracing::debug!(%error, "mirror pod was not deleted");
        }
    });
}

/// A mirror appeared or changed: it belongs to the static pod of its hash, or to none and goes.
pub fn mirror_changed(agent: &Arc<Agent>, mirror: &Arc<Pod>) {
    let hash = mirror.metadata.annotations.as_ref().and_then(|a| a.get(MIRROR)).cloned().unwrap_or_default();
    match agent.registry.get(&hash).filter(|h| h.is_static && h.stop().is_none()) {
        Some(handle) if mirror.metadata.deletion_timestamp.is_none() => handle.set_mirror(Some(mirror.clone())),
        _ => delete_mirror(agent, mirror.clone()),
    }
}

/// Deleting a mirror stops nothing: it is made again.
pub fn mirror_gone(agent: &Arc<Agent>, mirror: &Arc<Pod>) {
    let hash = mirror.metadata.annotations.as_ref().and_then(|a| a.get(MIRROR)).cloned().unwrap_or_default();
    if let Some(handle) = agent.registry.get(&hash).filter(|h| h.is_static) {
        handle.set_mirror(None);
        if handle.stop().is_none() {
            create_mirror(agent, &handle.pod());
        }
    }
}
