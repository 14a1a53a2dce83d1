//! The worker of one pod: observe, plan, act, and again when something happened.
//!
//! Never blocks on an action: each runs as a task of its own and its end is one more thing that happened. Keeps true: the plan is made
//! from a fresh look at the runtime; what is being worked on is not started twice; ending the worker stops no container.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use client::EventType;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Pod, PodStatus, ResourceRequirements};
use pod_lifecycle::{Action, Backoff, BackoffTimings, Busy, Cause, Memory, Observed, Plan, ProbeResult, RunState, Runtime, Stop, is_terminal_phase, plan};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

use super::{container, kill};
use super::observe::{Known, observe};
use super::publish::{self, Published};
use super::registry::PodHandle;
use super::sandbox;
use super::start::{self, Failure, Start, pod_reference, remove_container};
use crate::agent::Agent;
use crate::paths::Paths;
use crate::probe::board::ProbeKind;
use crate::volume::{self, Mounted};

/// Even a pod that nothing happens to is looked at again so often.
const RESYNC: Duration = Duration::from_secs(300);
/// What failed is not tried again before this.
const RETRY: Duration = Duration::from_secs(1);

enum Outcome {
    Mounted(Result<Mounted, String>),
    Sandbox(Result<Vec<String>, String>),
    SandboxStopped,
    Started(String, Result<(String, ResourceRequirements), Failure>),
    Killed(String),
    Resized(String, Result<ResourceRequirements, String>),
    Removed(String),
    Published(Box<PodStatus>, Published),
    Cleaned(Result<(), String>),
    Deleted(Result<(), String>),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Clean {
    No,
    /// Volumes and control group are gone; containers stay for their logs.
    Ended,
    /// Nothing is left.
    All,
}

struct Worker {
    agent: Arc<Agent>,
    handle: Arc<PodHandle>,
    known: Known,
    runtime: Runtime,
    memory: Memory,
    busy: Busy,
    kills: HashMap<String, AbortHandle>,
    starts: HashMap<String, AbortHandle>,
    /// Resources that running containers have, by id.
    applied: HashMap<String, ResourceRequirements>,
    removing: HashSet<String>,
    alive: watch::Sender<BTreeSet<String>>,
    mounted: Option<Arc<Mounted>>,
    mounting: bool,
    mount_after: Option<Timestamp>,
    mount_failures: u32,
    sandbox_failures: u32,
    status: Option<PodStatus>,
    published: PodStatus,
    publishing: bool,
    publish_after: Option<Timestamp>,
    publish_failures: u32,
    gone: bool,
    clean: Clean,
    cleaning: Option<Clean>,
    deleting: bool,
    deleted: bool,
    last_stop: Option<Stop>,
    /// The node did not take the pod.
    refusal: Option<Stop>,
    adopted: HashSet<String>,
    tasks: JoinSet<Outcome>,
}

/// Works on the pod until it is gone from its source and from the node.
pub async fn run(agent: Arc<Agent>, handle: Arc<PodHandle>) {
    let published = handle.pod().status.clone().unwrap_or_default();
    let mut worker = Worker {
        agent,
        handle,
        known: Known::default(),
        runtime: Runtime::default(),
        memory: Memory::default(),
        busy: Busy::default(),
        kills: HashMap::new(),
        starts: HashMap::new(),
        applied: HashMap::new(),
        removing: HashSet::new(),
        alive: watch::Sender::new(BTreeSet::new()),
        mounted: None,
        mounting: false,
        mount_after: None,
        mount_failures: 0,
        sandbox_failures: 0,
        status: None,
        published,
        publishing: false,
        publish_after: None,
        publish_failures: 0,
        gone: false,
        clean: Clean::No,
        cleaning: None,
        deleting: false,
        deleted: false,
        last_stop: None,
        refusal: None,
        adopted: HashSet::new(),
        tasks: JoinSet::new(),
    };
    worker.work().await;
    let uid = worker.handle.uid.clone();
    worker.agent.probes.release(&uid);
    worker.agent.taken.release(&uid);
}

impl Worker {
    async fn work(&mut self) {
        loop {
            let wake = self.step().await;
            let Some(wake) = wake else { return };
            let shutdown = self.agent.shutdown.clone();
            tokio::select! {
                () = self.handle.woken() => {}
                Some(done) = self.tasks.join_next(), if !self.tasks.is_empty() => self.settle_joined(done),
                () = tokio::time::sleep(wake) => {}
                () = shutdown.cancelled() => return,
            }
            while let Some(done) = self.tasks.try_join_next() {
                self.settle_joined(done);
            }
        }
    }

