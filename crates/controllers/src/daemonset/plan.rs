//! The decision about one daemon set. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Action, Announce, EventType, ObjectKey, Plan, owner_reference, reference};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::{Node, Pod};
use scheduling::labels::selects;

use super::nodes::{node_of, pod_for, suits};
use super::update::{is_new, replace};
use crate::history;
use crate::ownership::{Claim, Claimant, claim};
use crate::pods;

/// A pod that fails at once is not tried more often than this.
const RETRY_SECONDS: i64 = 1;

pub(crate) struct Observed {
    pub set: Arc<DaemonSet>,
    pub pods: Vec<Arc<Pod>>,
    pub nodes: Vec<Arc<Node>>,
    pub revisions: Vec<Arc<ControllerRevision>>,
    pub may_adopt: bool,
}

pub(crate) fn claim_pods(set: &DaemonSet, pods: &[Arc<Pod>], may_adopt: bool) -> Claim<Pod> {
    let owner = owner_reference(set);
    let uid = owner.uid.clone();
    let by_selector = |labels: Option<&_>| selects(&set.spec.selector, labels);
    let claimant = Claimant { owner, deleting: set.metadata.deletion_timestamp.is_some(), selects: &by_selector };
    claim(&claimant, pods.iter().filter(|p| may_adopt || client::controller_owner(&***p).is_some_and(|o| o.uid == uid)).cloned())
}

pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let set = &*observed.set;
    let claimed = claim_pods(set, &observed.pods, observed.may_adopt);
    let mut plan = Plan::of(claimed.actions);
    if set.metadata.deletion_timestamp.is_some() {
        return plan;
    }
    let owner = history::Owner {
        meta: &set.metadata,
        reference: owner_reference(set),
        template: &set.spec.template,
        collisions: set.status.as_ref().and_then(|s| s.collision_count),
        limit: usize::try_from(set.spec.revision_history_limit.unwrap_or(10)).unwrap_or(0),
    };
    let current = history::current(&owner, &observed.revisions);
    plan.actions.extend(current.actions);
    let mut by_node: BTreeMap<String, Vec<Arc<Pod>>> = BTreeMap::new();
    for pod in &claimed.mine {
        by_node.entry(node_of(pod)).or_default().push(pod.clone());
    }
    let mut wanted = Vec::new();
    let (mut create, mut delete) = (Vec::new(), Vec::new());
    for node in &observed.nodes {
        let name = node.metadata.name.clone().unwrap_or_default();
        let (start, stay) = suits(set, node);
        let here = by_node.get(&name).cloned().unwrap_or_default();
        let (kept, gone) = settle(set, &here, start, stay, &current.hash, now, &mut plan);
        delete.extend(gone);
        if start {
            if kept == 0 {
                create.push(name.clone());
            }
            wanted.push(name);
        }
    }
    // Pods of nodes that are gone.
    let known = |name: &String| observed.nodes.iter().any(|n| n.metadata.name.as_ref() == Some(name));
    delete.extend(by_node.iter().filter(|(name, _)| !known(name)).flat_map(|(_, pods)| pods.iter().filter(|p| !pods::is_terminating(p)).cloned()));
    let rolling = set.spec.update_strategy.as_ref().and_then(|s| s.type_.as_deref()) != Some("OnDelete");
    if rolling && create.is_empty() && delete.is_empty() {
        let (old, surge) = replace(set, &by_node, &wanted, &current.hash, now);
        delete.extend(old);
        create.extend(surge);
    }
    plan.actions.extend(delete.iter().map(|pod| remove(set, pod)));
    plan.actions.extend(create.iter().map(|node| add(set, node, &current.hash)));
    let in_use: Vec<&str> = observed.revisions.iter().filter(|r| claimed.mine.iter().any(|p| is_new(p, history::hash_of(r)))).filter_map(|r| r.metadata.name.as_deref()).chain([current.name.as_str()]).collect();
    plan.finally.extend(history::trim(&observed.revisions, &in_use, owner.limit));
    status(observed, &by_node, &wanted, &current.hash, now, &mut plan);
    plan
}

