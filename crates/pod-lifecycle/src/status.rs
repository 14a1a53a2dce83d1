//! The status of a pod and of each of its containers. Upstream: pkg/kubelet/kubelet_pods.go, convertToAPIContainerStatuses.
//!
//! Keeps true: what others wrote into the status (conditions of other owners, claims, nominations) stays; times have whole seconds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, HostIP, PodIP, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::conditions;
use crate::init::is_started;
use crate::observed::{Container, Observed, ProbeResult, RunState, Stop, Waiting};
use crate::phase::{is_terminal_phase, phase_of};
use crate::qos::qos_class;
use crate::restart::restarts;
use crate::spec::{Kind, SpecContainer, is_host_network};
use crate::stop::fails;

pub(crate) fn pod_status(o: &Observed<'_>, wanted: &[SpecContainer], held: &BTreeMap<String, Waiting>, ending: Option<&Stop>, ended: bool) -> PodStatus {
    let old = o.pod.status.clone().unwrap_or_default();
    let statuses: Vec<ContainerStatus> = wanted.iter().map(|c| container_status(o, wanted, c, held, ended)).collect();
    let recorded = old.phase.as_deref().filter(|p| is_terminal_phase(p));
    let mut phase = match recorded {
        Some(phase) => phase.to_owned(),
        None if fails(ending) => "Failed".to_owned(),
        None => phase_of(o, wanted, &statuses, ended).to_owned(),
    };
    // Nobody may think a pod over while something of it runs.
    if is_terminal_phase(&phase) && recorded.is_none() && (o.runtime.any_running() || !o.busy.starting.is_empty()) {
        phase = old.phase.clone().filter(|p| !p.is_empty()).unwrap_or_else(|| "Pending".into());
    }
    let mut status = PodStatus { phase: Some(phase.clone()), ..old.clone() };
    if fails(ending) {
        status.reason = ending.map(|s| s.reason.clone());
        status.message = ending.map(|s| s.message.clone());
    }
    status.start_time = old.start_time.or_else(|| Some(Time(whole_seconds(o.now))));
    status.qos_class = old.qos_class.or_else(|| Some(qos_class(o.pod).as_str().into()));
    status.host_ip = o.host_ips.first().cloned();
    status.host_ips = Some(o.host_ips.iter().map(|ip| HostIP { ip: ip.clone() }).collect());
    fill_pod_ips(o, &mut status);
    status.observed_generation = o.pod.metadata.generation;
    status.conditions = Some(conditions::conditions(o, wanted, &statuses, &phase));
    fill_statuses(&mut status, wanted, statuses);
    status
}

fn fill_statuses(status: &mut PodStatus, wanted: &[SpecContainer], statuses: Vec<ContainerStatus>) {
    let (mut init, mut regular, mut ephemeral) = (Vec::new(), Vec::new(), Vec::new());
    for (one, found) in wanted.iter().zip(statuses) {
        match one.kind {
            Kind::Init | Kind::Sidecar => init.push(found),
            Kind::Regular => regular.push(found),
            Kind::Ephemeral => ephemeral.push(found),
        }
    }
    let some = |list: Vec<ContainerStatus>| (!list.is_empty()).then_some(list);
    (status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses) = (some(init), some(regular), some(ephemeral));
}

fn fill_pod_ips(o: &Observed<'_>, status: &mut PodStatus) {
    let ips = if is_host_network(o.pod) {
        o.host_ips.to_vec()
    } else {
        o.runtime.sandboxes.first().map(|s| s.ips.clone()).unwrap_or_default()
    };
    // The address of a sandbox that is gone stays known, as upstream keeps it for an ended pod.
    if !ips.is_empty() {
        status.pod_ip = ips.first().cloned();
        status.pod_ips = Some(ips.into_iter().map(|ip| PodIP { ip }).collect());
    }
}

fn container_status(o: &Observed<'_>, wanted: &[SpecContainer], one: &SpecContainer, held: &BTreeMap<String, Waiting>, ended: bool) -> ContainerStatus {
    let name = one.name();
    let mut status = match o.runtime.latest(name) {
        Some(found) => from_runtime(o, one, found, unstarted_reason(wanted, one)),
        None => from_nothing(o, wanted, one),
    };
    let found = o.runtime.latest(name);
    let due = found.is_none_or(|f| restarts(o.pod, one, f));
    if let Some(waiting) = held.get(name).filter(|_| due && !ended) {
        let state = status.state.take();
        if state.as_ref().is_some_and(|s| s.terminated.is_some()) {
            status.last_state = state;
        }
        status.state = Some(waiting_state(&waiting.reason, &waiting.message));
    }
    let running = found.filter(|f| f.state == RunState::Running && status.state.as_ref().is_some_and(|s| s.running.is_some()));
    let started = running.is_some_and(|f| is_started(o, one, &f.id));
    if one.kind != Kind::Ephemeral {
        status.started = Some(started);
    }
    status.ready = match (one.kind, running) {
        (Kind::Ephemeral, _) => false,
        (Kind::Init, _) => status.state.as_ref().and_then(|s| s.terminated.as_ref()).is_some_and(|t| t.exit_code == 0),
        (_, None) => false,
        (_, Some(f)) => match o.probes.readiness.get(&f.id) {
            Some(ProbeResult::Success) => started,
            Some(ProbeResult::Failure) => false,
            None => started && one.container.readiness_probe.is_none(),
        },
    };
    // Present even when empty, so that the end of a start changes nothing that the start has shown.
    let runs_with = found.and_then(|f| f.applied.clone()).or_else(|| Some(one.container.resources.clone().unwrap_or_default()));
    status.resources = runs_with.filter(|_| status.state.as_ref().is_some_and(|s| s.running.is_some()));
    status.allocated_resources = status.resources.as_ref().and_then(|r| r.requests.clone());
    status
}

