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
/// Between questions to a container that does not listen yet.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

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
    let mut patience = match question.kind {
        ProbeKind::Readiness if question.probe.exec.is_none() => ticks.period().mul_f32(0.75),
        _ => Duration::ZERO,
    };
    loop {
        ticks.tick().await;
        let Some(answer) = put(&agent, &question, patience).await else { continue };
        if answer == ProbeResult::Success {
            patience = Duration::ZERO;
        }
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

/// Asks once. Differs: until it was ready once, a container that does not listen yet is asked again within the period: it cannot tell, and
/// need not wait a whole period to be found ready.
async fn put(agent: &Agent, question: &Question, patience: Duration) -> Option<ProbeResult> {
    let warn = |reason: &'static str, text: String| {
        let regarding = container_reference(&question.pod, question.spec.kind, question.spec.name());
        agent.recorder.event(&regarding, EventType::Warning, reason, text);
    };
    let word = question.kind.word();
    let (since, mut pause, mut tries) = (tokio::time::Instant::now(), FIRST_PAUSE, 0);
    let outcome = loop {
        let outcome = ask(agent, &question.spec.container, &question.probe, &question.container_id, &question.pod_ip).await;
        tries += 1;
        match &outcome {
            Outcome::Unknown(_) if tries < TRIES => {}
            Outcome::Failure(text) if text.contains("connection refused") && since.elapsed() + pause < patience => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            _ => break outcome,
        }
    };
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
