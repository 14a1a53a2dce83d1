//! The decision: the newest set, the sizes of all sets, what history to drop, the status. Pure.

use std::sync::Arc;

use client::{Action, Announce, EventType, Plan, owner_reference, reference};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, ReplicaSet, ReplicaSetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use scheduling::labels::{selects, selects_all};
use serde_json::json;

use super::revision::{DESIRED, REVISION, annotate_newest, annotate_size, int_annotation, max_revision, revision_of};
use super::scale::{Bounds, newest_size, proportional, shrink_old, size, total};
use super::status::{condition, counted, deadline, is_complete, judged, set_condition};
use super::template::{HASH_LABEL, hash_of, same_template};
use crate::ownership::{Claim, Claimant, claim};

pub(crate) struct Observed {
    pub deployment: Arc<Deployment>,
    /// Sets that this deployment controls and sets of the namespace that nobody controls.
    pub sets: Vec<Arc<ReplicaSet>>,
    pub may_adopt: bool,
    /// Uids of sets that still have pods which are not finished: a Recreate waits for them.
    pub sets_with_pods: Vec<String>,
}

pub(crate) fn claim_sets(deployment: &Deployment, sets: &[Arc<ReplicaSet>], may_adopt: bool) -> Claim<ReplicaSet> {
    let owner = owner_reference(deployment);
    let uid = owner.uid.clone();
    let by_selector = |labels: Option<&_>| selects(&deployment.spec.selector, labels);
    let claimant = Claimant { owner, deleting: deployment.metadata.deletion_timestamp.is_some(), selects: &by_selector };
    let candidates = sets.iter().filter(|s| may_adopt || client::controller_owner(&***s).is_some_and(|o| o.uid == uid));
    claim(&claimant, candidates.cloned())
}

pub(crate) fn plan(observed: Observed, now: Timestamp) -> Plan {
    let deployment = &*observed.deployment;
    let spec = &deployment.spec;
    if selects_all(&spec.selector) {
        let words = "This deployment is selecting all pods. A non-empty selector is required.";
        return Plan::of([Action::event(reference(deployment), EventType::Warning, "SelectingAll", words)]);
    }
    let claimed = claim_sets(deployment, &observed.sets, observed.may_adopt);
    let mut sets = claimed.mine;
    sets.sort_by_key(|s| (s.metadata.creation_timestamp.as_ref().map(|t| t.0), s.metadata.name.clone()));
    let newest = sets.iter().position(|s| s.spec.template.as_ref().is_some_and(|t| same_template(t, &spec.template)));
    let mut work = Rollout {
        deployment,
        bounds: Bounds::of(deployment),
        newest: newest.map(|at| sets[at].clone()),
        old: sets.iter().enumerate().filter(|(at, _)| Some(*at) != newest).map(|(_, s)| s.clone()).collect(),
        status: deployment.status.clone().unwrap_or_default(),
        now,
        plan: Plan::of(claimed.actions),
    };
    if deployment.metadata.deletion_timestamp.is_some() {
        return work.finish(false);
    }
    work.note_pause();
    if spec.paused == Some(true) || work.is_scaling() {
        work.sync_newest();
        work.scale_all();
        if spec.paused == Some(true) {
            work.drop_history();
        }
        return work.finish(false);
    }
    if work.bounds.rolling { work.roll() } else { work.recreate(&observed.sets_with_pods) }
    work.finish(true)
}

struct Rollout<'a> {
    deployment: &'a Deployment,
    bounds: Bounds,
    newest: Option<Arc<ReplicaSet>>,
    /// Oldest first.
    old: Vec<Arc<ReplicaSet>>,
    /// The status with the conditions as they become.
    status: DeploymentStatus,
    now: Timestamp,
    plan: Plan,
}

