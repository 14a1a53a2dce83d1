//! The decision: which collections to delete now, what the conditions say, whether the namespace may go. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::{Action, Kind, Plan};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, NamespaceCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use crate::discovery::Resource;

const FINALIZER: &str = "kubernetes";

/// What is left of one resource.
pub(crate) struct Left {
    pub resource: Resource,
    pub count: usize,
    /// Those whose deletion was not asked for yet.
    pub undeleted: usize,
    pub finalizers: BTreeMap<String, usize>,
}

pub(crate) struct Observed {
    pub namespace: Arc<Namespace>,
    pub left: Vec<Left>,
    pub discovery_error: Option<String>,
    pub list_errors: Vec<String>,
}

pub(crate) fn plan(observed: &Observed, now: Timestamp) -> Plan {
    let namespace = &*observed.namespace;
    let name = namespace.metadata.name.as_deref().unwrap_or_default();
    let ours = namespace.spec.iter().flat_map(|s| s.finalizers.iter().flatten()).any(|f| f == FINALIZER);
    if !ours {
        return Plan::default();
    }
    let is_pods = |left: &&Left| left.resource.kind.group.is_empty() && left.resource.kind.plural == "pods";
    let pods_left = observed.left.iter().any(|left| is_pods(&left));
    let now_due = observed.left.iter().filter(|left| left.undeleted > 0 && (!pods_left || is_pods(left)));
    let mut plan = Plan::of(now_due.map(|left| delete_all(&left.resource, name)));
    let complete = observed.left.is_empty() && observed.discovery_error.is_none() && observed.list_errors.is_empty();
    let mut after = namespace.clone();
    let status = after.status.get_or_insert_default();
    status.phase = Some("Terminating".into());
    set_conditions(observed, status.conditions.get_or_insert_default(), now);
    if complete {
        plan.finally.push(finalize(namespace, name));
        return plan;
    }
    plan.finally.extend(Action::update_status(namespace, &after));
    let moved = !plan.actions.is_empty();
    // What needs no grace is gone at once; the rest is told by events of pods or takes its time.
    plan.wake_after(if moved { Duration::from_millis(50) } else { Duration::from_secs(2) });
    plan
}

fn delete_all(resource: &Resource, namespace: &str) -> Action {
    let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"});
    Action::Call { kind: resource.kind.clone(), method: "DELETE", path: resource.kind.path(namespace), body: options }
}

fn finalize(namespace: &Namespace, name: &str) -> Action {
    let mut done = namespace.clone();
    if let Some(finalizers) = done.spec.as_mut().and_then(|s| s.finalizers.as_mut()) {
        finalizers.retain(|f| f != FINALIZER);
    }
    let kind = Kind::of::<Namespace>();
    let mut body = serde_json::to_value(&done).unwrap_or_default();
    body["spec"]["finalizers"] = json!(done.spec.and_then(|s| s.finalizers).unwrap_or_default());
    Action::Call { path: format!("{}/{name}/finalize", kind.path("")), kind, method: "PUT", body }
}

/// Upstream: status_condition_utils.go; the words and their order are its.
fn set_conditions(observed: &Observed, conditions: &mut Vec<NamespaceCondition>, now: Timestamp) {
    let resources = observed.left.iter().map(|l| format!("{}.{} has {} resource instances", l.resource.kind.plural, l.resource.kind.group, l.count)).collect::<Vec<_>>();
    let mut by_finalizer: BTreeMap<&str, usize> = BTreeMap::new();
    for (finalizer, count) in observed.left.iter().flat_map(|l| &l.finalizers) {
        *by_finalizer.entry(finalizer).or_insert(0) += count;
    }
    let finalizers = by_finalizer.iter().map(|(f, n)| format!("{f} in {n} resource instances")).collect::<Vec<_>>();
    let errors = &observed.list_errors;
    let told = |bad: bool, reason: &'static str, message: String, fine: (&'static str, &str)| if bad { ("True", reason, message) } else { ("False", fine.0, fine.1.to_owned()) };
    let all = [
        (
            "NamespaceDeletionDiscoveryFailure",
            told(observed.discovery_error.is_some(), "DiscoveryFailed", observed.discovery_error.clone().unwrap_or_default(), ("ResourcesDiscovered", "All resources successfully discovered")),
        ),
        ("NamespaceDeletionGroupVersionParsingFailure", told(false, "", String::new(), ("ParsedGroupVersions", "All legacy kube types successfully parsed"))),
        (
            "NamespaceDeletionContentFailure",
            told(
                !errors.is_empty(),
                "ContentDeletionFailed",
                format!("Failed to delete all resource types, {} remaining: {}", errors.len(), errors.join(", ")),
                ("ContentDeleted", "All content successfully deleted, may be waiting on finalization"),
            ),
        ),
        (
            "NamespaceContentRemaining",
            told(!resources.is_empty(), "SomeResourcesRemain", format!("Some resources are remaining: {}", resources.join(", ")), ("ContentRemoved", "All content successfully removed")),
        ),
        (
            "NamespaceFinalizersRemaining",
            told(!finalizers.is_empty(), "SomeFinalizersRemain", format!("Some content in the namespace has finalizers remaining: {}", finalizers.join(", ")), ("ContentRemoved", "All content successfully removed")),
        ),
    ];
    for (name, (status, reason, message)) in all {
        let fresh = NamespaceCondition { type_: name.into(), status: status.into(), reason: Some(reason.into()), message: Some(message), last_transition_time: Some(Time(now)) };
        match conditions.iter_mut().find(|c| c.type_ == name) {
            None => conditions.push(fresh),
            Some(old) => {
                let since = if old.status == fresh.status { old.last_transition_time.clone() } else { fresh.last_transition_time.clone() };
                *old = NamespaceCondition { last_transition_time: since, ..fresh };
            }
        }
    }
}