fn from_runtime(o: &Observed<'_>, one: &SpecContainer, found: &Container, unstarted: &str) -> ContainerStatus {
    let state = match found.state {
        RunState::Created => waiting_state(unstarted, ""),
        RunState::Running => ContainerState { running: Some(ContainerStateRunning { started_at: time(found.started_at) }), ..ContainerState::default() },
        RunState::Exited => ContainerState { terminated: Some(terminated(found)), ..ContainerState::default() },
        RunState::Unknown => {
            let unknown = ContainerStateTerminated {
                exit_code: 137,
                reason: Some("ContainerStatusUnknown".into()),
                message: Some("The container could not be located when the pod was terminated".into()),
                container_id: Some(container_id(&found.id)),
                ..ContainerStateTerminated::default()
            };
            ContainerState { terminated: Some(unknown), ..ContainerState::default() }
        }
    };
    let last = o.runtime.previous(one.name()).map(|p| ContainerState { terminated: Some(terminated(p)), ..ContainerState::default() });
    let recorded = || old_status(o, one.name()).filter(|s| s.container_id.as_deref() == Some(&container_id(&found.id))).and_then(|s| s.last_state.clone());
    ContainerStatus {
        name: one.name().into(),
        container_id: Some(container_id(&found.id)),
        image: if found.image.is_empty() { one.container.image.clone().unwrap_or_default() } else { found.image.clone() },
        image_id: found.image_id.clone(),
        restart_count: i32::try_from(found.restart_count).unwrap_or(i32::MAX),
        state: Some(state),
        last_state: Some(last.or_else(recorded).unwrap_or_default()),
        ..ContainerStatus::default()
    }
}

/// The runtime has no such container: not yet, or no more.
fn from_nothing(o: &Observed<'_>, wanted: &[SpecContainer], one: &SpecContainer) -> ContainerStatus {
    let old = old_status(o, one.name());
    if let Some(old) = old.filter(|s| s.state.as_ref().is_some_and(|s| s.terminated.is_some())) {
        return old.clone();
    }
    let reason = unstarted_reason(wanted, one);
    let mut status = ContainerStatus {
        name: one.name().into(),
        image: one.container.image.clone().unwrap_or_default(),
        state: Some(waiting_state(reason, "")),
        last_state: Some(ContainerState::default()),
        restart_count: old.map_or(0, |s| s.restart_count),
        ..ContainerStatus::default()
    };
    let Some(running) = old.and_then(|s| s.state.as_ref()).and_then(|s| s.running.as_ref()) else { return status };
    // It ran once and the runtime lost it.
    let lost = ContainerStateTerminated {
        exit_code: 137,
        reason: Some("ContainerStatusUnknown".into()),
        message: Some("The container could not be located when the pod was deleted.  The container used to be Running".into()),
        started_at: running.started_at.clone(),
        ..ContainerStateTerminated::default()
    };
    status.last_state = Some(ContainerState { terminated: Some(lost), ..ContainerState::default() });
    status
}

/// Upstream: in a pod with init containers everything that does not run yet waits for the pod to initialize.
fn unstarted_reason(wanted: &[SpecContainer], one: &SpecContainer) -> &'static str {
    let has_init = wanted.iter().any(|c| c.kind.is_init());
    if has_init && one.kind != Kind::Ephemeral { "PodInitializing" } else { "ContainerCreating" }
}

fn old_status<'a>(o: &Observed<'a>, name: &str) -> Option<&'a ContainerStatus> {
    let status = o.pod.status.as_ref()?;
    [&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses].into_iter().flatten().flatten().find(|s| s.name == name)
}

fn terminated(found: &Container) -> ContainerStateTerminated {
    let reason = match (found.reason.as_str(), found.exit_code) {
        ("", 0) => "Completed",
        ("", _) => "Error",
        (reason, _) => reason,
    };
    ContainerStateTerminated {
        container_id: Some(container_id(&found.id)),
        exit_code: found.exit_code,
        finished_at: time(found.finished_at),
        started_at: time(found.started_at),
        message: Some(found.message.clone()).filter(|m| !m.is_empty()),
        reason: Some(reason.into()),
        signal: None,
    }
}

fn waiting_state(reason: &str, message: &str) -> ContainerState {
    let waiting = ContainerStateWaiting { reason: Some(reason.into()), message: Some(message.to_owned()).filter(|m| !m.is_empty()) };
    ContainerState { waiting: Some(waiting), ..ContainerState::default() }
}

fn container_id(id: &str) -> String {
    format!("containerd://{id}")
}

fn time(nanoseconds: i64) -> Option<Time> {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).ok().map(|t| Time(whole_seconds(t)))
}

pub(crate) fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