    /// One round. `None` when the worker is done; else how long to wait if nothing happens.
    async fn step(&mut self) -> Option<Duration> {
        match observe(&self.agent.cri, &self.handle.uid, &mut self.known).await {
            Ok(runtime) => self.runtime = runtime,
            Err(error) => {
                tracing::warn!(pod = self.handle.uid, %error, "runtime was not observed");
                return Some(Duration::from_secs(1));
            }
        }
        self.note_owners();
        self.note_applied();
        let now = Timestamp::now();
        self.admit().await;
        let stop = self.note_stop(now);
        let pod = Arc::new(self.pod_now());
        let stopping = stop.is_some() || pod.status.as_ref().and_then(|s| s.phase.as_deref()).is_some_and(is_terminal_phase);
        self.agent.probes.sync(&self.agent, &self.handle, &pod, &self.runtime, stopping);
        self.assume_readiness(&pod);
        self.refresh_volumes(&pod, stopping, now);
        let probes = self.agent.probes.results(&self.handle.uid);
        let host_ips = self.agent.host_ips();
        let observed = Observed { pod: &pod, now, host_ips: &host_ips, runtime: &self.runtime, probes: &probes, memory: &self.memory, busy: &self.busy, prepared: self.mounted.is_some(), stop: stop.as_ref() };
        let mut planned = plan(&observed);
        if self.refusal.is_some() || was_refused(&self.handle.pod()) {
            strip_refused(&mut planned.status);
        }
        for action in &planned.actions {
            self.act(&pod, action, now);
        }
        self.collect_dead(stop.is_some());
        self.show(&pod, &planned, now);
        if planned.ended {
            self.agent.taken.release(&self.handle.uid);
            self.finish(&pod, stop.as_ref());
        }
        let over = self.clean == Clean::All && (self.gone || self.deleted || stop.as_ref().is_some_and(|s| s.cause == Cause::Gone));
        if over && self.tasks.is_empty() {
            return None;
        }
        Some(self.wait(&planned, now))
    }

    fn wait(&self, planned: &Plan, now: Timestamp) -> Duration {
        let renew = self.mounted.as_ref().and_then(|m| m.renew_at);
        let mount = self.mount_after.filter(|_| !self.mounting && self.clean == Clean::No);
        let publish = self.publish_after.filter(|_| !self.publishing);
        let next = [planned.wake, renew, mount, publish].into_iter().flatten().filter(|t| *t > now).min();
        next.and_then(|t| Duration::try_from(t.duration_since(now)).ok()).map_or(RESYNC, |d| d.min(RESYNC) + Duration::from_millis(1))
    }

    fn note_owners(&self) {
        for sandbox in &self.runtime.sandboxes {
            self.agent.registry.own(&sandbox.id, &self.handle.uid);
        }
        for container in &self.runtime.containers {
            self.agent.registry.own(&container.id, &self.handle.uid);
        }
        let alive: BTreeSet<String> = self.runtime.containers.iter().filter(|c| c.state == RunState::Running).map(|c| c.id.clone()).collect();
        self.alive.send_if_modified(|old| {
            let changed = *old != alive;
            *old = alive;
            changed
        });
    }

    /// Once, before anything is made for the pod.
    async fn admit(&mut self) {
        let pod = self.handle.pod();
        let status = pod.status.as_ref();
        if self.status.is_some() || self.handle.stop().is_some() || status.and_then(|s| s.phase.as_deref()).is_some_and(is_terminal_phase) {
            return;
        }
        if status.is_some_and(|s| s.start_time.is_some()) || !self.runtime.sandboxes.is_empty() {
            return self.agent.taken.keep(&self.handle.uid, &pod);
        }
        if let Err(refusal) = super::admit::admit(&self.agent, &self.handle.uid, &pod).await {
            self.agent.recorder.event(&pod_reference(&pod), EventType::Warning, refusal.reason.clone(), refusal.message.trim_start_matches("Pod was rejected: "));
            self.refusal = Some(refusal);
        }
    }

