//! Conditions of jobs and what they say. Pure.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

pub(crate) fn condition<'s>(status: &'s JobStatus, name: &str) -> Option<&'s JobCondition> {
    status.conditions.as_deref()?.iter().find(|c| c.type_ == name && c.status == "True")
}

/// The condition that ended the job.
pub(crate) fn finished(job: &Job) -> Option<&JobCondition> {
    let status = job.status.as_ref()?;
    condition(status, "Complete").or_else(|| condition(status, "Failed"))
}

/// True when something changed.
pub(crate) fn set_condition(status: &mut JobStatus, name: &str, value: &str, reason: &str, message: &str, now: Timestamp) -> bool {
    let fresh = JobCondition {
        type_: name.into(),
        status: value.into(),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    };
    let conditions = status.conditions.get_or_insert_default();
    match conditions.iter_mut().find(|c| c.type_ == name) {
        Some(old) if old.status == fresh.status && old.reason == fresh.reason && old.message == fresh.message => return false,
        Some(old) => *old = fresh,
        None if value == "False" => return false,
        None => conditions.push(fresh),
    }
    true
}

pub(crate) fn is_indexed(spec: &JobSpec) -> bool {
    spec.completion_mode.as_deref() == Some("Indexed")
}

/// Zero and absent are one on the wire; what was there stays, so that nothing is written for nothing.
pub(crate) fn count(now: i32, before: Option<i32>) -> Option<i32> {
    if now == 0 && before.is_none_or(|b| b == 0) { before } else { Some(now) }
}
