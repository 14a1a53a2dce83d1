//! Decisions about pods as data: see `cases/*.case`.
//!
//! Given is YAML: `pod` (spec and, if told, status), `now` in seconds, what the runtime holds, probe results, memory. Expected is the
//! plan as text: each action, the phase, each container in one line, the conditions that are not `True`, the wake.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, ResourceRequirements};
use pod_lifecycle::{Action, Backoff, Busy, Cause, Container, Memory, Observed, Plan, ProbeResult, Probes, RunState, Runtime, Sandbox, Stop, Waiting, container_hash, find_container, plan};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    pod: Pod,
    #[serde(default = "hundred")]
    now: i64,
    /// Attempt numbers, newest first; negative is not ready (-1 is attempt 0).
    #[serde(default)]
    sandboxes: Vec<i64>,
    #[serde(default)]
    containers: Vec<GivenContainer>,
    #[serde(default)]
    startup: BTreeMap<String, bool>,
    #[serde(default)]
    liveness: BTreeMap<String, bool>,
    #[serde(default)]
    readiness: BTreeMap<String, bool>,
    /// Crash series: seconds of the delay, by container.
    #[serde(default)]
    crashes: BTreeMap<String, i64>,
    #[serde(default)]
    waiting: BTreeMap<String, String>,
    #[serde(default)]
    starting: Vec<String>,
    #[serde(default)]
    killing: Vec<String>,
    #[serde(default = "yes")]
    prepared: bool,
    /// Deleted with so many seconds of grace.
    deleted: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenContainer {
    name: String,
    /// `running`, `created`, `unknown`, or an exit code.
    state: serde_json::Value,
    #[serde(default)]
    restarts: u32,
    #[serde(default)]
    at: i64,
    #[serde(default)]
    image_changed: bool,
    #[serde(default)]
    old_sandbox: bool,
    applied: Option<ResourceRequirements>,
}

fn hundred() -> i64 {
    100
}

fn yes() -> bool {
    true
}

fn second(at: i64) -> Timestamp {
    Timestamp::from_second(at).unwrap()
}

fn container(pod: &Pod, given: &GivenContainer, sandbox: &str) -> Container {
    let (state, exit_code) = match &given.state {
        serde_json::Value::Number(code) => (RunState::Exited, i32::try_from(code.as_i64().unwrap()).unwrap()),
        serde_json::Value::String(word) if word == "running" => (RunState::Running, 0),
        serde_json::Value::String(word) if word == "created" => (RunState::Created, 0),
        _ => (RunState::Unknown, 0),
    };
    let hash = find_container(pod, &given.name).map(|c| container_hash(&c.container)).unwrap_or_default();
    let at = given.at * 1_000_000_000 + i64::from(given.restarts);
    Container {
        id: format!("{}-{}", given.name, given.restarts),
        name: given.name.clone(),
        sandbox: if given.old_sandbox { "old".into() } else { sandbox.to_owned() },
        restart_count: given.restarts,
        state,
        created_at: at,
        started_at: at,
        finished_at: if state == RunState::Exited { at } else { 0 },
        exit_code,
        hash: if given.image_changed { "other".into() } else { hash },
        applied: given.applied.clone(),
        ..Container::default()
    }
}

fn results(pod: &Runtime, given: &BTreeMap<String, bool>) -> BTreeMap<String, ProbeResult> {
    let id = |name: &String| pod.latest(name).map_or(name.clone(), |c| c.id.clone());
    given.iter().map(|(name, ok)| (id(name), if *ok { ProbeResult::Success } else { ProbeResult::Failure })).collect()
}