impl Rollout<'_> {
    fn roll(&mut self) {
        if self.newest.is_none() {
            return self.create_newest();
        }
        self.sync_newest();
        let Some(newest) = self.newest.clone() else { return };
        let sizes: Vec<i32> = self.old.iter().map(|s| size(s)).collect();
        let now_size = size(&newest);
        // Upstream: reconcileNewReplicaSet; then, only if that changed nothing, the old ones.
        let wanted = if now_size > self.bounds.replicas { self.bounds.replicas } else { newest_size(&self.bounds, now_size, total(&sizes).saturating_add(now_size)) };
        if wanted != now_size {
            return self.resize(&newest, wanted);
        }
        let old = self.old.clone();
        let shrunk = shrink_old(&self.bounds, &newest, now_size, &old.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        let mut changed = false;
        for (set, wanted) in old.iter().zip(shrunk) {
            changed |= size(set) != wanted;
            self.resize(set, wanted);
        }
        if !changed && is_complete(self.deployment, &self.status) {
            self.drop_history();
        }
    }

    fn recreate(&mut self, sets_with_pods: &[String]) {
        let old = self.old.clone();
        let mut waiting = false;
        for set in &old {
            waiting |= size(set) != 0 || set.metadata.uid.as_ref().is_some_and(|uid| sets_with_pods.contains(uid));
            self.resize(set, 0);
        }
        if waiting {
            return self.sync_newest();
        }
        if self.newest.is_none() {
            return self.create_newest();
        }
        self.sync_newest();
        if let Some(newest) = self.newest.clone() {
            self.resize(&newest, self.bounds.replicas);
        }
        if is_complete(self.deployment, &self.status) {
            self.drop_history();
        }
    }

    /// Paused and resumed count as progress, so that the deadline starts anew. Upstream: checkPausedConditions.
    fn note_pause(&mut self) {
        if deadline(self.deployment).is_none() {
            return;
        }
        let reason = condition(&self.status, "Progressing").and_then(|c| c.reason.clone());
        if reason.as_deref() == Some("ProgressDeadlineExceeded") {
            return;
        }
        let paused = self.deployment.spec.paused == Some(true);
        let noted = reason.as_deref() == Some("DeploymentPaused");
        if paused && !noted {
            set_condition(&mut self.status, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused".into(), self.now);
        } else if !paused && noted {
            set_condition(&mut self.status, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed".into(), self.now);
        }
    }

    fn is_scaling(&self) -> bool {
        let active = self.old.iter().chain(&self.newest).filter(|s| size(s) > 0);
        active.filter_map(|s| int_annotation(s, DESIRED)).any(|desired| desired != self.bounds.replicas)
    }

    /// Scales without rolling: one active set takes all, several keep their shares. Upstream: dc.scale.
    fn scale_all(&mut self) {
        let all: Vec<_> = self.old.iter().chain(&self.newest).cloned().collect();
        let active: Vec<_> = all.iter().filter(|s| size(s) > 0).cloned().collect();
        let only = match active.len() {
            0 => self.newest.clone().or_else(|| self.old.last().cloned()),
            1 => Some(active[0].clone()),
            _ => None,
        };
        if let Some(set) = only {
            return self.resize(&set, self.bounds.replicas);
        }
        let saturated = self.newest.as_ref().is_some_and(|s| {
            size(s) == self.bounds.replicas && int_annotation(s, DESIRED) == Some(self.bounds.replicas) && super::scale::available(s) == self.bounds.replicas
        });
        if saturated {
            for set in self.old.clone().iter().filter(|s| size(s) > 0) {
                self.resize(set, 0);
            }
        } else if self.bounds.rolling {
            let sizes = proportional(&self.bounds, self.status.replicas.unwrap_or(0), &active.iter().map(AsRef::as_ref).collect::<Vec<_>>());
            for (set, wanted) in active.iter().zip(sizes) {
                self.resize(set, wanted);
            }
        }
    }

    /// Keeps annotations and minReadySeconds of the newest set, and the deployment's revision, up to date.
    fn sync_newest(&mut self) {
        let Some(newest) = self.newest.clone() else { return };
        let revision = max_revision(self.old.iter().map(AsRef::as_ref)) + 1;
        let mut changed = (*newest).clone();
        annotate_newest(self.deployment, changed.metadata.annotations.get_or_insert_default(), revision, true);
        let min_ready = self.deployment.spec.min_ready_seconds;
        if changed.spec.min_ready_seconds.unwrap_or(0) != min_ready.unwrap_or(0) {
            changed.spec.min_ready_seconds = min_ready;
        }
        self.plan.actions.extend(Action::update(&*newest, &changed));
        self.note_revision(revision_of(&changed));
        if deadline(self.deployment).is_some() && condition(&self.status, "Progressing").is_none() {
            let name = newest.metadata.name.as_deref().unwrap_or_default();
            set_condition(&mut self.status, "Progressing", "True", "FoundNewReplicaSet", format!("Found new replica set {name:?}"), self.now);
        }
    }

    fn note_revision(&mut self, revision: i64) {
        let known = self.deployment.metadata.annotations.as_ref().and_then(|a| a.get(REVISION));
        if known.map(String::as_str) != Some(&revision.to_string()) {
            let mut patch = Action::patch(self.deployment, json!({"metadata": {"annotations": {REVISION: revision.to_string()}}}));
            if let Action::Patch { target, subresource, .. } = &mut patch {
                // Upstream writes it with the status, where it does not count as a change of what is wanted.
                *subresource = client::Subresource::Status;
                // The annotation is ours alone; the status write that follows must not find its revision outdated by it.
                target.resource_version = None;
            }
            self.plan.actions.push(patch);
        }
    }

    fn create_newest(&mut self) {
        let deployment = self.deployment;
        let spec = &deployment.spec;
        let hash = hash_of(&spec.template, self.status.collision_count);
        let name = format!("{}-{hash}", deployment.metadata.name.as_deref().unwrap_or_default());
        let revision = max_revision(self.old.iter().map(AsRef::as_ref)) + 1;
        let mut template = spec.template.clone();
        let labels = template.metadata.get_or_insert_default().labels.get_or_insert_default();
        labels.insert(HASH_LABEL.into(), hash.clone());
        let labels = labels.clone();
        let mut selector = spec.selector.clone();
        selector.match_labels.get_or_insert_default().insert(HASH_LABEL.into(), hash);
        let current = total(&self.old.iter().map(|s| size(s)).collect::<Vec<_>>());
        let replicas = newest_size(&self.bounds, 0, current);
        let mut annotations = std::collections::BTreeMap::new();
        annotate_newest(deployment, &mut annotations, revision, false);
        annotate_size(&mut annotations, self.bounds.replicas, self.bounds.max_total());
        let set = ReplicaSet {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                namespace: deployment.metadata.namespace.clone(),
                labels: Some(labels),
                annotations: Some(annotations),
                owner_references: Some(vec![owner_reference(deployment)]),
                ..ObjectMeta::default()
            },
            spec: ReplicaSetSpec { replicas: Some(replicas), min_ready_seconds: spec.min_ready_seconds, selector, template: Some(template) },
            status: None,
        };
        let done = (replicas > 0).then(|| ("ScalingReplicaSet", format!("Scaled up replica set {name} from 0 to {replicas}")));
        let failed = Some(("ReplicaSetCreateError", format!("Failed to create new replica set {name:?}: {{error}}")));
        self.plan.actions.push(Action::create(&set).announced(Announce { regarding: reference(deployment), done, failed }));
        self.note_revision(revision);
        self.answer_failed_creation(&name);
        if deadline(deployment).is_some() {
            set_condition(&mut self.status, "Progressing", "True", "NewReplicaSetCreated", format!("Created new replica set {name:?}"), self.now);
        }
    }

    /// A name in use by another set means a colliding hash: count it, so that the next try has another name.
    fn answer_failed_creation(&mut self, name: &str) {
        let (before, now, name) = (self.deployment.clone(), self.now, name.to_owned());
        self.plan.on_failure = Some(Box::new(move |failure| {
            if !matches!(failure.action, Action::Create { .. }) || failure.is_stale() {
                return Vec::new();
            }
            let mut after = before.clone();
            let status = after.status.get_or_insert_default();
            if failure.is_already_exists() {
                status.collision_count = Some(status.collision_count.unwrap_or(0).saturating_add(1));
            } else if deadline(&before).is_some() {
                let message = format!("Failed to create new replica set {name:?}: {}", failure.message());
                set_condition(status, "Progressing", "False", "ReplicaSetCreateError", message, now);
            }
            Action::update_status(&before, &after).into_iter().collect()
        }));
    }

    fn resize(&mut self, set: &Arc<ReplicaSet>, wanted: i32) {
        let before = size(set);
        let mut changed = (**set).clone();
        annotate_size(changed.metadata.annotations.get_or_insert_default(), self.bounds.replicas, self.bounds.max_total());
        if before == wanted && (before == 0 || changed.metadata.annotations == set.metadata.annotations) {
            return;
        }
        changed.spec.replicas = Some(wanted);
        let Some(mut action) = Action::update(&**set, &changed) else { return };
        if before != wanted {
            let way = if wanted > before { "up" } else { "down" };
            let name = set.metadata.name.as_deref().unwrap_or_default();
            let words = format!("Scaled {way} replica set {name} from {before} to {wanted}");
            action = action.announced(Announce { regarding: reference(self.deployment), done: Some(("ScalingReplicaSet", words)), failed: None });
        }
        self.merge_or_push(action);
    }

    /// Two changes of one object travel as one: the first would outdate the resourceVersion of the second.
    fn merge_or_push(&mut self, action: Action) {
        if let Action::Patch { target, body, announce, .. } = &action {
            for earlier in &mut self.plan.actions {
                if let Action::Patch { target: same, body: into, announce: slot, .. } = earlier
                    && same == target
                {
                    merge(into, body);
                    slot.clone_from(announce);
                    return;
                }
            }
        }
        self.plan.actions.push(action);
    }

    /// Drops the oldest empty sets beyond the limit. Upstream: cleanupDeployment.
    fn drop_history(&mut self) {
        let limit = self.deployment.spec.revision_history_limit.unwrap_or(10);
        let mut old: Vec<_> = self.old.iter().filter(|s| s.metadata.deletion_timestamp.is_none()).collect();
        let surplus = old.len().saturating_sub(usize::try_from(limit).unwrap_or(0));
        old.sort_by_key(|s| (revision_of(s), s.metadata.creation_timestamp.as_ref().map(|t| t.0)));
        let idle = |s: &ReplicaSet| {
            let status = s.status.clone().unwrap_or_default();
            status.replicas == 0 && size(s) == 0 && s.metadata.generation <= status.observed_generation
        };
        let dropped: Vec<Action> = old.into_iter().take(surplus).filter(|s| idle(s)).map(|s| Action::delete(&**s)).collect();
        self.plan.actions.extend(dropped);
    }

    fn finish(mut self, rolling: bool) -> Plan {
        let mut with_conditions = self.deployment.clone();
        with_conditions.status = Some(self.status.clone());
        let all: Vec<&ReplicaSet> = self.old.iter().chain(&self.newest).map(AsRef::as_ref).collect();
        let mut status = counted(&with_conditions, &all, self.newest.as_deref(), self.now);
        if rolling {
            self.plan.wake = judged(&with_conditions, &mut status, &all, self.newest.as_deref(), self.now);
        }
        let mut after = self.deployment.clone();
        after.status = Some(status);
        if let Some(mut action) = Action::update_status(self.deployment, &after) {
            // When the same plan writes the annotation first, the resourceVersion has moved by our own hand.
            let moved = self.plan.actions.iter().any(|a| matches!(a, Action::Patch { target, .. } if target.uid == self.deployment.metadata.uid));
            if let Action::Patch { target, .. } = &mut action {
                target.resource_version = target.resource_version.take().filter(|_| !moved);
            }
            self.plan.finally.push(action);
        }
        self.plan
    }
}

fn merge(into: &mut serde_json::Value, from: &serde_json::Value) {
    match (into, from) {
        (serde_json::Value::Object(into), serde_json::Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(serde_json::Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
