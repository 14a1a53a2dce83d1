//! The status of a deployment: counts, Available, Progressing, ReplicaFailure. Pure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::scale::Bounds;

pub(crate) fn condition<'s>(status: &'s DeploymentStatus, name: &str) -> Option<&'s DeploymentCondition> {
    status.conditions.as_deref()?.iter().find(|c| c.type_.as_deref() == Some(name))
}

pub(crate) fn remove_condition(status: &mut DeploymentStatus, name: &str) {
    if let Some(conditions) = &mut status.conditions {
        conditions.retain(|c| c.type_.as_deref() != Some(name));
    }
}

/// Sets a condition unless it says this already; the time of the last transition stays while the status stays.
pub(crate) fn set_condition(status: &mut DeploymentStatus, name: &str, value: &str, reason: &str, message: String, now: Timestamp) {
    let before = condition(status, name);
    if before.is_some_and(|c| c.status.as_deref() == Some(value) && c.reason.as_deref() == Some(reason)) {
        return;
    }
    let since = before.filter(|c| c.status.as_deref() == Some(value)).and_then(|c| c.last_transition_time.clone());
    remove_condition(status, name);
    status.conditions.get_or_insert_default().push(DeploymentCondition {
        type_: Some(name.into()),
        status: Some(value.into()),
        reason: Some(reason.into()),
        message: Some(message),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(since.unwrap_or(Time(now))),
    });
}

pub(crate) fn deadline(deployment: &Deployment) -> Option<i32> {
    // Upstream: HasProgressDeadline; the largest int32 means none.
    deployment.spec.progress_deadline_seconds.filter(|s| *s != i32::MAX)
}

/// Counts and the Available condition. Upstream: calculateStatus.
pub(crate) fn counted(deployment: &Deployment, sets: &[&ReplicaSet], newest: Option<&ReplicaSet>, now: Timestamp) -> DeploymentStatus {
    let sum = |field: &dyn Fn(&ReplicaSet) -> i32| sets.iter().map(|s| field(s)).fold(0i32, i32::saturating_add);
    let replicas = |s: &ReplicaSet| s.status.as_ref().map_or(0, |s| s.replicas);
    let spec_total = sum(&|s| super::scale::size(s));
    let available = sum(&super::scale::available);
    let before = deployment.status.clone().unwrap_or_default();
    let count = |now: i32, before: Option<i32>| if now == 0 && before.is_none_or(|b| b == 0) { before } else { Some(now) };
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: count(sum(&replicas), before.replicas),
        updated_replicas: count(newest.map_or(0, replicas), before.updated_replicas),
        ready_replicas: count(sum(&|s| s.status.as_ref().and_then(|s| s.ready_replicas).unwrap_or(0)), before.ready_replicas),
        available_replicas: count(available, before.available_replicas),
        unavailable_replicas: count((spec_total - available).max(0), before.unavailable_replicas),
        terminating_replicas: Some(sum(&|s| s.status.as_ref().and_then(|s| s.terminating_replicas).unwrap_or(0))),
        collision_count: before.collision_count,
        conditions: before.conditions,
    };
    if available >= Bounds::of(deployment).min_available_or_all() {
        set_condition(&mut status, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.".into(), now);
    } else {
        set_condition(&mut status, "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.".into(), now);
    }
    status
}

impl Bounds {
    /// Without a rolling strategy nothing may be missing. Upstream: replicas - MaxUnavailable.
    fn min_available_or_all(&self) -> i32 {
        self.replicas - self.unavailable
    }
}

pub(crate) fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let wanted = Bounds::of(deployment).replicas;
    let is = |count: Option<i32>| count.unwrap_or(0) == wanted;
    is(status.updated_replicas) && is(status.replicas) && is(status.available_replicas) && status.observed_generation >= deployment.metadata.generation
}

