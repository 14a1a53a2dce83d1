//! The decision: which pods to create, which to delete, and the status. Pure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Action, Announce, Plan};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::view::{Complaint, Counts, Replicated};
use crate::ownership::{Claim, Claimant, claim};
use crate::pods;

/// Upstream: BurstReplicas.
const BURST: usize = 500;

pub(crate) struct Observed<R> {
    pub set: Arc<R>,
    /// Pods that this set controls and pods of the namespace that nobody controls.
    pub pods: Vec<Arc<Pod>>,
    /// Pods of all sets of the same owner, for spreading deletions: the number per node.
    pub crowd: HashMap<String, usize>,
    /// The API confirmed that the set still lives; asked only when something is to be adopted.
    pub may_adopt: bool,
}

pub(crate) fn claim_pods<R: Replicated>(set: &R, pods: &[Arc<Pod>], may_adopt: bool) -> Claim<Pod> {
    let owner = set.owner_reference();
    let by_selector = |labels: Option<&_>| set.selects(labels);
    let claimant = Claimant { owner: owner.clone(), deleting: set.meta().deletion_timestamp.is_some(), selects: &by_selector };
    // Finished pods are nobody's business: they are neither adopted nor counted.
    let candidates = pods.iter().filter(|p| pods::is_active(p) || client::controller_owner(&***p).is_some());
    let candidates = candidates.filter(|p| may_adopt || client::controller_owner(&***p).is_some_and(|o| o.uid == owner.uid));
    claim(&claimant, candidates.cloned())
}

pub(crate) fn plan<R: Replicated>(observed: Observed<R>, now: Timestamp) -> Plan {
    let set = &observed.set;
    let claimed = claim_pods(&**set, &observed.pods, observed.may_adopt);
    let (active, rest): (Vec<_>, Vec<_>) = claimed.mine.into_iter().partition(|p| pods::is_active(p));
    let terminating = rest.iter().filter(|p| pods::is_terminating(p) && !pods::is_terminal(p)).count();
    let mut plan = Plan::of(claimed.actions);
    let mut failing = "FailedCreate";
    if set.meta().deletion_timestamp.is_none() {
        let wanted = usize::try_from(set.replicas()).unwrap_or(0);
        if active.len() < wanted {
            plan.actions.extend(creations(&**set, (wanted - active.len()).min(BURST)));
        } else if active.len() > wanted {
            failing = "FailedDelete";
            let mut order: Vec<_> = active.iter().collect();
            let crowd = |node: &str| observed.crowd.get(node).copied().unwrap_or(0);
            order.sort_by(|a, b| pods::deletion_order(a, b, crowd, now));
            plan.actions.extend(order.iter().take((active.len() - wanted).min(BURST)).map(|pod| deletion(&**set, pod)));
        }
    }
    let counts = count(&**set, &active, terminating, now);
    plan.finally.extend(set.status_action(counts, None));
    let failed = set.clone();
    plan.on_failure = Some(Box::new(move |failure| {
        if failure.is_stale() {
            return Vec::new();
        }
        let complaint = Complaint { reason: failing, message: failure.message(), at: Time(now) };
        failed.status_action(counts, Some(&complaint)).into_iter().collect()
    }));
    if set.min_ready() > 0 && counts.available < counts.ready {
        plan.wake = pods::next_available(&active, set.min_ready(), now).map(Duration::from_secs);
    }
    plan
}

fn creations<R: Replicated>(set: &R, count: usize) -> Vec<Action> {
    let Some(template) = set.template() else { return Vec::new() };
    let meta = set.meta();
    let pod = pods::from_template(template, meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default(), set.owner_reference());
    let words = Announce {
        regarding: set.reference(),
        done: Some(("SuccessfulCreate", "Created pod: {name}".into())),
        failed: Some(("FailedCreate", "Error creating: {error}".into())),
    };
    vec![Action::create(&pod).announced(words); count]
}

fn deletion<R: Replicated>(set: &R, pod: &Pod) -> Action {
    Action::delete(pod).announced(Announce {
        regarding: set.reference(),
        done: Some(("SuccessfulDelete", "Deleted pod: {name}".into())),
        failed: Some(("FailedDelete", "Error deleting: {error}".into())),
    })
}

fn count<R: Replicated>(set: &R, active: &[Arc<Pod>], terminating: usize, now: Timestamp) -> Counts {
    let number = |test: &dyn Fn(&Pod) -> bool| i32::try_from(active.iter().filter(|p| test(p)).count()).unwrap_or(i32::MAX);
    let template_labels = set.template().and_then(|t| t.metadata.as_ref()).and_then(|m| m.labels.clone()).unwrap_or_default();
    let labeled = |pod: &Pod| template_labels.iter().all(|(k, v)| pod.metadata.labels.as_ref().and_then(|l| l.get(k)) == Some(v));
    Counts {
        replicas: number(&|_| true),
        fully_labeled: number(&labeled),
        ready: number(&pods::is_ready),
        available: number(&|pod| pods::is_available(pod, set.min_ready(), now)),
        terminating: i32::try_from(terminating).unwrap_or(i32::MAX),
    }
}
