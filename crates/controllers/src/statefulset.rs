//! Stateful sets: pods with names and claims of their own, made and removed in order.
//!
//! It never deletes a claim that its set did not promise to delete, and never has two pods of one name.
//! Upstream: pkg/controller/statefulset.

mod observe;
mod plan;
mod pod;

pub(crate) use observe::start;
#[cfg(test)]
pub(crate) use plan::{Observed, plan};
