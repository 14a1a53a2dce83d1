//! Stopping one container: its preStop hook, those it waits for, the signal, all within one grace period.

use std::sync::Arc;
use std::time::Duration;

use client::EventType;
use cri::StopContainerRequest;
use k8s_openapi::api::core::v1::Pod;
use pod_lifecycle::{Kind, SpecContainer};
use tokio::time::Instant;

use super::{hooks, start::container_reference};
use crate::agent::Agent;

/// Upstream never gives less to the process itself.
const MINIMUM: u64 = 2;

/// Who is still alive; told by the worker after each observation.
pub type Alive = tokio::sync::watch::Receiver<std::collections::BTreeSet<String>>;

/// One container to be stopped.
pub struct Kill {
    pub id: String,
    pub name: String,
    pub grace_seconds: i64,
    /// The event's text; the usual one when empty.
    pub message: String,
    /// Containers that end before this one is told to.
    pub after: Vec<String>,
}

pub async fn kill(agent: &Arc<Agent>, pod: &Pod, kill: &Kill, alive: &mut Alive) -> Result<(), cri::Error> {
    let Kill { id, name, grace_seconds, message, after } = kill;
    let grace_seconds = *grace_seconds;
    let spec = pod_lifecycle::find_container(pod, name);
    let spec = spec.as_ref();
    let ends = Instant::now() + Duration::from_secs(u64::try_from(grace_seconds).unwrap_or(0));
    announce(agent, pod, spec, name, message);
    if let Some(spec) = spec.filter(|_| grace_seconds > 0) {
        pre_stop(agent, pod, spec, id, ends).await;
    }
    if !after.is_empty() {
        let gone = alive.wait_for(|alive| after.iter().all(|id| !alive.contains(id)));
        let _ = tokio::time::timeout_at(ends, gone).await;
    }
    let left = ends.saturating_duration_since(Instant::now()).as_secs_f64().ceil() as u64;
    // Zero means at once; it is given only when it was asked for.
    let left = if grace_seconds == 0 { 0 } else { left.max(MINIMUM.min(grace_seconds.unsigned_abs())) };
    stop(agent, id, i64::try_from(left).unwrap_or(i64::MAX)).await
}

/// The same for one who has nobody to wait for, and nobody who reads the outcome.
pub async fn stop_container(agent: &Arc<Agent>, pod: &Pod, spec: &SpecContainer, id: &str, grace_seconds: i64, message: &str) {
    announce(agent, pod, Some(spec), spec.name(), message);
    if let Err(error) = stop(agent, id, grace_seconds).await {
        tracing::warn!(id, %error, "container was not stopped");
    }
}

fn announce(agent: &Agent, pod: &Pod, spec: Option<&SpecContainer>, name: &str, message: &str) {
    let text = if message.is_empty() { format!("Stopping container {name}") } else { message.to_owned() };
    let kind = spec.map_or(Kind::Regular, |s| s.kind);
    agent.recorder.event(&container_reference(pod, kind, name), EventType::Normal, "Killing", text);
}

async fn pre_stop(agent: &Arc<Agent>, pod: &Pod, spec: &SpecContainer, id: &str, ends: Instant) {
    let Some(handler) = spec.lifecycle().and_then(|l| l.pre_stop.as_ref()) else { return };
    let ips: Vec<String> = pod.status.iter().flat_map(|s| s.pod_ips.iter().flatten()).map(|i| i.ip.clone()).collect();
    match tokio::time::timeout_at(ends, hooks::run(agent, pod, &spec.container, id, handler, &ips)).await {
        Ok(Err(why)) => {
            tracing::debug!(container = spec.name(), %why, "pre-stop hook failed");
            agent.recorder.event(&container_reference(pod, spec.kind, spec.name()), EventType::Warning, "FailedPreStopHook", "PreStopHook failed");
        }
        Ok(Ok(())) => {}
        Err(_) => tracing::debug!(container = spec.name(), "pre-stop hook took the whole grace period"),
    }
}

async fn stop(agent: &Agent, id: &str, timeout: i64) -> Result<(), cri::Error> {
    match agent.cri.stop_container(StopContainerRequest { container_id: id.to_owned(), timeout }).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