fn is_progressing(before: &DeploymentStatus, now: &DeploymentStatus) -> bool {
    let n = |count: Option<i32>| count.unwrap_or(0);
    let old = |s: &DeploymentStatus| n(s.replicas) - n(s.updated_replicas);
    n(now.updated_replicas) > n(before.updated_replicas)
        || old(now) < old(before)
        || n(now.ready_replicas) > n(before.ready_replicas)
        || n(now.available_replicas) > n(before.available_replicas)
}

fn timed_out(status: &DeploymentStatus, seconds: i32, now: Timestamp) -> bool {
    let Some(progressing) = condition(status, "Progressing") else { return false };
    match progressing.reason.as_deref() {
        Some("NewReplicaSetAvailable") => false,
        Some("ProgressDeadlineExceeded") => true,
        _ => progressing.last_update_time.as_ref().is_some_and(|t| now.duration_since(t.0).as_secs() > i64::from(seconds)),
    }
}

/// Adds Progressing and ReplicaFailure to freshly counted status; the time to look again when nothing else happens.
/// Upstream: syncRolloutStatus.
pub(crate) fn judged(deployment: &Deployment, status: &mut DeploymentStatus, sets: &[&ReplicaSet], newest: Option<&ReplicaSet>, now: Timestamp) -> Option<Duration> {
    let before = deployment.status.clone().unwrap_or_default();
    let (subject, name) = match newest {
        Some(set) => ("ReplicaSet", set.metadata.name.as_deref().unwrap_or_default()),
        None => ("Deployment", deployment.metadata.name.as_deref().unwrap_or_default()),
    };
    let deadline = deadline(deployment);
    if deadline.is_none() {
        remove_condition(status, "Progressing");
    }
    let done_before = status.replicas.unwrap_or(0) == status.updated_replicas.unwrap_or(0)
        && condition(status, "Progressing").and_then(|c| c.reason.as_deref()) == Some("NewReplicaSetAvailable");
    if let Some(seconds) = deadline.filter(|_| !done_before) {
        if is_complete(deployment, status) {
            set_condition(status, "Progressing", "True", "NewReplicaSetAvailable", format!("{subject} {name:?} has successfully progressed."), now);
        } else if is_progressing(&before, status) {
            // Each step of progress starts the clock anew, but is no transition.
            let since = condition(status, "Progressing").filter(|c| c.status.as_deref() == Some("True")).and_then(|c| c.last_transition_time.clone());
            remove_condition(status, "Progressing");
            set_condition(status, "Progressing", "True", "ReplicaSetUpdated", format!("{subject} {name:?} is progressing."), now);
            if let (Some(since), Some(condition)) = (since, status.conditions.iter_mut().flatten().find(|c| c.type_.as_deref() == Some("Progressing"))) {
                condition.last_transition_time = Some(since);
            }
        } else if timed_out(status, seconds, now) {
            set_condition(status, "Progressing", "False", "ProgressDeadlineExceeded", format!("{subject} {name:?} has timed out progressing."), now);
        }
    }
    match sets.iter().find_map(|s| s.status.as_ref()?.conditions.as_deref()?.iter().find(|c| c.type_.as_deref() == Some("ReplicaFailure"))) {
        Some(failure) => set_condition(status, "ReplicaFailure", failure.status.as_deref().unwrap_or_default(), failure.reason.as_deref().unwrap_or_default(), failure.message.clone().unwrap_or_default(), now),
        None => remove_condition(status, "ReplicaFailure"),
    }
    // Upstream: requeueStuckDeployment.
    let seconds = deadline?;
    let progressing = condition(status, "Progressing")?;
    if is_complete(deployment, status) || matches!(progressing.reason.as_deref(), Some("NewReplicaSetAvailable" | "ProgressDeadlineExceeded")) {
        return None;
    }
    let passed = now.duration_since(progressing.last_update_time.as_ref()?.0).as_secs();
    Some(Duration::from_secs((i64::from(seconds) - passed + 1).max(1).unsigned_abs()))
}
