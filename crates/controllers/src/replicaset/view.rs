//! What replica sets and replication controllers have in common, so that one plan serves both.

use client::{Action, owner_reference, reference};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetCondition};
use k8s_openapi::api::core::v1::{ObjectReference, PodTemplateSpec, ReplicationController, ReplicationControllerCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use scheduling::labels::{Labels, map_selects, selects};

/// The counts that go into the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub replicas: i32,
    pub fully_labeled: i32,
    pub ready: i32,
    pub available: i32,
    pub terminating: i32,
}

/// The ReplicaFailure condition, when there is something to complain about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub reason: &'static str,
    pub message: String,
    pub at: Time,
}

pub(crate) trait Replicated: Send + Sync + 'static {
    fn meta(&self) -> &ObjectMeta;
    fn reference(&self) -> ObjectReference;
    fn owner_reference(&self) -> OwnerReference;
    fn replicas(&self) -> i32;
    fn min_ready(&self) -> i32;
    fn template(&self) -> Option<&PodTemplateSpec>;
    fn selects(&self, labels: Option<&Labels>) -> bool;
    /// The status write, or nothing when it says this already.
    fn status_action(&self, counts: Counts, complaint: Option<&Complaint>) -> Option<Action>;
}

impl Replicated for ReplicaSet {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn reference(&self) -> ObjectReference {
        reference(self)
    }

    fn owner_reference(&self) -> OwnerReference {
        owner_reference(self)
    }

    fn replicas(&self) -> i32 {
        self.spec.replicas.unwrap_or(1)
    }

    fn min_ready(&self) -> i32 {
        self.spec.min_ready_seconds.unwrap_or(0)
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.template.as_ref()
    }

    fn selects(&self, labels: Option<&Labels>) -> bool {
        selects(&self.spec.selector, labels)
    }

    fn status_action(&self, counts: Counts, complaint: Option<&Complaint>) -> Option<Action> {
        let mut new = self.clone();
        let status = new.status.get_or_insert_default();
        status.replicas = counts.replicas;
        status.fully_labeled_replicas = some_unless_zero(counts.fully_labeled, status.fully_labeled_replicas);
        status.ready_replicas = some_unless_zero(counts.ready, status.ready_replicas);
        status.available_replicas = some_unless_zero(counts.available, status.available_replicas);
        status.terminating_replicas = Some(counts.terminating);
        status.observed_generation = self.metadata.generation;
        let kept = status.conditions.get_or_insert_default();
        let before = kept.iter().position(|c| c.type_.as_deref() == Some("ReplicaFailure"));
        match (complaint, before) {
            (None, Some(at)) => {
                kept.remove(at);
            }
            (Some(complaint), None) => kept.push(ReplicaSetCondition {
                type_: Some("ReplicaFailure".into()),
                status: Some("True".into()),
                reason: Some(complaint.reason.into()),
                message: Some(complaint.message.clone()),
                last_transition_time: Some(complaint.at.clone()),
            }),
            _ => {}
        }
        if kept.is_empty() {
            status.conditions = None;
        }
        Action::update_status(self, &new)
    }
}

impl Replicated for ReplicationController {
    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn reference(&self) -> ObjectReference {
        reference(self)
    }

    fn owner_reference(&self) -> OwnerReference {
        owner_reference(self)
    }

    fn replicas(&self) -> i32 {
        self.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1)
    }

    fn min_ready(&self) -> i32 {
        self.spec.as_ref().and_then(|s| s.min_ready_seconds).unwrap_or(0)
    }

    fn template(&self) -> Option<&PodTemplateSpec> {
        self.spec.as_ref()?.template.as_ref()
    }

    fn selects(&self, labels: Option<&Labels>) -> bool {
        self.spec.as_ref().and_then(|s| s.selector.as_ref()).is_some_and(|s| map_selects(s, labels))
    }

    fn status_action(&self, counts: Counts, complaint: Option<&Complaint>) -> Option<Action> {
        let mut new = self.clone();
        let status = new.status.get_or_insert_default();
        status.replicas = counts.replicas;
        status.fully_labeled_replicas = some_unless_zero(counts.fully_labeled, status.fully_labeled_replicas);
        status.ready_replicas = some_unless_zero(counts.ready, status.ready_replicas);
        status.available_replicas = some_unless_zero(counts.available, status.available_replicas);
        status.observed_generation = self.metadata.generation;
        let kept = status.conditions.get_or_insert_default();
        let before = kept.iter().position(|c| c.type_ == "ReplicaFailure");
        match (complaint, before) {
            (None, Some(at)) => {
                kept.remove(at);
            }
            (Some(complaint), None) => kept.push(ReplicationControllerCondition {
                type_: "ReplicaFailure".into(),
                status: "True".into(),
                reason: Some(complaint.reason.into()),
                message: Some(complaint.message.clone()),
                last_transition_time: Some(complaint.at.clone()),
            }),
            _ => {}
        }
        if kept.is_empty() {
            status.conditions = None;
        }
        Action::update_status(self, &new)
    }
}

/// Zero and absent are one on the wire; keeping what was there avoids a write that changes nothing.
fn some_unless_zero(count: i32, before: Option<i32>) -> Option<i32> {
    if count == 0 && before.is_none_or(|b| b == 0) { before } else { Some(count) }
}
