//! Carries a decision out: first the claims, then the binding. Runs beside the next tries.

use std::time::Duration;

use client::{Error, ObjectKey, request_json};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::api::{Api, Patch, PatchParams};
use scheduling::pod::PodFacts;
use scheduling::volumes::{Binding, SELECTED_NODE};
use serde_json::json;

use crate::claims::{Claims, is_bound};

/// Upstream: bindTimeoutSeconds.
const CLAIMS_BOUND_WITHIN: Duration = Duration::from_secs(600);

pub(crate) enum Failed {
    /// The pod is gone or somebody bound it: nothing to do.
    Moot,
    /// The words for the event.
    Because(String),
}

/// Binds the pod's claims and waits until the binder and the provisioner have done their part.
pub(crate) async fn bind_claims(client: &kube::Client, claims: &Claims, bindings: &[Binding], node: &str) -> Result<(), Failed> {
    let failed = |error: kube::Error| Failed::Because(format!("running PreBind plugin \"VolumeBinding\": binding volumes: {}", client::api_message(&error)));
    for binding in bindings {
        match binding {
            Binding::Existing { claim, volume } => {
                let api: Api<PersistentVolume> = Api::all(client.clone());
                let reference = json!({"kind": "PersistentVolumeClaim", "apiVersion": "v1", "namespace": claim.metadata.namespace, "name": claim.metadata.name, "uid": claim.metadata.uid, "resourceVersion": claim.metadata.resource_version});
                let meta = json!({"resourceVersion": volume.metadata.resource_version, "annotations": {"pv.kubernetes.io/bound-by-controller": "yes"}});
                let body = json!({"metadata": meta, "spec": {"claimRef": reference}});
                api.patch(volume.metadata.name.as_deref().unwrap_or_default(), &PatchParams::default(), &Patch::Merge(body)).await.map_err(failed)?;
            }
            Binding::Provision { claim } => {
                let api: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), claim.metadata.namespace.as_deref().unwrap_or_default());
                let body = json!({"metadata": {"uid": claim.metadata.uid, "annotations": {SELECTED_NODE: node}}});
                api.patch(claim.metadata.name.as_deref().unwrap_or_default(), &PatchParams::default(), &Patch::Merge(body)).await.map_err(failed)?;
            }
        }
    }
    wait_bound(claims, bindings).await
}

async fn wait_bound(claims: &Claims, bindings: &[Binding]) -> Result<(), Failed> {
    let keys: Vec<ObjectKey> = bindings.iter().map(|b| match b { Binding::Existing { claim, .. } | Binding::Provision { claim } => ObjectKey::of(&**claim) }).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let bound = || keys.iter().all(|key| claims.claims.get_key(key).is_none_or(|claim| is_bound(&claim)));
    if !claims.claims.progress().wait_until(bound, CLAIMS_BOUND_WITHIN).await {
        return Err(Failed::Because("running PreBind plugin \"VolumeBinding\": binding volumes: context deadline exceeded".into()));
    }
    match keys.iter().find(|key| claims.claims.get_key(key).is_none()) {
        Some(gone) => Err(Failed::Because(format!("running PreBind plugin \"VolumeBinding\": persistentvolumeclaim {:?} not found", gone.name))),
        None => Ok(()),
    }
}

/// Writes the binding.
pub(crate) async fn bind(client: &kube::Client, pod: &PodFacts, node: &str) -> Result<(), Failed> {
    let path = format!("/api/v1/namespaces/{}/pods/{}/binding", pod.namespace(), pod.name());
    let body = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod.name(), "namespace": pod.namespace(), "uid": pod.uid()}, "target": {"apiVersion": "v1", "kind": "Node", "name": node}});
    match request_json(client, "POST", &path, Some(&body)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => Err(Failed::Moot),
        Err(error) => Err(Failed::Because(format!("binding rejected: {}", Error::from(error)))),
    }
}
