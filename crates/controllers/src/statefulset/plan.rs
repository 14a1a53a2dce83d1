//! The decision about one stateful set: one step at a time in order, or all at once where the set asks for it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Action, Announce, EventType, Plan, Propagation, Target, owner_reference, reference};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{ControllerRevision, StatefulSet, StatefulSetStatus};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use scheduling::labels::selects;

use super::pod::{claims_of, ordinal_of, pod_of, revision_of};
use crate::history;
use crate::ownership::{Claim, Claimant, claim};
use crate::pods;

pub(crate) struct Observed {
    pub set: Arc<StatefulSet>,
    pub pods: Vec<Arc<Pod>>,
    pub revisions: Vec<Arc<ControllerRevision>>,
    /// Claims of the namespace, by name.
    pub claims: BTreeMap<String, Arc<PersistentVolumeClaim>>,
    pub may_adopt: bool,
}

pub(crate) fn claim_pods(set: &StatefulSet, pods: &[Arc<Pod>], may_adopt: bool) -> Claim<Pod> {
    let owner = owner_reference(set);
    let uid = owner.uid.clone();
    let by_selector = |labels: Option<&_>| selects(&set.spec.selector, labels);
    let claimant = Claimant { owner, deleting: set.metadata.deletion_timestamp.is_some(), selects: &by_selector };
    let own = |p: &&Arc<Pod>| client::controller_owner(&***p).is_some_and(|o| o.uid == uid);
    // Only a pod of the right name is adopted.
    claim(&claimant, pods.iter().filter(|p| own(p) || may_adopt && ordinal_of(set, p).is_some()).cloned())
}

pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let set = &*observed.set;
    let claimed = claim_pods(set, &observed.pods, observed.may_adopt);
    let mut plan = Plan::of(claimed.actions);
    let owner = history::Owner {
        meta: &set.metadata,
        reference: owner_reference(set),
        template: &set.spec.template,
        collisions: set.status.as_ref().and_then(|s| s.collision_count),
        limit: usize::try_from(set.spec.revision_history_limit.unwrap_or(10)).unwrap_or(0),
    };
    let update = history::current(&owner, &observed.revisions);
    let known = |name: &String| observed.revisions.iter().any(|r| r.metadata.name.as_ref() == Some(name));
    let current = set.status.as_ref().and_then(|s| s.current_revision.clone()).filter(known).unwrap_or_else(|| update.name.clone());
    plan.actions.extend(update.actions);
    let start = set.spec.ordinals.as_ref().and_then(|o| o.start).unwrap_or(0);
    let end = start.saturating_add(set.spec.replicas.unwrap_or(1).max(0));
    let (mut replicas, mut condemned) = (BTreeMap::new(), BTreeMap::new());
    for pod in claimed.mine {
        match ordinal_of(set, &pod) {
            Some(ordinal) if ordinal >= start && ordinal < end => replicas.insert(ordinal, pod),
            Some(ordinal) => condemned.insert(ordinal, pod),
            None => None,
        };
    }
    let mut step = Step {
        set,
        observed,
        now,
        min_ready: set.spec.min_ready_seconds.unwrap_or(0),
        parallel: set.spec.pod_management_policy.as_deref() == Some("Parallel"),
        start,
        end,
        replicas,
        condemned,
        current,
        update: update.name,
        plan,
    };
    if set.metadata.deletion_timestamp.is_none() {
        step.run();
    }
    step.finish(owner.limit)
}

struct Step<'a> {
    set: &'a StatefulSet,
    observed: &'a Observed,
    now: Timestamp,
    min_ready: i32,
    parallel: bool,
    start: i32,
    end: i32,
    replicas: BTreeMap<i32, Arc<Pod>>,
    condemned: BTreeMap<i32, Arc<Pod>>,
    /// Names of the revisions before and after an update.
    current: String,
    update: String,
    plan: Plan,
}

