//! The decision about one job: what its pods count for, whether it ends, which pods to create and delete. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use client::{Action, Announce, EventType, Plan, Propagation, Subresource, Target, owner_reference, reference};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::failure::{Meaning, meaning};
use super::finish::{Ending, Tally, ending, past_deadline};
use super::indexes::{FAILURES, INDEX, parse, print};
use super::status::{condition, count, finished, is_indexed, set_condition};
use crate::ownership::{Claim, Claimant, claim};
use crate::pods;

pub(crate) const TRACKING: &str = "batch.kubernetes.io/job-tracking";
/// Upstream: MaxPodCreateDeletePerSync, DefaultJobPodFailureBackOff, MaxJobPodFailureBackOff.
const PODS_PER_STEP: usize = 500;
const FIRST_BACKOFF: u64 = 10;
const LONGEST_BACKOFF: u64 = 600;
const TRACKED_PER_STEP: usize = 500;

pub(crate) struct Observed {
    pub job: Arc<Job>,
    /// Pods that this job controls and pods of the namespace that nobody controls.
    pub pods: Vec<Arc<Pod>>,
    pub may_adopt: bool,
}

pub(crate) fn claim_pods(job: &Job, pods: &[Arc<Pod>], may_adopt: bool) -> Claim<Pod> {
    let owner = owner_reference(job);
    let uid = owner.uid.clone();
    let selector = job.spec.as_ref().and_then(|s| s.selector.as_ref());
    // Without a selector nothing is adopted, and nothing of our own is let go.
    let by_selector = |labels: Option<&_>| selector.is_none_or(|s| scheduling::labels::selects(s, labels));
    let may_adopt = may_adopt && selector.is_some();
    let claimant = Claimant { owner, deleting: job.metadata.deletion_timestamp.is_some(), selects: &by_selector };
    let candidates = pods.iter().filter(|p| may_adopt || client::controller_owner(&***p).is_some_and(|o| o.uid == uid));
    claim(&claimant, candidates.cloned())
}

pub(crate) fn is_tracked(pod: &Pod) -> bool {
    pod.metadata.finalizers.iter().flatten().any(|f| f == TRACKING)
}

/// Takes the finalizer off: the pod is counted, or nobody counts it any more.
pub(crate) fn untrack(pod: &Pod) -> Action {
    let kept: Vec<_> = pod.metadata.finalizers.iter().flatten().filter(|f| *f != TRACKING).collect();
    Action::Patch { target: Target::of(pod), subresource: Subresource::None, body: json!({"metadata": {"finalizers": kept}}), announce: None }
}

fn index_of(pod: &Pod) -> Option<i32> {
    let meta = &pod.metadata;
    meta.annotations.as_ref().and_then(|a| a.get(INDEX)).or_else(|| meta.labels.as_ref().and_then(|l| l.get(INDEX)))?.parse().ok().filter(|i| *i >= 0)
}

fn uid(pod: &Pod) -> &str {
    pod.metadata.uid.as_deref().unwrap_or_default()
}

/// When the pod ended, as far as it says.
fn ended_at(pod: &Pod) -> Option<Timestamp> {
    let containers = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten());
    let ends = containers.filter_map(|c| Some(c.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref()?.0));
    let ready = pods::condition(pod, "Ready").and_then(|c| c.last_transition_time.as_ref()).map(|t| t.0);
    ends.max().or(ready).or(pod.metadata.deletion_timestamp.as_ref().map(|t| t.0))
}

pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let job = &*observed.job;
    let Some(spec) = &job.spec else { return Plan::default() };
    let claimed = claim_pods(job, &observed.pods, observed.may_adopt);
    if let Some(ended) = finished(job) {
        return after_the_end(job, spec, &claimed.mine, ended.last_transition_time.as_ref(), now);
    }
    if job.metadata.deletion_timestamp.is_some() {
        // What is left is counted for nobody; the collector takes the pods.
        return Plan::of(claimed.mine.iter().filter(|p| is_tracked(p) && pods::is_terminal(p)).map(|p| untrack(p)));
    }
    let mut work = Work::new(job, spec, claimed.mine, now);
    work.plan.actions = claimed.actions;
    work.count_ended();
    let ending = work.ending();
    let active = std::mem::take(&mut work.active);
    let left = match &ending {
        Some(_) => work.delete(&active, active.len()),
        None if spec.suspend == Some(true) => work.delete(&active, active.len()),
        None => work.manage(&active),
    };
    work.write(ending, left)
}

fn after_the_end(job: &Job, spec: &JobSpec, mine: &[Arc<Pod>], ended: Option<&Time>, now: Timestamp) -> Plan {
    let mut plan = Plan::of(mine.iter().filter(|p| is_tracked(p)).map(|p| untrack(p)));
    if let (Some(ttl), Some(ended)) = (spec.ttl_seconds_after_finished, ended.filter(|_| job.metadata.deletion_timestamp.is_none())) {
        let left = i64::from(ttl) - now.duration_since(ended.0).as_secs();
        if left <= 0 {
            plan.actions.push(Action::Delete { target: Target::of(job), propagation: Some(Propagation::Foreground), grace: None, announce: None });
        } else {
            plan.wake_after(Duration::from_secs(left.unsigned_abs()));
        }
    }
    plan
}

struct Work<'a> {
    job: &'a Job,
    spec: &'a JobSpec,
    now: Timestamp,
    pods: Vec<Arc<Pod>>,
    active: Vec<Arc<Pod>>,
    status: JobStatus,
    indexed: bool,
    completed: BTreeSet<i32>,
    failed_indexes: BTreeSet<i32>,
    /// Failures per index among the pods that still exist.
    index_failures: BTreeMap<i32, i32>,
    new_succeeded: i32,
    new_failures: i32,
    policy_failure: Option<String>,
    untrack: Vec<Action>,
    waits_for_counting: bool,
    plan: Plan,
}

impl<'a> Work<'a> {
    fn new(job: &'a Job, spec: &'a JobSpec, pods: Vec<Arc<Pod>>, now: Timestamp) -> Self {
        let mut status = job.status.clone().unwrap_or_default();
        if status.start_time.is_none() && spec.suspend != Some(true) {
            status.start_time = Some(Time(now));
        }
        let completions = spec.completions.unwrap_or(0);
        let indexed = is_indexed(spec);
        let set = |text: &Option<String>| text.as_deref().filter(|_| indexed).map(|t| parse(t, completions)).unwrap_or_default();
        let active = pods.iter().filter(|p| pods::is_active(p)).cloned().collect();
        Self {
            completed: set(&status.completed_indexes),
            failed_indexes: set(&status.failed_indexes),
            job,
            spec,
            now,
            pods,
            active,
            status,
            indexed,
            index_failures: BTreeMap::new(),
            new_succeeded: 0,
            new_failures: 0,
            policy_failure: None,
            untrack: Vec::new(),
            waits_for_counting: false,
            plan: Plan::default(),
        }
    }

    fn only_failed_are_replaced(&self) -> bool {
        self.spec.pod_replacement_policy.as_deref() == Some("Failed") || self.spec.pod_failure_policy.is_some()
    }

    fn has_failed(&self, pod: &Pod) -> bool {
        match pods::phase(pod) {
            "Failed" => true,
            "Succeeded" => false,
            _ => !self.only_failed_are_replaced() && pods::is_terminating(pod),
        }
    }

