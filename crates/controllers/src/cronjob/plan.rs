//! The decision about one cron job: start, skip, replace, tidy up, and when to look again. Pure.

use std::sync::Arc;
use std::time::Duration;

use client::{Action, Announce, EventType, Plan, Propagation, Target, owner_reference, reference};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use k8s_openapi::api::batch::v1::{CronJob, Job};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::schedule::{Schedule, parse};

const SCHEDULED_AT: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";
/// Upstream: more missed times than this are reported.
const TOO_MANY: usize = 100;

pub(crate) struct Observed {
    pub cron: Arc<CronJob>,
    /// The jobs that it controls.
    pub jobs: Vec<Arc<Job>>,
}

fn ended(job: &Job) -> Option<&str> {
    let conditions = job.status.as_ref()?.conditions.as_deref()?;
    conditions.iter().find(|c| c.status == "True" && (c.type_ == "Complete" || c.type_ == "Failed")).map(|c| c.type_.as_str())
}

pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let cron = &*observed.cron;
    let mut plan = Plan::default();
    if cron.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    tidy(observed, &mut plan);
    let mut after = cron.clone();
    let active: Vec<Arc<Job>> = observed.jobs.iter().filter(|j| ended(j).is_none()).cloned().collect();
    note_ends(observed, &mut after, &active, &mut plan);
    if cron.spec.suspend != Some(true) {
        schedule(observed, &active, &mut after, &mut plan, now);
    }
    plan.finally.extend(Action::update_status(cron, &after));
    plan
}

/// Old jobs beyond the limits of the history.
fn tidy(observed: &Observed, plan: &mut Plan) {
    let spec = &observed.cron.spec;
    for (end, limit) in [("Complete", spec.successful_jobs_history_limit.unwrap_or(3)), ("Failed", spec.failed_jobs_history_limit.unwrap_or(1))] {
        let mut old: Vec<_> = observed.jobs.iter().filter(|j| ended(j) == Some(end) && j.metadata.deletion_timestamp.is_none()).collect();
        old.sort_by_key(|j| j.status.as_ref().and_then(|s| s.start_time.clone()).or_else(|| j.metadata.creation_timestamp.clone()));
        let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        plan.actions.extend(old.into_iter().take(surplus).map(|job| delete(&observed.cron, job)));
    }
}

fn delete(cron: &CronJob, job: &Job) -> Action {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    let words = Announce { regarding: reference(cron), done: Some(("SuccessfulDelete", format!("Deleted job {name}"))), failed: Some(("FailedDelete", "Deleted job: {error}".into())) };
    Action::Delete { target: Target::of(job).any_version(), propagation: Some(Propagation::Background), grace: None, announce: None }.announced(words)
}

fn job_reference(job: &Job) -> ObjectReference {
    ObjectReference { field_path: None, ..reference(job) }
}

/// Brings the list of running jobs up to date and tells of those that ended.
fn note_ends(observed: &Observed, after: &mut CronJob, active: &[Arc<Job>], plan: &mut Plan) {
    let cron = &observed.cron;
    let status = after.status.get_or_insert_default();
    let listed = status.active.take().unwrap_or_default();
    for job in observed.jobs.iter() {
        let Some(end) = ended(job) else { continue };
        if listed.iter().any(|r| r.uid == job.metadata.uid) {
            let name = job.metadata.name.as_deref().unwrap_or_default();
            plan.finally.push(Action::event(reference(&**cron), EventType::Normal, "SawCompletedJob", format!("Saw completed job: {name}, condition: {end}")));
        }
        let done = job.status.as_ref().and_then(|s| s.completion_time.clone());
        if end == "Complete" && done.as_ref().is_some_and(|d| status.last_successful_time.as_ref().is_none_or(|l| d > l)) {
            status.last_successful_time = done;
        }
    }
    let known = |job: &Job| listed.iter().find(|r| r.uid == job.metadata.uid).cloned();
    status.active = Some(active.iter().map(|j| known(j).unwrap_or_else(|| job_reference(j))).collect::<Vec<_>>()).filter(|a| !a.is_empty());
}

