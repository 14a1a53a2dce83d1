//! Nodes: told unreachable when their lease grows old, tainted by their conditions, and relieved of pods that do not bear it.
//!
//! It never evicts when no node at all is ready: then it is this side that is cut off. Upstream: pkg/controller/nodelifecycle,
//! tainteviction.

mod eviction;
mod lifecycle;
mod taints;

pub(crate) use eviction::start as start_eviction;
pub(crate) use lifecycle::start as start_lifecycle;