    /// Moves ended pods into the books: first by uid, then, once the finalizer is gone, as a number.
    fn count_ended(&mut self) {
        let mut books = self.status.uncounted_terminated_pods.take().unwrap_or_default();
        let tracked: BTreeSet<String> = self.pods.iter().filter(|p| is_tracked(p)).map(|p| uid(p).to_owned()).collect();
        let settle = |list: &mut Option<Vec<String>>| {
            let list = list.get_or_insert_default();
            let before = list.len();
            list.retain(|uid| tracked.contains(uid));
            i32::try_from(before - list.len()).unwrap_or(i32::MAX)
        };
        let (succeeded, failed) = (settle(&mut books.succeeded), settle(&mut books.failed));
        if !self.indexed {
            self.status.succeeded = count(self.status.succeeded.unwrap_or(0).saturating_add(succeeded), self.status.succeeded);
        }
        self.status.failed = count(self.status.failed.unwrap_or(0).saturating_add(failed), self.status.failed);
        let pods = std::mem::take(&mut self.pods);
        for pod in &pods {
            let has_failed = self.has_failed(pod);
            if has_failed && let Some(index) = index_of(pod) {
                *self.index_failures.entry(index).or_insert(0) += 1;
            }
            let ended = pods::phase(pod) == "Succeeded" || has_failed;
            if !is_tracked(pod) || !ended {
                continue;
            }
            if self.untrack.len() >= TRACKED_PER_STEP {
                self.waits_for_counting = true;
                break;
            }
            let known = |list: &Option<Vec<String>>| list.iter().flatten().any(|known| known == uid(pod));
            if pods::phase(pod) == "Succeeded" {
                if !self.note_success(pod) && !known(&books.succeeded) {
                    self.new_succeeded += 1;
                    books.succeeded.get_or_insert_default().push(uid(pod).to_owned());
                }
            } else if !known(&books.failed) && self.note_failure(pod) {
                self.new_failures += 1;
                books.failed.get_or_insert_default().push(uid(pod).to_owned());
            }
            self.untrack.push(untrack(pod));
        }
        self.pods = pods;
        let some = |list: Option<Vec<String>>| list.filter(|l| !l.is_empty());
        (books.succeeded, books.failed) = (some(books.succeeded), some(books.failed));
        self.status.uncounted_terminated_pods = Some(books);
    }

    /// Of indexed jobs the indexes are the books. True when the pod is booked that way.
    fn note_success(&mut self, pod: &Pod) -> bool {
        if !self.indexed {
            return false;
        }
        if let Some(index) = index_of(pod).filter(|i| *i < self.spec.completions.unwrap_or(0)) {
            self.completed.insert(index);
            self.failed_indexes.remove(&index);
        }
        true
    }

    /// True when the failure counts.
    fn note_failure(&mut self, pod: &Pod) -> bool {
        let verdict = meaning(self.spec.pod_failure_policy.as_ref(), pod);
        let index = index_of(pod).filter(|i| self.indexed && *i < self.spec.completions.unwrap_or(0));
        let limit = self.spec.backoff_limit_per_index;
        match &verdict {
            Meaning::Ignored => return false,
            Meaning::EndsJob(words) => self.policy_failure = self.policy_failure.take().or_else(|| Some(words.clone())),
            Meaning::EndsIndex if limit.is_some() => self.failed_indexes.extend(index),
            Meaning::EndsIndex | Meaning::Counts => {
                let failures_before = pod.metadata.annotations.as_ref().and_then(|a| a.get(FAILURES)).and_then(|n| n.parse::<i32>().ok()).unwrap_or(0);
                if limit.is_some_and(|limit| failures_before >= limit) {
                    self.failed_indexes.extend(index);
                }
            }
        }
        true
    }

    fn succeeded(&self) -> i32 {
        if self.indexed {
            return i32::try_from(self.completed.len()).unwrap_or(i32::MAX);
        }
        let uncounted = self.status.uncounted_terminated_pods.as_ref().and_then(|u| u.succeeded.as_ref()).map_or(0, Vec::len);
        self.status.succeeded.unwrap_or(0).saturating_add(i32::try_from(uncounted).unwrap_or(i32::MAX))
    }