/// Of the pods on one node: how many stay, and which go.
fn settle(set: &DaemonSet, here: &[Arc<Pod>], start: bool, stay: bool, hash: &str, now: Timestamp, plan: &mut Plan) -> (usize, Vec<Arc<Pod>>) {
    let mut gone = Vec::new();
    let mut kept: Vec<&Arc<Pod>> = Vec::new();
    for pod in here {
        if pods::is_terminating(pod) {
            // Its place is taken until it is gone.
            kept.push(pod);
        } else if !stay {
            gone.push(pod.clone());
        } else if pods::is_terminal(pod) {
            let age = pod.metadata.creation_timestamp.as_ref().map_or(RETRY_SECONDS, |t| now.duration_since(t.0).as_secs());
            if age < RETRY_SECONDS {
                plan.wake_after(Duration::from_secs((RETRY_SECONDS - age).unsigned_abs()));
                kept.push(pod);
                continue;
            }
            let words = format!("Found failed daemon pod {} on node {}, will try to kill it", ObjectKey::of(&**pod), node_of(pod));
            plan.actions.push(Action::event(reference(set), EventType::Warning, "FailedDaemonPod", words));
            gone.push(pod.clone());
            // The new one is made once the old one is gone.
            kept.push(pod);
        } else {
            kept.push(pod);
        }
    }
    // More than one, but for a pair of old and new: the oldest stays.
    let mut live: Vec<_> = kept.iter().filter(|p| pods::is_active(p)).copied().collect();
    live.sort_by_key(|p| p.metadata.creation_timestamp.as_ref().map(|t| t.0));
    for new in [true, false] {
        gone.extend(live.iter().filter(|p| is_new(p, hash) == new).skip(1).map(|p| (*p).clone()));
    }
    (if start { kept.len() } else { 0 }, gone)
}

fn remove(set: &DaemonSet, pod: &Pod) -> Action {
    Action::delete(pod).announced(Announce {
        regarding: reference(set),
        done: Some(("SuccessfulDelete", "Deleted pod: {name}".into())),
        failed: Some(("FailedDelete", "Error deleting: {error}".into())),
    })
}

fn add(set: &DaemonSet, node: &str, hash: &str) -> Action {
    Action::create(&pod_for(set, node, hash)).announced(Announce {
        regarding: reference(set),
        done: Some(("SuccessfulCreate", "Created pod: {name}".into())),
        failed: Some(("FailedCreate", "Error creating: {error}".into())),
    })
}

fn status(observed: &Observed, by_node: &BTreeMap<String, Vec<Arc<Pod>>>, wanted: &[String], hash: &str, now: Timestamp, plan: &mut Plan) {
    let set = &*observed.set;
    let min_ready = set.spec.min_ready_seconds.unwrap_or(0);
    let mut after = set.clone();
    let status = after.status.get_or_insert_default();
    let (mut scheduled, mut ready, mut available, mut updated, mut misplaced) = (0, 0, 0, 0, 0);
    for node in &observed.nodes {
        let name = node.metadata.name.clone().unwrap_or_default();
        let here: Vec<_> = by_node.get(&name).into_iter().flatten().filter(|p| !pods::is_terminal(p)).collect();
        if here.is_empty() {
            continue;
        }
        if !wanted.contains(&name) {
            misplaced += 1;
            continue;
        }
        scheduled += 1;
        // The oldest speaks for the node, a ready one before all.
        let speaker = here.iter().find(|p| pods::is_ready(p)).or(here.first());
        if let Some(pod) = speaker.filter(|p| pods::is_ready(p)) {
            ready += 1;
            available += i32::from(pods::is_available(pod, min_ready, now));
        }
        updated += i32::from(here.iter().any(|p| is_new(p, hash)));
    }
    let desired = i32::try_from(wanted.len()).unwrap_or(i32::MAX);
    let count = |now: i32, before: Option<i32>| if now == 0 && before.is_none_or(|b| b == 0) { before } else { Some(now) };
    status.current_number_scheduled = scheduled;
    status.desired_number_scheduled = desired;
    status.number_misscheduled = misplaced;
    status.number_ready = ready;
    status.number_available = count(available, status.number_available);
    status.number_unavailable = count(desired - available, status.number_unavailable);
    status.updated_number_scheduled = count(updated, status.updated_number_scheduled);
    status.observed_generation = set.metadata.generation;
    plan.finally.extend(Action::update_status(set, &after));
    if min_ready > 0 && available < ready {
        let all: Vec<_> = by_node.values().flatten().cloned().collect();
        if let Some(wait) = pods::next_available(&all, min_ready, now) {
            plan.wake_after(Duration::from_secs(wait));
        }
    }
}
