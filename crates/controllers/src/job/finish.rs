//! When and how a job ends. Pure. Upstream: syncJob, success_policy.go.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{JobSpec, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use std::sync::Arc;

use super::indexes::parse;
use super::status::{condition, is_indexed};

/// How a job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ending {
    pub success: bool,
    pub reason: String,
    pub message: String,
}

impl Ending {
    fn failed(reason: &str, message: impl Into<String>) -> Self {
        Self { success: false, reason: reason.into(), message: message.into() }
    }
}

/// The numbers that decide.
pub(crate) struct Tally<'a> {
    pub spec: &'a JobSpec,
    pub status: &'a JobStatus,
    pub active: &'a [Arc<Pod>],
    pub succeeded: i32,
    pub failed: i32,
    /// Failures that were not known at the last look.
    pub new_failures: i32,
    pub completed: &'a BTreeSet<i32>,
    pub failed_indexes: &'a BTreeSet<i32>,
    /// Words of a FailJob rule that a pod has met.
    pub policy_failure: Option<String>,
}

pub(crate) fn ending(tally: &Tally<'_>, now: Timestamp) -> Option<Ending> {
    let (spec, status) = (tally.spec, tally.status);
    if let Some(target) = condition(status, "FailureTarget") {
        return Some(Ending::failed(target.reason.as_deref().unwrap_or_default(), target.message.clone().unwrap_or_default()));
    }
    if let Some(met) = condition(status, "SuccessCriteriaMet") {
        return Some(Ending { success: true, reason: met.reason.clone().unwrap_or_default(), message: met.message.clone().unwrap_or_default() });
    }
    if let Some(words) = &tally.policy_failure {
        return Some(Ending::failed("PodFailurePolicy", words.clone()));
    }
    let limit = spec.backoff_limit.unwrap_or(6);
    if (tally.new_failures > 0 && tally.failed > limit) || restarts_exceed(spec, tally.active, limit) {
        return Some(Ending::failed("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
    }
    if past_deadline(spec, status, now).is_some_and(|left| left.is_zero()) {
        return Some(Ending::failed("DeadlineExceeded", "Job was active longer than specified deadline"));
    }
    if let Some(index) = success_rule(spec, tally.completed) {
        return Some(Ending { success: true, reason: "SuccessPolicy".into(), message: format!("Matched rules at index {index}") });
    }
    if is_indexed(spec) && spec.backoff_limit_per_index.is_some() {
        let failed = i32::try_from(tally.failed_indexes.len()).unwrap_or(i32::MAX);
        if spec.max_failed_indexes.is_some_and(|max| failed > max) {
            return Some(Ending::failed("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes"));
        }
        if failed > 0 && failed.saturating_add(tally.succeeded) >= spec.completions.unwrap_or(0) {
            return Some(Ending::failed("FailedIndexes", "Job has failed indexes"));
        }
    }
    let done = match spec.completions {
        // A work queue is done when one worker says so and the others have ended.
        None => tally.succeeded > 0 && tally.active.is_empty(),
        Some(completions) => tally.succeeded >= completions,
    };
    done.then(|| Ending { success: true, reason: "CompletionsReached".into(), message: "Reached expected number of succeeded pods".into() })
}

/// With restartPolicy OnFailure the restarts of running pods count as failures.
fn restarts_exceed(spec: &JobSpec, active: &[Arc<Pod>], limit: i32) -> bool {
    if spec.template.spec.as_ref().and_then(|s| s.restart_policy.as_deref()) != Some("OnFailure") {
        return false;
    }
    let statuses = |p: &Pod| p.status.iter().flat_map(|s| s.init_container_statuses.iter().flatten().chain(s.container_statuses.iter().flatten())).map(|c| c.restart_count).sum::<i32>();
    let total: i32 = active.iter().map(|p| statuses(p)).sum();
    if limit == 0 { total > 0 } else { total >= limit }
}

/// What is left of activeDeadlineSeconds.
pub(crate) fn past_deadline(spec: &JobSpec, status: &JobStatus, now: Timestamp) -> Option<Duration> {
    let seconds = spec.active_deadline_seconds?;
    let started = status.start_time.as_ref()?;
    if spec.suspend == Some(true) {
        return None;
    }
    let left = i128::from(seconds) * 1000 - now.duration_since(started.0).as_millis();
    Some(Duration::from_millis(u64::try_from(left.max(0)).unwrap_or(u64::MAX)))
}

fn success_rule(spec: &JobSpec, completed: &BTreeSet<i32>) -> Option<usize> {
    let rules = &spec.success_policy.as_ref()?.rules;
    rules.iter().position(|rule| {
        let wanted = rule.succeeded_indexes.as_ref().map(|text| parse(text, spec.completions.unwrap_or(0)));
        let hits = wanted.as_ref().map_or(completed.len(), |w| w.intersection(completed).count());
        match (rule.succeeded_count, &wanted) {
            (Some(count), _) => hits >= usize::try_from(count).unwrap_or(usize::MAX),
            (None, Some(wanted)) => hits == wanted.len(),
            (None, None) => false,
        }
    })
}
