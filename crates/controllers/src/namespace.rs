//! The end of namespaces: everything in one is deleted, pods first, and then its finalizer is taken off.
//!
//! It never takes the finalizer off while anything is left or discovery failed. What is left is told in the conditions.
//! Upstream: pkg/controller/namespace/deletion; pods go first since 1.33 (KEP-5080).

mod observe;
mod plan;

use k8s_openapi::api::core::v1::Namespace;

pub(crate) use observe::start;

pub(crate) fn is_terminating(namespace: &Namespace) -> bool {
    namespace.metadata.deletion_timestamp.is_some() || namespace.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Terminating")
}
