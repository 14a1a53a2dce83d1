//! Starting one container: image, environment, configuration, create, start, postStart hook.
//!
//! Keeps true: each failure has the waiting reason that upstream shows for it, and an event.

use std::sync::Arc;

use client::EventType;
use cri::{CreateContainerRequest, RemoveContainerRequest, StartContainerRequest};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ObjectReference, Pod, Secret};
use pod_lifecycle::{Kind, SpecContainer, Waiting};

use super::{container, hooks, kill, sandbox};
use crate::agent::Agent;
use crate::image::{Note, default_policy};
use crate::make::security::{ImageUser, verify_non_root};
use crate::volume::Mounted;

/// Upstream tries a failed start again with its next sync, about so much later.
const RETRY: SignedDuration = SignedDuration::from_secs(10);

/// Why a container did not start.
#[derive(Debug, Clone)]
pub struct Failure(pub Waiting);

impl Failure {
    pub fn waiting(reason: &str, message: impl Into<String>) -> Self {
        Self(Waiting { reason: reason.into(), message: message.into(), not_before: Some(Timestamp::now() + RETRY) })
    }

    #[must_use]
    pub fn not_before(mut self, at: Timestamp) -> Self {
        self.0.not_before = Some(at);
        self
    }
}

/// What a start needs of its pod.
pub struct Start<'a> {
    pub agent: &'a Arc<Agent>,
    pub pod: &'a Pod,
    pub spec: &'a SpecContainer,
    pub restart_count: u32,
    pub sandbox_id: &'a str,
    pub sandbox_attempt: u32,
    pub pod_ips: &'a [String],
    pub mounted: &'a Mounted,
    /// The container whose processes an ephemeral one sees.
    pub target_id: Option<String>,
}

/// The event's object: the pod, with the path of the container.
pub fn container_reference(pod: &Pod, kind: Kind, name: &str) -> ObjectReference {
    let list = match kind {
        Kind::Init | Kind::Sidecar => "initContainers",
        Kind::Regular => "containers",
        Kind::Ephemeral => "ephemeralContainers",
    };
    ObjectReference { field_path: Some(format!("spec.{list}{{{name}}}")), ..pod_reference(pod) }
}

/// The event's object; lists leave kind and version out of their items.
pub fn pod_reference(pod: &Pod) -> ObjectReference {
    ObjectReference { api_version: Some("v1".into()), kind: Some("Pod".into()), ..client::reference(pod) }
}

pub async fn start(s: &Start<'_>) -> Result<String, Failure> {
    let name = s.spec.name();
    let regarding = container_reference(s.pod, s.spec.kind, name);
    let warn = |reason: &'static str, text: String| s.agent.recorder.event(&regarding, EventType::Warning, reason, text);
    let (sandbox_config, _) = sandbox::config(s.agent, s.pod, s.sandbox_attempt).map_err(|e| Failure::waiting("CreateContainerConfigError", e))?;
    let note = |note: Note| match note {
        Note::Normal(reason, text) => s.agent.recorder.event(&regarding, EventType::Normal, reason, text),
        Note::Warning(reason, text) => s.agent.recorder.event(&regarding, EventType::Warning, reason, text),
    };
    let wanted = s.spec.container.image.as_deref().unwrap_or_default();
    let policy = s.spec.container.image_pull_policy.as_deref().filter(|p| !p.is_empty()).unwrap_or_else(|| default_policy(wanted));
    let secrets = pull_secrets(s.agent, s.pod).await;
    let uid = s.pod.metadata.uid.as_deref().unwrap_or_default();
    let image = s.agent.images.ensure(wanted, policy, uid, &secrets, &sandbox_config, &note).await.inspect_err(|failure| {
        if failure.0.reason != "ImagePullBackOff" {
            warn("Failed", format!("Error: {}", failure.0.reason));
        }
    })?;
    let user = ImageUser { uid: image.uid.as_ref().map(|u| u.value), username: image.username.clone() };
    let config_error = |text: String| {
        warn("Failed", format!("Error: {text}"));
        Failure::waiting("CreateContainerConfigError", text)
    };
    verify_non_root(s.pod, &s.spec.container, &user).map_err(config_error)?;
    let config = container::config(s, &image, &user).await.map_err(config_error)?;
    let request = CreateContainerRequest { pod_sandbox_id: s.sandbox_id.to_owned(), config: Some(config), sandbox_config: Some(sandbox_config) };
    let created = s.agent.cri.create_container(request).await.map_err(|e| {
        warn("Failed", format!("Error: {}", e.message()));
        Failure::waiting("CreateContainerError", e.message())
    })?;
    let id = created.container_id;
    s.agent.registry.own(&id, uid);
    s.agent.recorder.event(&regarding, EventType::Normal, "Created", format!("Created container: {name}"));
    if let Err(error) = s.agent.cri.start_container(StartContainerRequest { container_id: id.clone() }).await {
        warn("Failed", format!("Error: {}", error.message()));
        return Err(Failure(Waiting { reason: "RunContainerError".into(), message: error.message(), not_before: None }));
    }
    s.agent.recorder.event(&regarding, EventType::Normal, "Started", format!("Started container {name}"));
    post_start(s, &id, &regarding).await?;
    Ok(id)
}

async fn post_start(s: &Start<'_>, id: &str, regarding: &ObjectReference) -> Result<(), Failure> {
    let Some(handler) = s.spec.lifecycle().and_then(|l| l.post_start.as_ref()) else { return Ok(()) };
    // The hook may run long: whoever shows the status sees the container running meanwhile.
    s.agent.registry.wake(s.pod.metadata.uid.as_deref().unwrap_or_default());
    if let Err(why) = hooks::run(s.agent, s.pod, &s.spec.container, id, handler, s.pod_ips).await {
        tracing::debug!(container = s.spec.name(), %why, "post-start hook failed");
        s.agent.recorder.event(regarding, EventType::Warning, "FailedPostStartHook", "PostStartHook failed");
        let message = "FailedPostStartHook".to_owned();
        kill::stop_container(s.agent, s.pod, s.spec, id, pod_lifecycle::grace_seconds(s.pod).max(2), &message).await;
        return Err(Failure(Waiting { reason: "PostStartHookError".into(), message: "PostStartHook failed".into(), not_before: None }));
    }
    Ok(())
}

/// Missing ones are left out with a warning, as upstream does: the image may be public.
async fn pull_secrets(agent: &Agent, pod: &Pod) -> Vec<Arc<Secret>> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let mut found = Vec::new();
    for reference in pod.spec.iter().flat_map(|s| s.image_pull_secrets.iter().flatten()) {
        match agent.secrets.get(namespace, &reference.name, uid).await {
            Ok(Some(secret)) => found.push(secret),
            _ => {
                let text = format!("Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.", reference.name);
                agent.recorder.event(&pod_reference(pod), EventType::Warning, "FailedToRetrieveImagePullSecret", text);
            }
        }
    }
    found
}

/// Removes an ended container with its log files. False when it is still there.
pub async fn remove_container(agent: &Agent, id: &str, log: Option<&std::path::Path>) -> bool {
    match agent.cri.remove_container(RemoveContainerRequest { container_id: id.to_owned() }).await {
        Err(error) if !error.is_not_found() => {
            tracing::warn!(id, %error, "ended container was not removed");
            false
        }
        _ => {
            agent.registry.disown(id);
            if let Some(log) = log {
                super::logs::remove_all(log);
            }
            true
        }
    }
}
