//! Daemon sets: one pod of a template on every node that it suits.
//!
//! It never picks a node for a pod itself: the pod names its node by affinity and the scheduler binds it.
//! Upstream: pkg/controller/daemon.

mod nodes;
mod observe;
mod plan;
mod update;

pub(crate) use observe::start;
#[cfg(test)]
pub(crate) use plan::{Observed, plan};
