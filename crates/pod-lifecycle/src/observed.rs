//! The observation that a plan is made from. Plain values; never a handle to anything.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, ResourceRequirements};

use crate::backoff::Backoff;

/// Everything that decides about one pod at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    pub pod: &'a Pod,
    pub now: Timestamp,
    pub host_ips: &'a [String],
    pub runtime: &'a Runtime,
    pub probes: &'a Probes,
    pub memory: &'a Memory,
    pub busy: &'a Busy,
    /// All volumes are mounted and the pod's folders are there: containers may be started.
    pub prepared: bool,
    /// Set when the pod has to end whatever its containers do.
    pub stop: Option<&'a Stop>,
}

/// What the runtime holds for the pod.
#[derive(Clone, Debug, Default)]
pub struct Runtime {
    /// Newest first.
    pub sandboxes: Vec<Sandbox>,
    /// Every container of the pod, in any order.
    pub containers: Vec<Container>,
}

#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    pub id: String,
    pub attempt: u32,
    pub ready: bool,
    pub created_at: i64,
    pub ips: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunState {
    #[default]
    Created,
    Running,
    Exited,
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub struct Container {
    pub id: String,
    pub name: String,
    pub sandbox: String,
    /// How often the container was started anew before this one.
    pub restart_count: u32,
    pub state: RunState,
    /// Nanoseconds since 1970; zero is unset.
    pub created_at: i64,
    pub started_at: i64,
    pub finished_at: i64,
    pub exit_code: i32,
    pub reason: String,
    pub message: String,
    pub image: String,
    pub image_id: String,
    pub hash: String,
    /// The resources that it runs with, where they are known to differ from what the spec may say by now.
    pub applied: Option<ResourceRequirements>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeResult {
    Success,
    Failure,
}

/// The last settled results, by container id. A missing one means that nothing was settled yet.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    pub startup: BTreeMap<String, ProbeResult>,
    pub liveness: BTreeMap<String, ProbeResult>,
    pub readiness: BTreeMap<String, ProbeResult>,
}

/// Why a container does not run: the words of the status, and the moment before which nothing is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub reason: String,
    pub message: String,
    pub not_before: Option<Timestamp>,
}

/// What the worker remembers between plans.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Failed starts by container name; removed by a start that worked.
    pub waiting: BTreeMap<String, Waiting>,
    /// Crash backoff by container name.
    pub crashes: BTreeMap<String, Backoff>,
    /// A sandbox could not be made: nothing before this moment.
    pub sandbox_not_before: Option<Timestamp>,
    /// When the stop began; the grace period counts from here.
    pub stop_began: Option<Timestamp>,
}

/// What is being worked on right now.
#[derive(Clone, Debug, Default)]
pub struct Busy {
    /// A sandbox is being made or stopped.
    pub sandbox: bool,
    /// Names of containers being pulled for, created and started.
    pub starting: BTreeSet<String>,
    /// Ids of containers being resized, with those whose resize was refused.
    pub resizing: BTreeSet<String>,
    /// Ids of containers being killed, with the moment their grace ends.
    pub killing: BTreeMap<String, Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The API object carries a deletion timestamp.
    Deleted,
    /// The API object is gone or was replaced by another of its name.
    Gone,
    /// `activeDeadlineSeconds` passed, the node evicted or refused it: the pod fails.
    Failed,
}

/// The pod has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    pub cause: Cause,
    /// Overrides the pod's own grace period.
    pub grace_seconds: Option<i64>,
    /// For `Cause::Failed`: the status' words.
    pub reason: String,
    pub message: String,
}

impl Stop {
    pub fn deleted(grace_seconds: Option<i64>) -> Self {
        Self { cause: Cause::Deleted, grace_seconds, reason: String::new(), message: String::new() }
    }

    pub fn failed(reason: &str, message: &str) -> Self {
        Self { cause: Cause::Failed, grace_seconds: None, reason: reason.into(), message: message.into() }
    }
}

impl Runtime {
    /// The sandbox that the pod lives in, if it does.
    pub fn current(&self) -> Option<&Sandbox> {
        self.sandboxes.first().filter(|s| s.ready)
    }

    /// The newest container of a name.
    pub fn latest(&self, name: &str) -> Option<&Container> {
        self.containers.iter().filter(|c| c.name == name).max_by_key(|c| (c.created_at, c.restart_count))
    }

    /// The one before the newest, if it ended.
    pub fn previous(&self, name: &str) -> Option<&Container> {
        let latest = self.latest(name)?;
        self.containers.iter().filter(|c| c.name == name && c.id != latest.id && c.state == RunState::Exited).max_by_key(|c| (c.created_at, c.restart_count))
    }

    pub fn any_running(&self) -> bool {
        self.containers.iter().any(|c| c.state == RunState::Running)
    }
}
