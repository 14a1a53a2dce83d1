//! The decision about one object. Pure.

use client::{Action, Plan, Propagation, Subresource, Target};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::json;

use super::graph::{FOREGROUND, ORPHAN};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnerState {
    /// Lives, or nothing is known against it.
    Solid,
    /// Is being deleted in the foreground and waits for this object.
    Waiting,
    Gone,
}

pub(crate) enum Observed {
    /// Deleted with `orphan`: the dependents are let go first.
    Orphaning { target: Target, meta: ObjectMeta, dependents: Vec<(Target, ObjectMeta)> },
    /// Deleted in the foreground.
    Waiting { target: Target, meta: ObjectMeta, waiting: bool },
    /// Has owners.
    Owned { target: Target, meta: ObjectMeta, owners: Vec<(String, OwnerState)>, has_dependents: bool, unblock: Vec<(Target, ObjectMeta)> },
}

pub(crate) fn plan(observed: Observed) -> Plan {
    match observed {
        Observed::Orphaning { target, meta, dependents } => {
            let owner = target.uid.clone().unwrap_or_default();
            let mut plan = Plan::of(dependents.into_iter().filter_map(|(dependent, meta)| without_owners(dependent, &meta, &[owner.as_str()])));
            plan.finally.extend(without_finalizer(target, &meta, ORPHAN));
            plan
        }
        Observed::Waiting { waiting: true, .. } => Plan::default(),
        Observed::Waiting { target, meta, .. } => Plan::of(without_finalizer(target, &meta, FOREGROUND)),
        Observed::Owned { target, meta, owners, has_dependents, unblock } => owned(target, &meta, &owners, has_dependents, unblock),
    }
}

fn owned(target: Target, meta: &ObjectMeta, owners: &[(String, OwnerState)], has_dependents: bool, unblock: Vec<(Target, ObjectMeta)>) -> Plan {
    let of = |state: OwnerState| owners.iter().filter(move |(_, s)| *s == state).map(|(uid, _)| uid.as_str());
    let (gone, waiting): (Vec<&str>, Vec<&str>) = (of(OwnerState::Gone).collect(), of(OwnerState::Waiting).collect());
    if owners.is_empty() || meta.deletion_timestamp.is_some() {
        return Plan::default();
    }
    if of(OwnerState::Solid).next().is_some() {
        let dropped: Vec<&str> = gone.into_iter().chain(waiting).collect();
        return Plan::of(if dropped.is_empty() { None } else { without_owners(target, meta, &dropped) });
    }
    // The owners' uids were read with this resourceVersion: an owner added meanwhile makes the deletion fail.
    let delete = |propagation| Action::Delete { target: target.clone(), propagation: Some(propagation), grace: None, announce: None };
    if !waiting.is_empty() && has_dependents {
        let own = target.uid.clone().unwrap_or_default();
        let mut plan = Plan::of(unblock.into_iter().filter_map(|(dependent, meta)| unblocked(dependent, &meta, &own)));
        plan.actions.push(delete(Propagation::Foreground));
        return plan;
    }
    let has = |finalizer: &str| meta.finalizers.iter().flatten().any(|f| f == finalizer);
    Plan::of([delete(if has(ORPHAN) {
        Propagation::Orphan
    } else if has(FOREGROUND) {
        Propagation::Foreground
    } else {
        Propagation::Background
    })])
}

fn patch(target: Target, body: serde_json::Value) -> Action {
    Action::Patch { target, subresource: Subresource::None, body, announce: None }
}

fn without_owners(target: Target, meta: &ObjectMeta, uids: &[&str]) -> Option<Action> {
    let before = meta.owner_references.as_deref().unwrap_or_default();
    let kept: Vec<_> = before.iter().filter(|o| !uids.contains(&o.uid.as_str())).collect();
    (kept.len() < before.len()).then(|| patch(target, json!({"metadata": {"ownerReferences": kept}})))
}

/// Opens a circle: the dependent no longer blocks the deletion of its owner.
fn unblocked(target: Target, meta: &ObjectMeta, owner: &str) -> Option<Action> {
    let mut owners = meta.owner_references.clone().unwrap_or_default();
    let mut changed = false;
    for reference in owners.iter_mut().filter(|o| o.uid == owner && o.block_owner_deletion == Some(true)) {
        reference.block_owner_deletion = Some(false);
        changed = true;
    }
    changed.then(|| patch(target, json!({"metadata": {"ownerReferences": owners}})))
}

fn without_finalizer(target: Target, meta: &ObjectMeta, finalizer: &str) -> Option<Action> {
    let before = meta.finalizers.as_deref().unwrap_or_default();
    let kept: Vec<_> = before.iter().filter(|f| *f != finalizer).collect();
    (kept.len() < before.len()).then(|| patch(target, json!({"metadata": {"finalizers": kept}})))
}
