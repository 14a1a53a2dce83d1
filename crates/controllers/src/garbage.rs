//! The garbage collector: objects go when all their owners are gone, over all resources there are.
//!
//! It never deletes on a cache's word alone: that an owner is absent is asked of the API, and every deletion names the uid.
//! Upstream: pkg/controller/garbagecollector.

mod graph;
mod monitor;
mod observe;
mod plan;

pub(crate) use monitor::{OnCounted, start};
