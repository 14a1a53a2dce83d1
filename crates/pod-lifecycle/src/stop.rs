//! How a pod ends: its containers in order, within one grace period, then its sandboxes.
//!
//! Keeps true: sidecars outlive what they serve; a shorter grace given later shortens what runs already.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use crate::observed::{Cause, Container, Observed, ProbeResult, RunState, Stop};
use crate::plan::{Action, Plan};
use crate::spec::{Kind, SpecContainer};

/// Upstream never gives a container less, so that it is not killed without notice.
const MINIMUM_GRACE: i64 = 2;

/// The pod's own grace period: what its deletion says, else its spec.
pub fn grace_seconds(pod: &Pod) -> i64 {
    let of_spec = pod.spec.as_ref().and_then(|s| s.termination_grace_period_seconds).unwrap_or(30);
    pod.metadata.deletion_grace_period_seconds.filter(|_| pod.metadata.deletion_timestamp.is_some()).unwrap_or(of_spec).max(0)
}

/// The grace of a container that is killed while its pod lives: the failed probe's own, else the pod's.
pub(crate) fn container_grace(o: &Observed<'_>, found: &Container) -> i64 {
    let spec = crate::spec::find_container(o.pod, &found.name);
    let probe = spec.as_ref().and_then(|s| {
        if o.probes.liveness.get(&found.id) == Some(&ProbeResult::Failure) {
            s.container.liveness_probe.as_ref()
        } else if o.probes.startup.get(&found.id) == Some(&ProbeResult::Failure) {
            s.container.startup_probe.as_ref()
        } else {
            None
        }
    });
    probe.and_then(|p| p.termination_grace_period_seconds).unwrap_or_else(|| grace_seconds(o.pod)).max(MINIMUM_GRACE)
}

/// Ends a pod that was deleted, evicted or ran too long.
pub(crate) fn plan_stop(o: &Observed<'_>, wanted: &[SpecContainer], stop: &Stop, plan: &mut Plan) {
    let grace = stop.grace_seconds.unwrap_or_else(|| grace_seconds(o.pod)).max(0);
    plan_end(o, wanted, grace, plan);
}

/// Ends a pod whose containers have done their work: sidecars and the sandbox remain.
pub(crate) fn plan_finish(o: &Observed<'_>, wanted: &[SpecContainer], plan: &mut Plan) {
    plan_end(o, wanted, grace_seconds(o.pod), plan);
}

fn plan_end(o: &Observed<'_>, wanted: &[SpecContainer], grace: i64, plan: &mut Plan) {
    let began = o.memory.stop_began.unwrap_or(o.now);
    let grace_ends = began.saturating_add(SignedDuration::from_secs(grace)).unwrap_or(Timestamp::MAX);
    let left = grace_ends.duration_since(o.now).as_secs().max(MINIMUM_GRACE.min(grace.max(1)));
    let alive: Vec<&Container> = o.runtime.containers.iter().filter(|c| c.state == RunState::Running || c.state == RunState::Unknown).collect();
    for found in &alive {
        // A kill that ends sooner is left alone; a later one is started again with less grace.
        let ends = o.now.saturating_add(SignedDuration::from_secs(left)).unwrap_or(Timestamp::MAX);
        if o.busy.killing.get(&found.id).is_some_and(|t| t.duration_since(ends) <= SignedDuration::from_secs(1)) {
            continue;
        }
        let after = waits_for(wanted, found, &alive);
        plan.actions.push(Action::Kill { id: found.id.clone(), name: found.name.clone(), grace_seconds: left, message: String::new(), after });
    }
    if !alive.is_empty() || !o.busy.starting.is_empty() || o.busy.sandbox {
        return;
    }
    let standing: Vec<_> = o.runtime.sandboxes.iter().filter(|s| s.ready).collect();
    plan.actions.extend(standing.iter().map(|s| Action::StopSandbox { id: s.id.clone() }));
    plan.ended = standing.is_empty() && o.busy.killing.is_empty();
}

/// A sidecar waits for all that came after it: regular containers and later sidecars.
fn waits_for(wanted: &[SpecContainer], found: &Container, alive: &[&Container]) -> Vec<String> {
    let Some(at) = wanted.iter().position(|c| c.name() == found.name && c.kind == Kind::Sidecar) else { return Vec::new() };
    let later = |name: &str| wanted.iter().skip(at + 1).any(|c| c.name() == name && matches!(c.kind, Kind::Sidecar | Kind::Regular));
    alive.iter().filter(|c| later(&c.name)).map(|c| c.id.clone()).collect()
}

/// Whether the stop makes the pod fail rather than vanish.
pub(crate) fn fails(stop: Option<&Stop>) -> bool {
    stop.is_some_and(|s| s.cause == Cause::Failed)
}
