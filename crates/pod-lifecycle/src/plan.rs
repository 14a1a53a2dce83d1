//! The plan itself: which step comes next for the sandbox and every container, and the status that goes with it.
//!
//! Keeps true: a container is started only in a ready sandbox, after its volumes, one at a time in the spec's order, and never while
//! its backoff runs. Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go, computePodActions.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus};

use crate::backoff::{Backoff, BackoffTimings};
use crate::container::container_hash;
use crate::init::{self, Stage};
use crate::observed::{Container, Observed, ProbeResult, RunState, Stop, Waiting};
use crate::resize::{self, Step};
use crate::restart::restarts;
use crate::spec::{Kind, SpecContainer, containers, restart_policy};
use crate::{phase, status, stop};

/// One step for the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Stops what is left of older sandboxes, then makes a new one. `changed` tells of a pod that had one.
    CreateSandbox { attempt: u32, stop: Vec<String>, changed: bool },
    /// Tears a sandbox down: its network and whatever still runs in it.
    StopSandbox { id: String },
    /// Pulls the image if need be, creates and starts the container, runs its postStart hook.
    Start { name: String, kind: Kind, restart_count: u32 },
    /// Runs the preStop hook, waits until the containers `after` ended, and stops the container, all within the grace period.
    Kill { id: String, name: String, grace_seconds: i64, message: String, after: Vec<String> },
    /// Gives a running container the resources of its spec.
    Resize { id: String, name: String },
}

/// What to do, what to say, and when to look again if nothing happens before.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub actions: Vec<Action>,
    pub status: PodStatus,
    pub wake: Option<Timestamp>,
    /// The pod will never run anything again and nothing of it runs: its folders can go.
    pub ended: bool,
}

impl Plan {
    pub(crate) fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |w| w.min(at)));
    }
}

/// Decides the next steps for one pod.
pub fn plan(o: &Observed<'_>) -> Plan {
    let mut plan = Plan::default();
    let wanted = containers(o.pod);
    let expired = deadline_stop(o, &mut plan);
    let ending = o.stop.or(expired.as_ref());
    let mut held = o.memory.waiting.clone();
    if let Some(stop) = ending {
        stop::plan_stop(o, &wanted, stop, &mut plan);
    } else if phase::is_over(o, &wanted) {
        stop::plan_finish(o, &wanted, &mut plan);
    } else if o.prepared {
        plan_running(o, &wanted, &mut plan, &mut held);
    }
    plan.status = status::pod_status(o, &wanted, &held, ending, plan.ended);
    plan
}

/// Upstream: pkg/kubelet/active_deadline.go.
fn deadline_stop(o: &Observed<'_>, plan: &mut Plan) -> Option<Stop> {
    let seconds = o.pod.spec.as_ref()?.active_deadline_seconds?;
    let start = o.pod.status.as_ref()?.start_time.as_ref()?.0;
    let deadline = start.saturating_add(SignedDuration::from_secs(seconds)).ok()?;
    if o.now >= deadline {
        return Some(Stop::failed("DeadlineExceeded", "Pod was active on the node longer than the specified deadline"));
    }
    plan.wake_at(deadline);
    None
}

fn plan_running(o: &Observed<'_>, wanted: &[SpecContainer], plan: &mut Plan, held: &mut BTreeMap<String, Waiting>) {
    if o.busy.sandbox {
        return;
    }
    let Some(sandbox) = o.runtime.current() else {
        return plan_sandbox(o, wanted, plan);
    };
    for extra in o.runtime.sandboxes.iter().skip(1).filter(|s| s.ready) {
        plan.actions.push(Action::StopSandbox { id: extra.id.clone() });
    }
    let mut next = Vec::new();
    for one in wanted.iter().filter(|c| c.kind == Kind::Ephemeral) {
        if o.runtime.latest(one.name()).is_none() {
            next.push(one);
        }
    }
    match init::stage(o, wanted, &sandbox.id, plan) {
        Stage::Over => return,
        Stage::At(mut starts) => next.append(&mut starts),
        Stage::Done(mut sidecars) => {
            next.append(&mut sidecars);
            next.extend(wanted.iter().filter(|c| c.kind == Kind::Regular).filter(|c| regular_starts(o, c, plan)));
        }
    }
    for one in next {
        plan_start(o, one, plan, held);
    }
}

fn plan_sandbox(o: &Observed<'_>, wanted: &[SpecContainer], plan: &mut Plan) {
    if let Some(not_before) = o.memory.sandbox_not_before.filter(|t| *t > o.now) {
        return plan.wake_at(not_before);
    }
    let attempt = o.runtime.sandboxes.first().map_or(0, |s| s.attempt + 1);
    let never = o.pod.spec.as_ref().is_some_and(|s| restart_policy(s) == "Never");
    // Upstream: a pod that is never restarted does not get a second sandbox once its containers existed.
    if never && attempt != 0 && !o.runtime.containers.is_empty() {
        return;
    }
    let has_work = wanted.iter().filter(|c| c.kind == Kind::Regular).any(|c| o.runtime.latest(c.name()).is_none_or(|found| restarts(o.pod, c, found)));
    if !has_work {
        return;
    }
    let stop = o.runtime.sandboxes.iter().map(|s| s.id.clone()).collect();
    plan.actions.push(Action::CreateSandbox { attempt, stop, changed: attempt > 0 });
}

