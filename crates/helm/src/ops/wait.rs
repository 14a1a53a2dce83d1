//! Waiting for objects by watches: until each is ready, has run, or is gone. Nothing polls.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use serde_json::Value;

use super::ready::{Readiness, completion, readiness};
use crate::cluster::{Cluster, Object};
use crate::failure::{Failure, Outcome};
use crate::storage::escape;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    Ready,
    /// Like `Ready`, and jobs have run.
    ReadyAndJobsDone,
    /// Pods and jobs have run.
    HooksDone,
    Gone,
}

impl Goal {
    fn state(self, object: Option<&Value>) -> Readiness {
        let Some(object) = object else {
            return if self == Goal::Gone { Readiness::Current } else { Readiness::InProgress("Resource not found".into()) };
        };
        match self {
            Goal::Ready => readiness(object),
            Goal::ReadyAndJobsDone if object["kind"] == "Job" => completion(object),
            Goal::ReadyAndJobsDone => readiness(object),
            Goal::HooksDone => completion(object),
            Goal::Gone => Readiness::Terminating,
        }
    }
}

/// Waits for all, at most so long. The error names each that did not get there.
pub async fn wait_for(cluster: &Cluster, objects: &[Object], goal: Goal, timeout: Duration) -> Outcome {
    let deadline = tokio::time::Instant::now() + timeout;
    let waited = |o: &&Object| goal != Goal::HooksDone || matches!(o.kind(), "Pod" | "Job");
    let mut open: FuturesUnordered<_> = objects.iter().filter(waited).map(|object| one(cluster, object, goal, deadline)).collect();
    let mut faults = Vec::new();
    let mut timed_out = false;
    while let Some((object, state)) = open.next().await {
        if state == Readiness::Current {
            continue;
        }
        timed_out |= !matches!(state, Readiness::Failed(_));
        let what = if goal == Goal::Gone { "still exists" } else { "not ready" };
        faults.push(format!("resource {} {what}. status: {}, message: {}", object.slashed(), state.word(), state.message()));
    }
    if faults.is_empty() {
        return Ok(());
    }
    faults.sort();
    if timed_out {
        faults.push("context deadline exceeded".into());
    }
    Err(Failure::new(faults.join("\n")))
}

/// Follows one object until it is there, has failed for good, or the time is up.
async fn one<'a>(cluster: &Cluster, object: &'a Object, goal: Goal, deadline: tokio::time::Instant) -> (&'a Object, Readiness) {
    let mut state = Readiness::InProgress("Unknown".into());
    let follow = async {
        // A watch that ends is begun again from what is there then; a server that does not answer is asked again, ever more slowly.
        let first = Duration::from_millis(100);
        let mut pause = first;
        loop {
            match follow_once(cluster, object, goal, &mut state).await {
                Some(true) => return,
                Some(false) => pause = first,
                None => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(5));
                }
            }
        }
    };
    let _ = tokio::time::timeout_at(deadline, follow).await;
    (object, state)
}

/// `Some(true)` when the end was reached, `Some(false)` when a watch ran out, `None` when the server did not answer.
async fn follow_once(cluster: &Cluster, object: &Object, goal: Goal, state: &mut Readiness) -> Option<bool> {
    let fields = escape(&format!("metadata.name={}", object.name));
    let list = cluster.get(&format!("{}?fieldSelector={fields}", object.collection())).await.ok()?;
    let mut here = list["items"].as_array().and_then(|items| items.first().cloned());
    if let Some(here) = here.as_mut() {
        // Items of lists do not name their kind.
        here["kind"] = Value::String(object.kind().to_string());
        here["apiVersion"] = Value::String(object.resource.group_version.clone());
    }
    if reached(goal, here.as_ref(), state) {
        return Some(true);
    }
    let version = list["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let events = cluster.watch(&format!("{}?watch=true&fieldSelector={fields}&resourceVersion={version}", object.collection())).await.ok()?;
    tokio::pin!(events);
    while let Some(event) = events.next().await {
        let event = event.ok()?;
        let done = match event["type"].as_str().unwrap_or_default() {
            "ADDED" | "MODIFIED" => reached(goal, Some(&event["object"]), state),
            "DELETED" => reached(goal, None, state),
            // Too old, or refused: begun anew.
            _ => return Some(false),
        };
        if done {
            return Some(true);
        }
    }
    Some(false)
}

fn reached(goal: Goal, object: Option<&Value>, state: &mut Readiness) -> bool {
    *state = goal.state(object);
    match state {
        Readiness::Current => true,
        // A job or a pod that has failed never comes back; a deployment past its deadline may.
        Readiness::Failed(_) => goal != Goal::Gone && object.is_some_and(|o| o["kind"] == "Job" || o["kind"] == "Pod" && goal == Goal::HooksDone),
        _ => false,
    }
}
