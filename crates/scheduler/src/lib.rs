//! The scheduler: gives every pod without a node the best one, or says why there is none and wakes when that may change.
//!
//! It decides with crate `scheduling` and touches the cluster only through the API. It keeps true: a pod is bound at most
//! once; what was promised to a pod under way counts as taken; a pod that found no place waits for an event that can help it.

mod bind;
mod cache;
mod claims;
mod config;
mod cycle;
mod preempt;
mod queue;
mod report;
mod run;

pub use config::{Config, Error};
pub use run::run;
