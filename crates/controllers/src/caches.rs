//! The caches that controllers share, one informer per kind, and the indexes over them.
//!
//! Reading only. Every informer here is in use by at least one controller: an idle cluster pays for each watch.

use client::{Index, Informer, Informers, controller_owner};
use k8s_openapi::api::apps::v1::{ControllerRevision, ReplicaSet};
use k8s_openapi::api::core::v1::{Node, Pod};

/// Index key of the pods of a namespace that nobody controls.
pub(crate) fn orphans_of(namespace: &str) -> String {
    format!("orphans/{namespace}")
}

fn by_owner<K: kube::Resource>(object: &K) -> Vec<String> {
    match controller_owner(object) {
        Some(owner) => vec![owner.uid.clone()],
        None => vec![orphans_of(object.meta().namespace.as_deref().unwrap_or_default())],
    }
}

/// Caches for several controllers; a kind that only one reads is asked from `informers` there.
#[derive(Clone)]
pub(crate) struct Caches {
    pub informers: Informers,
    pub pods: Informer<Pod>,
    /// By the uid of the controlling owner, or [`orphans_of`] the namespace.
    pub pods_by_owner: Index<Pod>,
    pub pods_by_node: Index<Pod>,
    pub nodes: Informer<Node>,
    pub replica_sets: Informer<ReplicaSet>,
    pub replica_sets_by_owner: Index<ReplicaSet>,
    pub revisions_by_owner: Index<ControllerRevision>,
}

impl Caches {
    pub fn new(informers: Informers) -> Self {
        let pods = informers.get::<Pod>();
        let replica_sets = informers.get::<ReplicaSet>();
        Self {
            pods_by_owner: pods.index(by_owner),
            pods_by_node: pods.index(|pod: &Pod| pod.spec.as_ref().and_then(|s| s.node_name.clone()).into_iter().collect()),
            pods,
            nodes: informers.get::<Node>(),
            replica_sets_by_owner: replica_sets.index(by_owner),
            replica_sets,
            revisions_by_owner: informers.get::<ControllerRevision>().index(by_owner),
            informers,
        }
    }
}
