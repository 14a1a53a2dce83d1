//! Deployments: replica sets of successive templates, rolled from one to the next within the bounds asked for.
//!
//! It never touches pods itself. It keeps true: at most replicas + maxSurge pods exist and, as far as the pods allow, at least
//! replicas - maxUnavailable are available. Upstream: pkg/controller/deployment.

mod observe;
mod plan;
mod revision;
mod scale;
mod status;
mod template;

pub(crate) use observe::start;
pub(crate) use scale::resolve;
pub(crate) use template::{Fnv32, safe_encode};
#[cfg(test)]
pub(crate) use plan::{Observed, plan};