    /// What runs with which resources: as this worker gave them, or as the API recorded it before this worker began.
    fn note_applied(&mut self) {
        if self.status.is_none() {
            let pod = self.handle.pod();
            let status = pod.status.as_ref();
            for one in status.into_iter().flat_map(|s| [&s.container_statuses, &s.init_container_statuses]).flatten().flatten() {
                let id = one.container_id.as_deref().and_then(|id| id.strip_prefix("containerd://"));
                if let (Some(id), Some(resources)) = (id, one.resources.clone()) {
                    self.applied.insert(id.to_owned(), resources);
                }
            }
        }
        let runtime = &mut self.runtime;
        self.busy.resizing.retain(|id| runtime.containers.iter().any(|c| c.id == *id));
        self.applied.retain(|id, _| runtime.containers.iter().any(|c| c.id == *id && c.state == RunState::Running));
        for container in &mut runtime.containers {
            container.applied = self.applied.get(&container.id).cloned();
        }
    }

    fn note_stop(&mut self, now: Timestamp) -> Option<Stop> {
        let stop = self.handle.stop().or_else(|| self.refusal.clone());
        if stop != self.last_stop {
            self.memory.stop_began = stop.is_some().then_some(now);
            self.last_stop.clone_from(&stop);
            // A pull may take for ever; what it was for is not wanted any more. A container half made goes with its sandbox.
            for (name, task) in self.starts.drain() {
                task.abort();
                self.busy.starting.remove(&name);
            }
        }
        stop
    }

    /// The source's object with the status that this worker gave it; conditions of other owners as the source has them.
    fn pod_now(&mut self) -> Pod {
        let mut pod = (*self.handle.pod()).clone();
        let from_source = pod.status.take().unwrap_or_default();
        let mut status = self.status.clone().unwrap_or_else(|| from_source.clone());
        let owned = |t: &str| matches!(t, "PodReadyToStartContainers" | "Initialized" | "Ready" | "ContainersReady" | "PodScheduled");
        let mine: Vec<_> = status.conditions.take().unwrap_or_default().into_iter().filter(|c| owned(&c.type_)).collect();
        let foreign = from_source.conditions.clone().unwrap_or_default().into_iter().filter(|c| !owned(&c.type_));
        status.conditions = Some(foreign.chain(mine).collect());
        status.resource_claim_statuses = from_source.resource_claim_statuses;
        status.nominated_node_name = from_source.nominated_node_name;
        // Somebody else ended the pod (node lifecycle, pod garbage collection).
        if from_source.phase.as_deref().is_some_and(is_terminal_phase) && !status.phase.as_deref().is_some_and(is_terminal_phase) {
            status.phase = from_source.phase;
            status.reason = from_source.reason;
            status.message = from_source.message;
        }
        pod.status = Some(status);
        pod
    }

    /// A container that ran before this worker did is as ready as the API says, until a probe says otherwise.
    fn assume_readiness(&mut self, pod: &Pod) {
        if self.status.is_some() {
            return;
        }
        let status = pod.status.as_ref();
        let recorded = status.into_iter().flat_map(|s| [&s.container_statuses, &s.init_container_statuses]).flatten().flatten();
        for one in recorded {
            let Some(id) = one.container_id.as_deref().and_then(|id| id.strip_prefix("containerd://")) else { continue };
            if !self.adopted.insert(id.to_owned()) {
                continue;
            }
            if one.started == Some(true) {
                self.agent.probes.assume(id, ProbeKind::Startup, ProbeResult::Success);
            }
            if one.ready {
                self.agent.probes.assume(id, ProbeKind::Readiness, ProbeResult::Success);
            }
        }
    }