    fn failed(&self) -> i32 {
        let uncounted = self.status.uncounted_terminated_pods.as_ref().and_then(|u| u.failed.as_ref()).map_or(0, Vec::len);
        self.status.failed.unwrap_or(0).saturating_add(i32::try_from(uncounted).unwrap_or(i32::MAX))
    }

    fn ending(&self) -> Option<Ending> {
        let tally = Tally {
            spec: self.spec,
            status: &self.status,
            active: &self.active,
            succeeded: self.succeeded(),
            failed: self.failed(),
            new_failures: self.new_failures,
            completed: &self.completed,
            failed_indexes: &self.failed_indexes,
            policy_failure: self.policy_failure.clone(),
        };
        ending(&tally, self.now)
    }

    /// Deletes `number` of these pods; returns how many stay active.
    fn delete(&mut self, active: &[Arc<Pod>], number: usize) -> usize {
        let mut order: Vec<_> = active.iter().collect();
        order.sort_by(|a, b| pods::deletion_order(a, b, |_| 0, self.now));
        let words = |_: &Pod| Announce {
            regarding: reference(self.job),
            done: Some(("SuccessfulDelete", "Deleted pod: {name}".into())),
            failed: Some(("FailedDelete", "Error deleting: {error}".into())),
        };
        let number = number.min(PODS_PER_STEP);
        let actions: Vec<_> = order.iter().take(number).map(|p| Action::delete(&***p).announced(words(p))).collect();
        self.plan.actions.extend(actions);
        active.len() - number
    }

    /// Brings the number of active pods to what is wanted; returns it.
    fn manage(&mut self, active: &[Arc<Pod>]) -> usize {
        let parallelism = usize::try_from(self.spec.parallelism.unwrap_or(1)).unwrap_or(0);
        let succeeded = usize::try_from(self.succeeded()).unwrap_or(0);
        let terminating = self.pods.iter().filter(|p| pods::is_terminating(p) && !pods::is_terminal(p)).count();
        let mut wanted = match self.spec.completions {
            None if succeeded > 0 => active.len(),
            None => parallelism,
            Some(completions) => parallelism.min(usize::try_from(completions).unwrap_or(0).saturating_sub(succeeded)),
        };
        let mut keep: Vec<Arc<Pod>> = active.to_vec();
        if self.indexed {
            // Two pods of one index, or one of an index that is done: too many of them.
            let mut seen = BTreeSet::new();
            let (good, bad): (Vec<_>, Vec<_>) =
                keep.into_iter().partition(|p| index_of(p).is_some_and(|i| i < self.spec.completions.unwrap_or(0) && !self.completed.contains(&i) && !self.failed_indexes.contains(&i) && seen.insert(i)));
            self.delete(&bad, bad.len());
            keep = good;
            let open = usize::try_from(self.spec.completions.unwrap_or(0)).unwrap_or(0).saturating_sub(self.completed.len() + self.failed_indexes.len());
            wanted = wanted.min(open);
        }
        if keep.len() > wanted {
            let surplus = keep.len() - wanted;
            return self.delete(&keep, surplus);
        }
        let replaced = if self.only_failed_are_replaced() { terminating } else { 0 };
        let missing = wanted.saturating_sub(keep.len() + replaced).min(PODS_PER_STEP);
        if missing == 0 || self.waits_for_counting {
            return keep.len();
        }
        if let Some(wait) = self.backoff().filter(|_| self.spec.backoff_limit_per_index.is_none()) {
            self.plan.wake_after(wait);
            return keep.len();
        }
        let created = self.create(&keep, missing);
        keep.len() + created
    }

