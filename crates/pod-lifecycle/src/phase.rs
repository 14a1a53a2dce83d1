//! The phase of a pod. Upstream: pkg/kubelet/kubelet_pods.go, getPhase.
//!
//! Keeps true: `Succeeded` and `Failed` are never left again, and never reported while a container runs.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus};

use crate::init::{self, Stage};
use crate::observed::{Observed, RunState};
use crate::plan::Plan;
use crate::restart::restarts;
use crate::spec::{Kind, SpecContainer};

pub fn is_terminal_phase(phase: &str) -> bool {
    matches!(phase, "Succeeded" | "Failed")
}

/// The containers have done all they ever will, or the API says that the pod ended.
pub(crate) fn is_over(o: &Observed<'_>, wanted: &[SpecContainer]) -> bool {
    let recorded = o.pod.status.as_ref().and_then(|s| s.phase.as_deref()).is_some_and(is_terminal_phase);
    if recorded {
        return true;
    }
    if init_failed(o, wanted) {
        return true;
    }
    let mut regular = wanted.iter().filter(|c| c.kind == Kind::Regular).peekable();
    regular.peek().is_some() && regular.all(|c| o.runtime.latest(c.name()).is_some_and(|found| found.state == RunState::Exited && !restarts(o.pod, c, found)))
}

fn init_failed(o: &Observed<'_>, wanted: &[SpecContainer]) -> bool {
    let Some(sandbox) = o.runtime.sandboxes.first() else { return false };
    // Only the answer counts here: kills that the walk would plan are planned again by whoever acts.
    matches!(init::stage(o, wanted, &sandbox.id, &mut Plan::default()), Stage::Over)
}

#[derive(Default)]
struct Counts {
    unknown: usize,
    running: usize,
    waiting: usize,
    stopped: usize,
    succeeded: usize,
}

/// The phase that the statuses speak of. `ended` holds when nothing runs and nothing ever will.
pub(crate) fn phase_of(o: &Observed<'_>, wanted: &[SpecContainer], statuses: &[ContainerStatus], ended: bool) -> &'static str {
    let policy = o.pod.spec.as_ref().map_or("Always", crate::spec::restart_policy);
    let state = |one: &SpecContainer| statuses.iter().find(|s| s.name == one.name());
    let has_run = wanted.iter().filter(|c| c.kind == Kind::Regular).any(|c| o.runtime.latest(c.name()).is_some());
    let pending_init = !has_run && wanted.iter().filter(|c| c.kind.is_init()).any(|c| state(c).is_none_or(|s| !init_passed(c, s)));
    if init_failed(o, wanted) {
        return "Failed";
    }
    let mut counts = Counts::default();
    for one in wanted.iter().filter(|c| c.kind == Kind::Regular) {
        count(&mut counts, state(one));
    }
    if ended {
        return if counts.stopped > 0 && counts.stopped == counts.succeeded && counts.waiting + counts.unknown + counts.running == 0 { "Succeeded" } else { "Failed" };
    }
    if pending_init || counts.waiting > 0 {
        return "Pending";
    }
    if counts.running > 0 && counts.unknown == 0 {
        return "Running";
    }
    if counts.running == 0 && counts.stopped > 0 && counts.unknown == 0 {
        let restartable = wanted.iter().filter(|c| c.kind == Kind::Regular).any(|c| o.runtime.latest(c.name()).is_some_and(|found| restarts(o.pod, c, found)));
        return match policy {
            _ if restartable => "Running",
            "Always" => "Running",
            _ if counts.stopped == counts.succeeded => "Succeeded",
            "Never" => "Failed",
            _ => "Running",
        };
    }
    "Pending"
}

fn init_passed(one: &SpecContainer, status: &ContainerStatus) -> bool {
    match one.kind {
        Kind::Sidecar => status.started == Some(true),
        _ => terminated_code(status.state.as_ref()) == Some(0),
    }
}

fn terminated_code(state: Option<&ContainerState>) -> Option<i32> {
    state?.terminated.as_ref().map(|t| t.exit_code)
}

fn count(counts: &mut Counts, status: Option<&ContainerStatus>) {
    let Some(status) = status else {
        counts.unknown += 1;
        return;
    };
    let state = status.state.as_ref();
    if state.is_some_and(|s| s.running.is_some()) {
        counts.running += 1;
    } else if let Some(code) = terminated_code(state).or_else(|| terminated_code(status.last_state.as_ref())) {
        counts.stopped += 1;
        counts.succeeded += usize::from(code == 0);
    } else {
        counts.waiting += 1;
    }
}