fn check(text: &str) -> String {
    let given: Given = match serde_saphyr::from_str(text) {
        Ok(given) => given,
        Err(error) => return format!("case is not readable: {error}"),
    };
    let sandboxes: Vec<Sandbox> = given
        .sandboxes
        .iter()
        .map(|a| {
            let attempt = u32::try_from(if *a < 0 { -a - 1 } else { *a }).unwrap();
            Sandbox { id: format!("sandbox-{attempt}"), attempt, ready: *a >= 0, created_at: i64::from(attempt), ips: vec!["10.0.0.9".into()] }
        })
        .collect();
    let current = sandboxes.first().map(|s| s.id.clone()).unwrap_or_default();
    let containers = given.containers.iter().map(|c| container(&given.pod, c, &current)).collect();
    let runtime = Runtime { sandboxes, containers };
    let probes = Probes { startup: results(&runtime, &given.startup), liveness: results(&runtime, &given.liveness), readiness: results(&runtime, &given.readiness) };
    let mut memory = Memory { stop_began: given.deleted.map(|_| second(given.now)), ..Memory::default() };
    for (name, delay) in &given.crashes {
        memory.crashes.insert(name.clone(), Backoff { delay: SignedDuration::from_secs(*delay), updated: second(given.now - 1) });
    }
    for (name, reason) in &given.waiting {
        memory.waiting.insert(name.clone(), Waiting { reason: reason.clone(), message: String::new(), not_before: Some(second(given.now + 10)) });
    }
    let mut busy = Busy { starting: given.starting.iter().cloned().collect(), ..Busy::default() };
    for name in &given.killing {
        let id = runtime.latest(name).map(|c| c.id.clone()).unwrap_or_default();
        busy.killing.insert(id, second(given.now + 30));
    }
    let stop = given.deleted.map(|grace| Stop { cause: Cause::Deleted, ..Stop::deleted(Some(grace)) });
    let host_ips = ["192.0.2.1".to_owned()];
    let observed = Observed { pod: &given.pod, now: second(given.now), host_ips: &host_ips, runtime: &runtime, probes: &probes, memory: &memory, busy: &busy, prepared: given.prepared, stop: stop.as_ref() };
    show(&plan(&observed), given.now)
}

fn show(plan: &Plan, now: i64) -> String {
    let mut out = String::new();
    for action in &plan.actions {
        let _ = match action {
            Action::CreateSandbox { attempt, stop, .. } => writeln!(out, "create sandbox {attempt} after stopping {stop:?}"),
            Action::StopSandbox { id } => writeln!(out, "stop {id}"),
            Action::Start { name, kind, restart_count } => writeln!(out, "start {name} ({kind:?}, restarts {restart_count})"),
            Action::Kill { id, grace_seconds, message, after, .. } => writeln!(out, "kill {id} in {grace_seconds}s after {after:?}: {message}"),
            Action::Resize { id, .. } => writeln!(out, "resize {id}"),
        };
    }
    let status = &plan.status;
    let _ = writeln!(out, "phase {} {}", status.phase.as_deref().unwrap_or_default(), status.reason.as_deref().unwrap_or_default());
    for one in [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses].into_iter().flatten().flatten() {
        let _ = writeln!(out, "{}", line(one));
    }
    for condition in status.conditions.iter().flatten().filter(|c| c.status != "True") {
        let _ = writeln!(out, "not {}: {} {}", condition.type_, condition.reason.as_deref().unwrap_or_default(), condition.message.as_deref().unwrap_or_default());
    }
    if let Some(wake) = plan.wake {
        let _ = writeln!(out, "wake after {}s", wake.as_second() - now);
    }
    if plan.ended {
        out.push_str("ended\n");
    }
    out
}

fn line(status: &ContainerStatus) -> String {
    let state = |state: &Option<k8s_openapi::api::core::v1::ContainerState>| {
        let Some(state) = state else { return "-".to_owned() };
        if let Some(waiting) = &state.waiting {
            format!("waiting {} {}", waiting.reason.as_deref().unwrap_or_default(), waiting.message.as_deref().unwrap_or_default())
        } else if let Some(ended) = &state.terminated {
            format!("terminated {} {}", ended.exit_code, ended.reason.as_deref().unwrap_or_default())
        } else if state.running.is_some() {
            "running".into()
        } else {
            "-".into()
        }
    };
    let text = format!("{}: {} | last {} | restarts {}", status.name, state(&status.state).trim(), state(&status.last_state).trim(), status.restart_count);
    format!("{text}{}{}", if status.ready { ", ready" } else { "" }, if status.started == Some(true) { ", started" } else { "" })
}

#[test]
fn plans() {
    casefile::run("cases", check);
}