    /// What is left of the pause after failures in a row. Upstream: backoff_utils.go.
    fn backoff(&self) -> Option<Duration> {
        let success = self.pods.iter().filter(|p| pods::phase(p) == "Succeeded").filter_map(|p| ended_at(p)).max();
        let failures: Vec<Timestamp> = self.pods.iter().filter(|p| self.has_failed(p)).filter_map(|p| ended_at(p)).filter(|t| success.is_none_or(|s| *t > s)).collect();
        self.rest_of_pause(failures.len(), failures.iter().max().copied()?)
    }

    fn rest_of_pause(&self, failures: usize, last: Timestamp) -> Option<Duration> {
        let pause = FIRST_BACKOFF.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_BACKOFF);
        let left = i128::from(pause) * 1000 - self.now.duration_since(last).as_millis();
        u64::try_from(left).ok().filter(|l| *l > 0 && failures > 0).map(Duration::from_millis)
    }

    fn create(&mut self, active: &[Arc<Pod>], missing: usize) -> usize {
        let mut made = Vec::new();
        if self.indexed {
            let taken: BTreeSet<i32> = active.iter().filter_map(|p| index_of(p)).collect();
            let completions = self.spec.completions.unwrap_or(0);
            let leaving: BTreeSet<i32> =
                if self.only_failed_are_replaced() { self.pods.iter().filter(|p| pods::is_terminating(p) && !pods::is_terminal(p)).filter_map(|p| index_of(p)).collect() } else { BTreeSet::new() };
            let open = (0..completions).filter(|i| !taken.contains(i) && !leaving.contains(i) && !self.completed.contains(i) && !self.failed_indexes.contains(i));
            for index in open.collect::<Vec<_>>() {
                if made.len() >= missing {
                    break;
                }
                if let Some(wait) = self.index_pause(index) {
                    self.plan.wake_after(wait);
                    continue;
                }
                made.push(self.pod(Some(index)));
            }
        } else {
            made = vec![self.pod(None); missing];
        }
        let count = made.len();
        self.plan.actions.extend(made);
        count
    }

    fn index_pause(&self, index: i32) -> Option<Duration> {
        self.spec.backoff_limit_per_index?;
        let failures: Vec<Timestamp> = self.pods.iter().filter(|p| index_of(p) == Some(index) && self.has_failed(p)).filter_map(|p| ended_at(p)).collect();
        self.rest_of_pause(failures.len(), failures.iter().max().copied()?)
    }

    fn pod(&self, index: Option<i32>) -> Action {
        let meta = &self.job.metadata;
        let name = meta.name.as_deref().unwrap_or_default();
        let mut pod = pods::from_template(&self.spec.template, meta.namespace.as_deref().unwrap_or_default(), name, owner_reference(self.job));
        pod.metadata.finalizers.get_or_insert_default().push(TRACKING.into());
        if let Some(index) = index {
            pod.metadata.generate_name = Some(format!("{name}-{index}-"));
            pod.metadata.annotations.get_or_insert_default().insert(INDEX.into(), index.to_string());
            pod.metadata.labels.get_or_insert_default().insert(INDEX.into(), index.to_string());
            if self.spec.backoff_limit_per_index.is_some() {
                let failures = self.index_failures.get(&index).copied().unwrap_or(0);
                pod.metadata.annotations.get_or_insert_default().insert(FAILURES.into(), failures.to_string());
            }
            add_index(&mut pod, name, index);
        }
        Action::create(&pod).announced(Announce {
            regarding: reference(self.job),
            done: Some(("SuccessfulCreate", "Created pod: {name}".into())),
            failed: Some(("FailedCreate", "Error creating: {error}".into())),
        })
    }

    /// The status, the finalizers that may go once it is written, and the events of what changed.
    fn write(mut self, ending: Option<Ending>, left: usize) -> Plan {
        let job = self.job;
        let terminating = self.pods.iter().filter(|p| pods::is_terminating(p) && !pods::is_terminal(p)).count();
        // Upstream: pods that were just let go are neither active nor ready.
        let ready = self.pods.iter().filter(|p| pods::is_active(p) && pods::is_ready(p)).count().min(left);
        let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        self.suspension();
        let succeeded = self.succeeded();
        self.status.active = count(number(left), self.status.active);
        self.status.terminating = Some(number(terminating));
        self.status.ready = Some(number(ready));
        if self.indexed {
            self.status.succeeded = count(succeeded, self.status.succeeded);
            self.status.completed_indexes = Some(print(&self.completed)).filter(|text| !text.is_empty());
            if self.spec.backoff_limit_per_index.is_some() {
                self.status.failed_indexes = Some(print(&self.failed_indexes));
            }
        }
        let booked = self.status.uncounted_terminated_pods.as_ref().is_none_or(|u| u.succeeded.is_none() && u.failed.is_none()) && self.untrack.is_empty();
        if let Some(ending) = &ending {
            self.end(ending, left == 0 && terminating == 0 && booked);
        } else if let Some(left) = past_deadline(self.spec, &self.status, self.now) {
            self.plan.wake_after(left);
        }
        let mut after = job.clone();
        after.status = Some(self.status);
        // Pods are created and deleted first; the books are written before the finalizers go, whatever became of the rest.
        let mut rest: Vec<Action> = Action::update_status(job, &after).into_iter().collect();
        rest.extend(self.untrack);
        let on_failure = rest.clone();
        self.plan.finally.splice(0..0, rest);
        self.plan.on_failure = Some(Box::new(move |failure| if failure.is_stale() { Vec::new() } else { on_failure }));
        self.plan
    }

    fn suspension(&mut self) {
        let suspended = condition(&self.status, "Suspended").is_some();
        let told = |reason: &'static str, message: &'static str| Action::event(reference(self.job), EventType::Normal, reason, message);
        if self.spec.suspend == Some(true) && !suspended {
            set_condition(&mut self.status, "Suspended", "True", "JobSuspended", "Job suspended", self.now);
            self.status.start_time = None;
            self.plan.finally.push(told("Suspended", "Job suspended"));
        } else if self.spec.suspend != Some(true) && suspended {
            set_condition(&mut self.status, "Suspended", "False", "JobResumed", "Job resumed", self.now);
            self.status.start_time = Some(Time(self.now));
            self.plan.finally.push(told("Resumed", "Job resumed"));
        }
    }

    /// First the target, then, when nothing runs and all is counted, the end itself.
    fn end(&mut self, ending: &Ending, all_done: bool) {
        let target = if ending.success { "SuccessCriteriaMet" } else { "FailureTarget" };
        set_condition(&mut self.status, target, "True", &ending.reason, &ending.message, self.now);
        if !all_done {
            return;
        }
        let last = if ending.success { "Complete" } else { "Failed" };
        set_condition(&mut self.status, last, "True", &ending.reason, &ending.message, self.now);
        let told = if ending.success {
            self.status.completion_time = Some(Time(self.now));
            Action::event(reference(self.job), EventType::Normal, "Completed", "Job completed")
        } else {
            Action::event(reference(self.job), EventType::Warning, ending.reason.clone(), ending.message.clone())
        };
        self.plan.finally.push(told);
    }
}

/// Host name and environment of a pod with an index.
fn add_index(pod: &mut Pod, job: &str, index: i32) {
    let Some(spec) = &mut pod.spec else { return };
    spec.hostname = Some(format!("{job}-{index}"));
    let source = EnvVarSource { field_ref: Some(ObjectFieldSelector { api_version: None, field_path: format!("metadata.labels['{INDEX}']") }), ..EnvVarSource::default() };
    for container in spec.init_containers.iter_mut().flatten().chain(&mut spec.containers) {
        let env = container.env.get_or_insert_default();
        if !env.iter().any(|e| e.name == "JOB_COMPLETION_INDEX") {
            env.push(EnvVar { name: "JOB_COMPLETION_INDEX".into(), value: None, value_from: Some(source.clone()) });
        }
    }
}
