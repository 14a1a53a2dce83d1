//! One probe of one running container: waits its delay, asks each period, tells the board what settles.
//!
//! Never outlives its container. Upstream: pkg/kubelet/prober/worker.go.

use std::sync::Arc;
use std::time::Duration;

use client::EventType;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, Probe};
use pod_lifecycle::{ProbeResult, SpecContainer};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::ask::{Outcome, ask};
use super::board::ProbeKind;
use super::tally::Tally;
use crate::agent::Agent;
use crate::pod::registry::PodHandle;
use crate::pod::start::container_reference;

/// A question that could not be put is tried so often at once.
const TRIES: usize = 3;

pub struct Question {
    pub kind: ProbeKind,
    pub probe: Probe,
    pub spec: SpecContainer,
    pub pod: Arc<Pod>,
    pub container_id: String,
    /// Nanoseconds since 1970.
    pub started_at: i64,
    pub pod_ip: String,
    pub started: watch::Receiver<bool>,
}

pub async fn run(agent: Arc<Agent>, handle: Arc<PodHandle>, mut question: Question) {
    let seconds = |value: Option<i32>, otherwise: i32| Duration::from_secs(u64::try_from(value.unwrap_or(otherwise).max(0)).unwrap_or(0));
    if question.kind != ProbeKind::Startup && question.started.wait_for(|started| *started).await.is_err() {
        return;
    }
    let delay = seconds(question.probe.initial_delay_seconds, 0);
    let since = Timestamp::now().as_nanosecond() - i128::from(question.started_at);
    let lived = Duration::from_nanos(u64::try_from(since).unwrap_or(0));
    tokio::time::sleep(delay.saturating_sub(lived)).await;
    let mut ticks = tokio::time::interval(seconds(question.probe.period_seconds, 10).max(Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tally = Tally::new(&question.probe);
    loop {
        ticks.tick().await;
        let Some(answer) = put(&agent, &question).await else { continue };
        let Some(settled) = tally.add(answer) else { continue };
        if agent.probes.set(&question.container_id, question.kind, settled) {
            handle.wake();
        }
        match (question.kind, settled) {
            // A started container is not asked again; a failed one is about to be killed.
            (ProbeKind::Startup, _) | (ProbeKind::Liveness, ProbeResult::Failure) => return,
            _ => {}
        }
    }
}

async fn put(agent: &Agent, question: &Question) -> Option<ProbeResult> {
    let warn = |reason: &'static str, text: String| {
        let regarding = container_reference(&question.pod, question.spec.kind, question.spec.name());
        agent.recorder.event(&regarding, EventType::Warning, reason, text);
    };
    let word = question.kind.word();
    let mut outcome = Outcome::Success;
    for _ in 0..TRIES {
        outcome = ask(agent, &question.spec.container, &question.probe, &question.container_id, &question.pod_ip).await;
        if !matches!(outcome, Outcome::Unknown(_)) {
            break;
        }
    }
    match outcome {
        Outcome::Success => Some(ProbeResult::Success),
        Outcome::Warning(text) => {
            warn("ProbeWarning", format!("{word} probe warning: {text}"));
            Some(ProbeResult::Success)
        }
        Outcome::Failure(text) => {
            warn("Unhealthy", format!("{word} probe failed: {text}"));
            Some(ProbeResult::Failure)
        }
        Outcome::Unknown(text) => {
            warn("Unhealthy", format!("{word} probe errored and resulted in unknown state: {text}"));
            None
        }
    }
}