/// Whether a regular container is to be started now; one that runs but should not is killed on the way.
fn regular_starts(o: &Observed<'_>, one: &SpecContainer, plan: &mut Plan) -> bool {
    match o.runtime.latest(one.name()) {
        None => true,
        Some(found) if found.state == RunState::Running => {
            keep(o, one, found, plan);
            false
        }
        Some(found) => restarts(o.pod, one, found),
    }
}

/// A running container stays, unless something speaks against it; its resources follow the spec.
pub(crate) fn keep(o: &Observed<'_>, one: &SpecContainer, found: &Container, plan: &mut Plan) {
    if let Some(message) = unwanted(o, one, found) {
        return plan_kill(o, found, &message, plan);
    }
    match resize::step(one, found) {
        Step::None => {}
        Step::Resize if o.busy.resizing.contains(&found.id) => {}
        Step::Resize => plan.actions.push(Action::Resize { id: found.id.clone(), name: found.name.clone() }),
        Step::Restart => plan_kill(o, found, &format!("Container {} resize requires restart", found.name), plan),
    }
}

/// Why a running container has to go, in upstream's words.
pub(crate) fn unwanted(o: &Observed<'_>, one: &SpecContainer, found: &Container) -> Option<String> {
    let name = one.name();
    let policy_restarts = one.kind == Kind::Sidecar || o.pod.spec.as_ref().is_some_and(|s| restart_policy(s) != "Never") || one.container.restart_policy.as_deref().is_some_and(|p| p != "Never");
    let (message, again) = if !found.hash.is_empty() && found.hash != container_hash(&one.container) {
        (format!("Container {name} definition changed"), true)
    } else if o.probes.liveness.get(&found.id) == Some(&ProbeResult::Failure) {
        (format!("Container {name} failed liveness probe"), policy_restarts)
    } else if o.probes.startup.get(&found.id) == Some(&ProbeResult::Failure) {
        (format!("Container {name} failed startup probe"), policy_restarts)
    } else {
        return None;
    };
    Some(if again { format!("{message}, will be restarted") } else { message })
}

pub(crate) fn plan_kill(o: &Observed<'_>, found: &Container, message: &str, plan: &mut Plan) {
    if o.busy.killing.contains_key(&found.id) {
        return;
    }
    let grace_seconds = stop::container_grace(o, found);
    plan.actions.push(Action::Kill { id: found.id.clone(), name: found.name.clone(), grace_seconds, message: message.into(), after: Vec::new() });
}

/// Starts it, or says why not yet.
fn plan_start(o: &Observed<'_>, one: &SpecContainer, plan: &mut Plan, held: &mut BTreeMap<String, Waiting>) {
    let name = one.name();
    let found = o.runtime.latest(name);
    if o.busy.starting.contains(name) || found.is_some_and(|f| o.busy.killing.contains_key(&f.id)) {
        return;
    }
    if let Some(found) = found.filter(|f| f.state == RunState::Exited) {
        let ended = Timestamp::from_nanosecond(i128::from(found.finished_at)).unwrap_or(o.now);
        let series = o.memory.crashes.get(name);
        if let Some(until) = Backoff::until(series, ended, o.now, BackoffTimings::default()) {
            plan.wake_at(until);
            let delay = series.map_or(SignedDuration::ZERO, |s| s.delay);
            let message = format!("back-off {} restarting failed container={name} pod={}", gotime::shown(i64::try_from(delay.as_nanos()).unwrap_or(i64::MAX)), format_pod(o.pod));
            held.insert(name.into(), Waiting { reason: "CrashLoopBackOff".into(), message, not_before: Some(until) });
            return;
        }
    }
    if let Some(not_before) = o.memory.waiting.get(name).and_then(|w| w.not_before).filter(|t| *t > o.now) {
        return plan.wake_at(not_before);
    }
    let one_at_a_time = one.kind != Kind::Ephemeral;
    let starting = !o.busy.starting.is_empty() || plan.actions.iter().any(|a| matches!(a, Action::Start { kind, .. } if *kind != Kind::Ephemeral));
    if one_at_a_time && starting {
        return;
    }
    plan.actions.push(Action::Start { name: name.into(), kind: one.kind, restart_count: restart_count(o, name, found) });
}

fn restart_count(o: &Observed<'_>, name: &str, found: Option<&Container>) -> u32 {
    if let Some(found) = found {
        return found.restart_count + 1;
    }
    // A container that the runtime lost still counts.
    let status = o.pod.status.as_ref();
    let known = status.into_iter().flat_map(|s| [&s.container_statuses, &s.init_container_statuses]).flatten().flatten().find(|c| c.name == name);
    known.filter(|c| c.container_id.is_some()).map_or(0, |c| u32::try_from(c.restart_count).unwrap_or(0) + 1)
}

/// `name_namespace(uid)`, upstream's way to name a pod in messages.
pub(crate) fn format_pod(pod: &Pod) -> String {
    let meta = &pod.metadata;
    let part = |text: &Option<String>| text.clone().unwrap_or_default();
    format!("{}_{}({})", part(&meta.name), part(&meta.namespace), part(&meta.uid))
}