fn schedule(observed: &Observed, active: &[Arc<Job>], after: &mut CronJob, plan: &mut Plan, now: Timestamp) {
    let cron = &*observed.cron;
    let tell = |plan: &mut Plan, reason: &'static str, words: String| plan.finally.push(Action::event(reference(cron), EventType::Warning, reason, words));
    let schedule = match parse(&cron.spec.schedule) {
        Ok(schedule) => schedule,
        Err(why) => return tell(plan, "UnparseableSchedule", format!("unparseable schedule: {:?} : {why}", cron.spec.schedule)),
    };
    let zone = match cron.spec.time_zone.as_deref().map(TimeZone::get) {
        None => TimeZone::UTC,
        Some(Ok(zone)) => zone,
        Some(Err(why)) => return tell(plan, "UnknownTimeZone", format!("invalid timeZone: {:?} : {why}", cron.spec.time_zone.as_deref().unwrap_or_default())),
    };
    let (due, missed) = last_due(cron, &schedule, &zone, now);
    if let Some(next) = schedule.next(now, &zone) {
        let wait = next.duration_since(now).as_millis().max(0);
        plan.wake_after(Duration::from_millis(u64::try_from(wait).unwrap_or(u64::MAX).saturating_add(100)));
    }
    if missed > TOO_MANY {
        tell(plan, "TooManyMissedTimes", format!("too many missed start times: {missed}. Set or decrease .spec.startingDeadlineSeconds or check clock skew"));
    }
    let Some(due) = due else { return };
    let name = format!("{}-{}", cron.metadata.name.as_deref().unwrap_or_default(), due.as_second() / 60);
    if observed.jobs.iter().any(|j| j.metadata.name.as_ref() == Some(&name)) || cron.status.as_ref().and_then(|s| s.last_schedule_time.as_ref()).is_some_and(|t| t.0 >= due) {
        return;
    }
    if cron.spec.starting_deadline_seconds.is_some_and(|s| now.duration_since(due).as_secs() > s) {
        return tell(plan, "MissSchedule", format!("Missed scheduled time to start a job: {due}"));
    }
    match cron.spec.concurrency_policy.as_deref() {
        Some("Forbid") if !active.is_empty() => {
            plan.finally.push(Action::event(reference(cron), EventType::Normal, "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid"));
            return;
        }
        Some("Replace") => {
            plan.actions.extend(active.iter().map(|job| delete(cron, job)));
            after.status.get_or_insert_default().active = None;
        }
        _ => {}
    }
    plan.actions.push(create(cron, &name, due));
    after.status.get_or_insert_default().last_schedule_time = Some(Time(due));
}

/// The latest time that should have been, and how many there were since the last.
fn last_due(cron: &CronJob, schedule: &Schedule, zone: &TimeZone, now: Timestamp) -> (Option<Timestamp>, usize) {
    let last = cron.status.as_ref().and_then(|s| s.last_schedule_time.as_ref()).or(cron.metadata.creation_timestamp.as_ref());
    let mut from = last.map_or(now, |t| t.0);
    if let Some(deadline) = cron.spec.starting_deadline_seconds.and_then(|s| now.checked_sub(jiff::SignedDuration::from_secs(s)).ok()) {
        from = from.max(deadline);
    }
    // A long pause is skipped rather than walked through minute by minute.
    let walk = now.checked_sub(jiff::SignedDuration::from_hours(24 * 7)).map_or(from, |week| from.max(week));
    let (mut due, mut count) = (None, 0);
    let mut at = if schedule.next(walk, zone).is_some_and(|n| n <= now) { walk } else { from };
    while let Some(next) = schedule.next(at, zone).filter(|n| *n <= now) {
        due = Some(next);
        count += 1;
        at = next;
    }
    (due, count)
}

fn create(cron: &CronJob, name: &str, due: Timestamp) -> Action {
    let template = &cron.spec.job_template;
    let meta = template.metadata.clone().unwrap_or_default();
    let mut annotations = meta.annotations.unwrap_or_default();
    annotations.insert(SCHEDULED_AT.into(), due.to_string());
    let job = Job {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: cron.metadata.namespace.clone(),
            labels: meta.labels,
            annotations: Some(annotations),
            owner_references: Some(vec![owner_reference(cron)]),
            ..ObjectMeta::default()
        },
        spec: template.spec.clone(),
        status: None,
    };
    Action::create(&job).or_exists().announced(Announce {
        regarding: reference(cron),
        done: Some(("SuccessfulCreate", format!("Created job {name}"))),
        failed: Some(("FailedCreate", "Error creating job: {error}".into())),
    })
}
