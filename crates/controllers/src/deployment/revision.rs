//! Revisions and the annotations that carry them between a deployment and its replica sets. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet};

pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
pub(crate) const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(crate) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(crate) const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// Upstream: maxRevHistoryLengthInChars.
const HISTORY_CHARS: usize = 2000;

fn stays_behind(key: &str) -> bool {
    matches!(key, "kubectl.kubernetes.io/last-applied-configuration" | "deprecated.deployment.rollback.to") || [REVISION, REVISION_HISTORY, DESIRED, MAX].contains(&key)
}

pub(crate) fn revision_of(set: &ReplicaSet) -> i64 {
    set.metadata.annotations.as_ref().and_then(|a| a.get(REVISION)).and_then(|r| r.parse().ok()).unwrap_or(0)
}

pub(crate) fn max_revision<'a>(sets: impl IntoIterator<Item = &'a ReplicaSet>) -> i64 {
    sets.into_iter().map(revision_of).max().unwrap_or(0)
}

pub(crate) fn int_annotation(set: &ReplicaSet, key: &str) -> Option<i32> {
    set.metadata.annotations.as_ref()?.get(key)?.parse().ok()
}

/// Brings the annotations of the newest set up to date: the deployment's own, the revision, and its history.
pub(crate) fn annotate_newest(deployment: &Deployment, annotations: &mut BTreeMap<String, String>, revision: i64, exists: bool) {
    for (key, value) in deployment.metadata.annotations.iter().flatten().filter(|(key, _)| !stays_behind(key)) {
        annotations.insert(key.clone(), value.clone());
    }
    let old = annotations.get(REVISION).cloned();
    if old.as_deref().and_then(|r| r.parse::<i64>().ok()).unwrap_or(0) >= revision {
        return;
    }
    annotations.insert(REVISION.into(), revision.to_string());
    if let Some(old) = old.filter(|_| exists) {
        let mut history: Vec<String> = annotations.get(REVISION_HISTORY).map(|h| h.split(',').map(str::to_owned).collect()).unwrap_or_default();
        history.push(old);
        while history.len() > 1 && history.iter().map(|h| h.len() + 1).sum::<usize>() > HISTORY_CHARS {
            history.remove(0);
        }
        annotations.insert(REVISION_HISTORY.into(), history.join(","));
    }
}

pub(crate) fn annotate_size(annotations: &mut BTreeMap<String, String>, desired: i32, max: i32) {
    annotations.insert(DESIRED.into(), desired.to_string());
    annotations.insert(MAX.into(), max.to_string());
}