impl Step<'_> {
    fn healthy(&self, pod: &Pod) -> bool {
        pods::phase(pod) == "Running" && pods::is_ready(pod) && !pods::is_terminating(pod)
    }

    fn available(&self, pod: &Pod) -> bool {
        self.healthy(pod) && pods::is_available(pod, self.min_ready, self.now)
    }

    fn run(&mut self) {
        if self.make_replicas() && self.remove_condemned() {
            self.replace_old();
        }
    }

    /// True when all are there and the next thing may be done.
    fn make_replicas(&mut self) -> bool {
        let mut complete = true;
        for ordinal in self.start..self.end {
            let pod = self.replicas.get(&ordinal).cloned();
            let go_on = match &pod {
                None => {
                    self.create(ordinal);
                    false
                }
                Some(pod) if pods::is_terminal(pod) => {
                    if !pods::is_terminating(pod) {
                        let words = format!("StatefulSet {}/{} is recreating failed Pod {}", self.namespace(), self.name(), pod_name(pod));
                        self.plan.actions.push(Action::event(reference(self.set), EventType::Warning, "RecreatingFailedPod", words));
                        self.delete(pod);
                    }
                    false
                }
                Some(pod) => {
                    self.ensure_claims(ordinal);
                    self.available(pod)
                }
            };
            complete &= go_on;
            if !go_on && !self.parallel {
                return false;
            }
        }
        complete || self.parallel
    }

    fn remove_condemned(&mut self) -> bool {
        let first_unhealthy = self.replicas.values().chain(self.condemned.values()).filter(|p| !self.healthy(p)).min_by_key(|p| ordinal_of(self.set, p)).and_then(|p| p.metadata.uid.clone());
        for pod in self.condemned.clone().into_values().rev() {
            if pods::is_terminating(&pod) {
                if self.parallel {
                    continue;
                }
                return false;
            }
            // One that is unwell is waited for, unless it is the one that all wait for.
            if !self.parallel && !self.healthy(&pod) && pod.metadata.uid != first_unhealthy {
                return false;
            }
            self.delete(&pod);
            if !self.parallel {
                return false;
            }
        }
        true
    }

    /// Deletes pods of the old revision from the last to the partition, not more than may be missing.
    fn replace_old(&mut self) {
        let strategy = self.set.spec.update_strategy.as_ref();
        if strategy.and_then(|s| s.type_.as_deref()) == Some("OnDelete") {
            return;
        }
        let rolling = strategy.and_then(|s| s.rolling_update.as_ref());
        let partition = self.start.saturating_add(rolling.and_then(|r| r.partition).unwrap_or(0));
        let most = rolling.and_then(|r| r.max_unavailable.as_ref()).map_or(1, |v| crate::deployment::resolve(v, self.end - self.start, true)).max(1);
        let mut missing = self.replicas.values().filter(|p| !self.available(p)).count();
        for ordinal in (partition..self.end).rev() {
            let Some(pod) = self.replicas.get(&ordinal).cloned() else { return };
            let old = revision_of(&pod) != self.update;
            if old && !pods::is_terminating(&pod) {
                // An unwell one counts as missing already.
                if self.available(&pod) {
                    if missing >= usize::try_from(most).unwrap_or(1) {
                        return;
                    }
                    missing += 1;
                }
                self.delete(&pod);
                if missing >= usize::try_from(most).unwrap_or(1) {
                    return;
                }
            } else if !self.available(&pod) && missing >= usize::try_from(most).unwrap_or(1) {
                return;
            }
        }
    }

    fn name(&self) -> &str {
        self.set.metadata.name.as_deref().unwrap_or_default()
    }

    fn namespace(&self) -> &str {
        self.set.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The revision a pod of this ordinal is made of. Upstream: newVersionedStatefulSetPod.
    fn revision_for(&self, ordinal: i32) -> String {
        let strategy = self.set.spec.update_strategy.as_ref();
        let rolling = strategy.and_then(|s| s.rolling_update.as_ref());
        let on_delete = strategy.and_then(|s| s.type_.as_deref()) == Some("OnDelete");
        let kept = match rolling.and_then(|r| r.partition) {
            _ if on_delete => 0,
            Some(partition) if partition > 0 => partition,
            _ => self.set.status.as_ref().and_then(|s| s.current_replicas).unwrap_or(0),
        };
        if ordinal < self.start.saturating_add(kept) { self.current.clone() } else { self.update.clone() }
    }

    fn create(&mut self, ordinal: i32) {
        self.ensure_claims(ordinal);
        let revision = self.revision_for(ordinal);
        let found = self.observed.revisions.iter().find(|r| r.metadata.name.as_ref() == Some(&revision) && revision != self.update);
        let template = found.and_then(|r| history::template_of(r)).unwrap_or_else(|| self.set.spec.template.clone());
        let pod = pod_of(self.set, &template, ordinal, &revision);
        let (name, set) = (pod_name(&pod).to_owned(), self.name().to_owned());
        self.plan.actions.push(Action::create(&pod).announced(Announce {
            regarding: reference(self.set),
            done: Some(("SuccessfulCreate", format!("create Pod {name} in StatefulSet {set} successful"))),
            failed: Some(("FailedCreate", format!("create Pod {name} in StatefulSet {set} failed error: {{error}}"))),
        }));
    }

    fn ensure_claims(&mut self, ordinal: i32) {
        for claim in claims_of(self.set, ordinal) {
            let name = claim.metadata.name.clone().unwrap_or_default();
            if self.observed.claims.contains_key(&name) {
                continue;
            }
            let (pod, set) = (super::pod::name_of(self.set, ordinal), self.name().to_owned());
            self.plan.actions.push(Action::create(&claim).or_exists().announced(Announce {
                regarding: reference(self.set),
                done: Some(("SuccessfulCreate", format!("create Claim {name} Pod {pod} in StatefulSet {set} success"))),
                failed: Some(("FailedCreate", format!("create Claim {name} for Pod {pod} in StatefulSet {set} failed error: {{error}}"))),
            }));
        }
    }

    fn delete(&mut self, pod: &Pod) {
        let (name, set) = (pod_name(pod).to_owned(), self.name().to_owned());
        self.plan.actions.push(Action::delete(pod).announced(Announce {
            regarding: reference(self.set),
            done: Some(("SuccessfulDelete", format!("delete Pod {name} in StatefulSet {set} successful"))),
            failed: Some(("FailedDelete", format!("delete Pod {name} in StatefulSet {set} failed error: {{error}}"))),
        }));
    }

    fn finish(mut self, limit: usize) -> Plan {
        let all: Vec<&Arc<Pod>> = self.replicas.values().chain(self.condemned.values()).collect();
        let number = |test: &dyn Fn(&Pod) -> bool| i32::try_from(all.iter().filter(|p| test(p)).count()).unwrap_or(i32::MAX);
        let of = |revision: &str| number(&|p| !pods::is_terminating(p) && !pods::is_terminal(p) && revision_of(p) == revision);
        let before = self.set.status.clone().unwrap_or_default();
        let count = |now: i32, before: Option<i32>| if now == 0 && before.is_none_or(|b| b == 0) { before } else { Some(now) };
        let (ready, updated) = (number(&|p| self.healthy(p)), of(&self.update));
        let wanted = self.end - self.start;
        // The update is over: the new revision is the current one.
        let over = self.update != self.current && updated == wanted && ready == wanted && number(&|_| true) == wanted;
        let current = if over { self.update.clone() } else { self.current.clone() };
        let mut after = self.set.clone();
        after.status = Some(StatefulSetStatus {
            replicas: number(&|_| true),
            ready_replicas: count(ready, before.ready_replicas),
            available_replicas: Some(number(&|p| self.available(p))),
            current_replicas: count(of(&current), before.current_replicas),
            updated_replicas: count(updated, before.updated_replicas),
            current_revision: Some(current.clone()),
            update_revision: Some(self.update.clone()),
            observed_generation: self.set.metadata.generation,
            collision_count: Some(before.collision_count.unwrap_or(0)),
            conditions: before.conditions,
        });
        let waiting: Vec<Arc<Pod>> = self.replicas.values().filter(|p| self.healthy(p) && !self.available(p)).cloned().collect();
        if let Some(wait) = pods::next_available(&waiting, self.min_ready, self.now) {
            self.plan.wake_after(Duration::from_secs(wait));
        }
        let in_use: Vec<&str> = all.iter().map(|p| revision_of(p)).chain([current.as_str(), self.update.as_str()]).collect();
        let dropped = history::trim(&self.observed.revisions, &in_use, limit);
        let status = Action::update_status(self.set, &after);
        // The status is told even when a pod could not be made.
        let told = status.clone();
        self.plan.finally.extend(status);
        self.plan.finally.extend(dropped);
        let claims = self.unwanted_claims();
        self.plan.finally.extend(claims);
        self.plan.on_failure = Some(Box::new(move |failure| if failure.is_stale() { Vec::new() } else { told.into_iter().collect() }));
        self.plan
    }

    /// With whenScaled Delete the claims of ordinals that are gone for good go too.
    fn unwanted_claims(&self) -> Vec<Action> {
        let policy = self.set.spec.persistent_volume_claim_retention_policy.as_ref();
        if policy.and_then(|p| p.when_scaled.as_deref()) != Some("Delete") || self.set.metadata.deletion_timestamp.is_some() {
            return Vec::new();
        }
        let templates: Vec<String> = self.set.spec.volume_claim_templates.iter().flatten().map(|t| format!("{}-{}-", t.metadata.name.as_deref().unwrap_or_default(), self.name())).collect();
        let ordinal = |name: &str| templates.iter().find_map(|prefix| name.strip_prefix(prefix.as_str())?.parse::<i32>().ok());
        let gone = |n: i32| (n < self.start || n >= self.end) && !self.condemned.contains_key(&n);
        let claims = self.observed.claims.iter().filter(|(name, claim)| claim.metadata.deletion_timestamp.is_none() && ordinal(name).is_some_and(gone));
        claims.map(|(_, claim)| Action::Delete { target: Target::of(&**claim).any_version(), propagation: Some(Propagation::Background), grace: None, announce: None }).collect()
    }
}

fn pod_name(pod: &Pod) -> &str {
    pod.metadata.name.as_deref().unwrap_or_default()
}