    fn refresh_volumes(&mut self, pod: &Arc<Pod>, stopping: bool, now: Timestamp) {
        let changed = self.handle.take_objects_changed();
        if changed {
            // What a start failed for may be there now.
            for waiting in self.memory.waiting.values_mut().filter(|w| w.reason == "CreateContainerConfigError") {
                waiting.not_before = None;
            }
        }
        if stopping || self.clean != Clean::No || self.cleaning.is_some() {
            return;
        }
        let renew = self.mounted.as_ref().and_then(|m| m.renew_at).is_some_and(|t| t <= now);
        let retry = self.mounted.is_none() && self.mount_after.is_none_or(|t| t <= now);
        if self.mounting {
            // The running refresh may have read the old state.
            if changed {
                self.mount_after = Some(now);
            }
            return;
        }
        let again = self.mount_after.is_some_and(|t| t <= now);
        if changed || renew || retry || again {
            self.mounting = true;
            self.mount_after = None;
            let (agent, pod) = (self.agent.clone(), pod.clone());
            self.tasks.spawn(async move { Outcome::Mounted(volume::mount_all(&agent, &pod).await) });
        }
    }

    fn act(&mut self, pod: &Arc<Pod>, action: &Action, now: Timestamp) {
        let (agent, pod) = (self.agent.clone(), pod.clone());
        match action.clone() {
            Action::CreateSandbox { attempt, stop, changed } => {
                self.busy.sandbox = true;
                if changed {
                    agent.recorder.event(&pod_reference(&pod), EventType::Normal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
                }
                self.tasks.spawn(async move { Outcome::Sandbox(sandbox::create(&agent, &pod, attempt, &stop).await) });
            }
            Action::StopSandbox { id } => {
                self.busy.sandbox = true;
                self.tasks.spawn(async move {
                    if let Err(error) = sandbox::stop_one(&agent, &id).await {
                        tracing::warn!(id, %error, "sandbox was not stopped");
                        agent.recorder.event(&pod_reference(&pod), EventType::Warning, "FailedKillPod", format!("error killing pod: {error}"));
                        tokio::time::sleep(RETRY).await;
                    }
                    Outcome::SandboxStopped
                });
            }
            Action::Start { name, restart_count, .. } => self.start(pod, name, restart_count, now),
            Action::Resize { id, name } => {
                self.busy.resizing.insert(id.clone());
                self.tasks.spawn(async move {
                    let result = container::resize(&agent, &pod, &name, &id).await;
                    Outcome::Resized(id, result)
                });
            }
            Action::Kill { id, name, grace_seconds, message, after } => {
                if let Some(old) = self.kills.remove(&id) {
                    old.abort();
                }
                let ends = now.saturating_add(SignedDuration::from_secs(grace_seconds)).unwrap_or(Timestamp::MAX);
                self.busy.killing.insert(id.clone(), ends);
                let mut alive = self.alive.subscribe();
                let key = id.clone();
                let task = self.tasks.spawn(async move {
                    let kill = kill::Kill { id, name, grace_seconds, message, after };
                    if let Err(error) = kill::kill(&agent, &pod, &kill, &mut alive).await {
                        tracing::warn!(id = kill.id, %error, "container was not stopped");
                        tokio::time::sleep(RETRY).await;
                    }
                    Outcome::Killed(kill.id)
                });
                self.kills.insert(key, task);
            }
        }
    }

    fn start(&mut self, pod: Arc<Pod>, name: String, restart_count: u32, now: Timestamp) {
        let (Some(spec), Some(mounted), Some(sandbox)) = (pod_lifecycle::find_container(&pod, &name), self.mounted.clone(), self.runtime.current().cloned()) else { return };
        if let Some(found) = self.runtime.latest(&name).filter(|c| c.state == RunState::Exited) {
            let ended = Timestamp::from_nanosecond(i128::from(found.finished_at)).unwrap_or(now);
            let series = Backoff::next(self.memory.crashes.get(&name), ended, now, BackoffTimings::default());
            self.memory.crashes.insert(name.clone(), series);
        }
        let target_id = spec.target.as_deref().and_then(|t| self.runtime.latest(t)).filter(|c| c.state == RunState::Running).map(|c| c.id.clone());
        let pod_ips = if pod_lifecycle::is_host_network(&pod) { self.agent.host_ips() } else { sandbox.ips.clone() };
        self.busy.starting.insert(name.clone());
        let agent = self.agent.clone();
        let key = name.clone();
        let task = self.tasks.spawn(async move {
            let s = Start { agent: &agent, pod: &pod, spec: &spec, restart_count, sandbox_id: &sandbox.id, sandbox_attempt: sandbox.attempt, pod_ips: &pod_ips, mounted: &mounted, target_id };
            let result = start::start(&s).await;
            let resources = spec.container.resources.clone().unwrap_or_default();
            Outcome::Started(name, result.map(|id| (id, resources)))
        });
        self.starts.insert(key, task);
    }

    /// Keeps the newest and the one before it of each container; removes what is older, and sandboxes that hold nothing.
    fn collect_dead(&mut self, stopping: bool) {
        if stopping || self.clean != Clean::No {
            return;
        }
        let current = self.runtime.sandboxes.first().map(|s| s.id.clone());
        let mut dead = Vec::new();
        for container in self.runtime.containers.iter().filter(|c| c.state == RunState::Exited) {
            let newer = self.runtime.containers.iter().filter(|c| c.name == container.name && c.created_at > container.created_at).count();
            if newer >= 2 {
                dead.push(container.clone());
            }
        }
        let logs = self.agent.paths.pod_logs_of(&self.handle.pod());
        for container in dead {
            if !self.removing.insert(container.id.clone()) {
                continue;
            }
            let (agent, log) = (self.agent.clone(), logs.join(Paths::container_log(&container.name, container.restart_count)));
            self.tasks.spawn(async move {
                if !remove_container(&agent, &container.id, Some(&log)).await {
                    tokio::time::sleep(RETRY).await;
                }
                Outcome::Removed(container.id)
            });
        }
        let empty = self.runtime.sandboxes.iter().filter(|s| !s.ready && Some(&s.id) != current.as_ref() && !self.runtime.containers.iter().any(|c| c.sandbox == s.id));
        for id in empty.map(|s| s.id.clone()).collect::<Vec<_>>() {
            if self.busy.sandbox || !self.removing.insert(id.clone()) {
                continue;
            }
            let agent = self.agent.clone();
            self.tasks.spawn(async move {
                if let Err(error) = sandbox::remove_one(&agent, &id).await {
                    tracing::warn!(id, %error, "old sandbox was not removed");
                    tokio::time::sleep(RETRY).await;
                }
                Outcome::Removed(id)
            });
        }
    }

    /// Keeps the status, tells of its turns, and writes it to the API if it differs.
    fn show(&mut self, pod: &Arc<Pod>, planned: &Plan, now: Timestamp) {
        self.announce(pod, &planned.status);
        self.status = Some(planned.status.clone());
        self.handle.set_status(planned.status.clone());
        if self.publishing || self.gone || self.publish_after.is_some_and(|t| t > now) {
            return;
        }
        let Some(target) = self.handle.published_as() else { return };
        if publish::status_patch(&self.published, &planned.status).is_none() {
            return;
        }
        self.publishing = true;
        let (agent, old, new) = (self.agent.clone(), self.published.clone(), planned.status.clone());
        self.tasks.spawn(async move {
            let written = publish::publish(&agent, &target, &old, &new).await;
            Outcome::Published(Box::new(new), written)
        });
    }

    fn announce(&self, pod: &Pod, new: &PodStatus) {
        let backing_off = |status: Option<&PodStatus>, name: &str| {
            let all = status.into_iter().flat_map(|s| [&s.container_statuses, &s.init_container_statuses]).flatten().flatten();
            all.into_iter().any(|c| c.name == name && c.state.as_ref().and_then(|s| s.waiting.as_ref()).and_then(|w| w.reason.as_deref()) == Some("CrashLoopBackOff"))
        };
        for spec in pod_lifecycle::containers(pod) {
            if backing_off(Some(new), spec.name()) && !backing_off(self.status.as_ref(), spec.name()) {
                let meta = &pod.metadata;
                let text = |t: &Option<String>| t.clone().unwrap_or_default();
                let message = format!("Back-off restarting failed container {} in pod {}_{}({})", spec.name(), text(&meta.name), text(&meta.namespace), text(&meta.uid));
                self.agent.recorder.event(&start::container_reference(pod, spec.kind, spec.name()), EventType::Warning, "BackOff", message);
            }
        }
        let deadline = |s: Option<&PodStatus>| s.and_then(|s| s.reason.as_deref()) == Some("DeadlineExceeded");
        if deadline(Some(new)) && !deadline(self.status.as_ref()) {
            self.agent.recorder.event(&pod_reference(pod), EventType::Normal, "DeadlineExceeded", new.message.clone().unwrap_or_default());
        }
    }

    /// Nothing runs any more: take down what the pod used, and when it was deleted say so to the API.
    fn finish(&mut self, pod: &Arc<Pod>, stop: Option<&Stop>) {
        let removed = stop.is_some_and(|s| s.cause != Cause::Failed);
        let wanted = if removed { Clean::All } else { Clean::Ended };
        if self.clean < wanted && self.cleaning.is_none() && !self.mounting && self.busy.starting.is_empty() && self.removing.is_empty() {
            self.cleaning = Some(wanted);
            self.mounted = None;
            let (agent, pod, runtime) = (self.agent.clone(), pod.clone(), self.runtime.clone());
            self.tasks.spawn(async move {
                let cleaned = clean(&agent, &pod, &runtime, wanted).await;
                if cleaned.is_err() {
                    tokio::time::sleep(RETRY).await;
                }
                Outcome::Cleaned(cleaned)
            });
            return;
        }
        let told = !self.publishing && self.status.as_ref().is_none_or(|s| publish::status_patch(&self.published, s).is_none());
        let by_api = stop.is_some_and(|s| s.cause == Cause::Deleted);
        if self.clean == Clean::All && by_api && (told || self.gone) && !self.deleting && !self.deleted {
            self.deleting = true;
            let agent = self.agent.clone();
            let pod = self.handle.pod();
            self.tasks.spawn(async move {
                let deleted = publish::delete(&agent, &pod).await;
                if deleted.is_err() {
                    tokio::time::sleep(RETRY).await;
                }
                Outcome::Deleted(deleted)
            });
        }
    }

    fn settle_joined(&mut self, done: Result<Outcome, tokio::task::JoinError>) {
        match done {
            Ok(outcome) => self.settle(outcome),
            // Only kills that were begun anew are aborted.
            Err(error) if error.is_cancelled() => {}
            Err(error) => {
                tracing::error!(pod = self.handle.uid, %error, "action broke down");
                self.busy = Busy { killing: std::mem::take(&mut self.busy.killing), ..Busy::default() };
                (self.mounting, self.publishing, self.deleting, self.cleaning) = (false, false, false, None);
            }
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        let now = Timestamp::now();
        match outcome {
            Outcome::Mounted(result) => self.settle_mounted(result, now),
            Outcome::Sandbox(result) => self.settle_sandbox(result, now),
            Outcome::SandboxStopped => self.busy.sandbox = false,
            Outcome::Started(name, result) => {
                self.busy.starting.remove(&name);
                self.starts.remove(&name);
                match result {
                    Ok((id, resources)) => {
                        self.applied.insert(id, resources);
                        self.memory.waiting.remove(&name);
                    }
                    Err(Failure(waiting)) => drop(self.memory.waiting.insert(name, waiting)),
                }
            }
            Outcome::Killed(id) => {
                self.busy.killing.remove(&id);
                self.kills.remove(&id);
            }
            Outcome::Removed(id) => drop(self.removing.remove(&id)),
            Outcome::Resized(id, Ok(resources)) => {
                self.busy.resizing.remove(&id);
                self.applied.insert(id, resources);
            }
            // Not tried again before the spec changes: the runtime gave its reasons.
            Outcome::Resized(id, Err(error)) => {
                tracing::warn!(id, error, "container was not resized");
                self.agent.recorder.event(&pod_reference(&self.handle.pod()), EventType::Warning, "ResizeError", error);
            }
            Outcome::Published(status, result) => self.settle_published(*status, result, now),
            Outcome::Cleaned(Ok(())) => self.clean = self.cleaning.take().unwrap_or(Clean::No),
            Outcome::Cleaned(Err(error)) => {
                tracing::warn!(pod = self.handle.uid, error, "pod was not cleaned up");
                self.cleaning = None;
            }
            Outcome::Deleted(result) => {
                self.deleting = false;
                match result {
                    Ok(()) => self.deleted = true,
                    Err(error) => tracing::warn!(pod = self.handle.uid, error, "ended pod was not deleted from the API"),
                }
            }
        }
    }

    fn settle_mounted(&mut self, result: Result<Mounted, String>, now: Timestamp) {
        self.mounting = false;
        match result {
            Ok(mounted) => {
                self.mount_failures = 0;
                self.mounted = Some(Arc::new(mounted));
            }
            Err(error) => {
                let pod = self.handle.pod();
                self.agent.recorder.event(&pod_reference(&pod), EventType::Warning, "FailedMount", error);
                // Upstream: 500 ms, doubled up to 2 min 2 s.
                let wait = SignedDuration::from_millis(500 << self.mount_failures.min(8)).min(SignedDuration::from_secs(122));
                self.mount_failures += 1;
                self.mount_after = Some(now + wait);
            }
        }
    }

    fn settle_sandbox(&mut self, result: Result<Vec<String>, String>, now: Timestamp) {
        self.busy.sandbox = false;
        let regarding = pod_reference(&self.handle.pod());
        match result {
            Ok(warnings) => {
                self.sandbox_failures = 0;
                self.memory.sandbox_not_before = None;
                for warning in warnings {
                    self.agent.recorder.event(&regarding, EventType::Warning, "DNSConfigForming", warning);
                }
            }
            Err(error) => {
                self.agent.recorder.event(&regarding, EventType::Warning, "FailedCreatePodSandBox", format!("Failed to create pod sandbox: {error}"));
                let wait = SignedDuration::from_secs(1 << self.sandbox_failures.min(4)).min(SignedDuration::from_secs(10));
                self.sandbox_failures += 1;
                self.memory.sandbox_not_before = Some(now + wait);
            }
        }
    }

    fn settle_published(&mut self, status: PodStatus, result: Published, now: Timestamp) {
        self.publishing = false;
        match result {
            Published::Written => {
                self.publish_failures = 0;
                self.publish_after = None;
                self.published = status;
            }
            Published::Gone if self.handle.is_static => {
                // The mirror was deleted and comes again with nothing in it.
                self.published = PodStatus::default();
                self.publish_after = Some(now + SignedDuration::from_secs(1));
            }
            Published::Gone => self.gone = true,
            Published::Failed(error) => {
                tracing::warn!(pod = self.handle.uid, error, "pod status was not written");
                let wait = SignedDuration::from_millis(200 << self.publish_failures.min(6));
                self.publish_failures += 1;
                self.publish_after = Some(now + wait);
            }
        }
    }
}

/// An earlier run of this agent refused it: it ended and nothing is told of its containers.
fn was_refused(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|s| s.phase.as_deref().is_some_and(is_terminal_phase) && s.container_statuses.is_none())
}

/// Upstream: a pod that the node refused has a phase and a reason, and nothing about containers that never were.
fn strip_refused(status: &mut PodStatus) {
    status.container_statuses = None;
    status.init_container_statuses = None;
    status.ephemeral_container_statuses = None;
    if let Some(conditions) = status.conditions.as_mut() {
        conditions.retain(|c| !matches!(c.type_.as_str(), "PodReadyToStartContainers" | "Initialized" | "Ready" | "ContainersReady"));
    }
}

async fn clean(agent: &Arc<Agent>, pod: &Arc<Pod>, runtime: &Runtime, level: Clean) -> Result<(), String> {
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    if level == Clean::All {
        for container in &runtime.containers {
            remove_container(agent, &container.id, None).await;
        }
        for sandbox in &runtime.sandboxes {
            sandbox::remove_one(agent, &sandbox.id).await.map_err(|e| e.to_string())?;
        }
        agent.tokens.release(&uid);
        agent.images.release(&uid);
        agent.config_maps.release(&uid);
        agent.secrets.release(&uid);
    }
    let (dir, logs, cgroups, pod) = (agent.paths.pod(&uid), agent.paths.pod_logs_of(pod), agent.cgroups.clone(), pod.clone());
    let done = tokio::task::spawn_blocking(move || {
        volume::unmount_all(&dir, level == Clean::All)?;
        cgroups.remove_pod(&pod);
        if level != Clean::All {
            return Ok(());
        }
        match std::fs::remove_dir_all(logs) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    });
    done.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}
