//! Jobs: pods that run to their end, counted exactly once each, with all the ways to give up.
//!
//! It keeps true: a finished pod is counted before its finalizer goes, and never twice; a job ends only when no pod of it
//! runs any more. Upstream: pkg/controller/job.

mod failure;
mod finish;
mod indexes;
mod observe;
mod plan;
mod status;

pub(crate) use observe::start;
#[cfg(test)]
pub(crate) use plan::{Observed as Known, plan};
