//! Replica sets and replication controllers: as many pods of a template as wanted, no more, no fewer.
//!
//! One plan for both kinds. It never touches pods of another controller and never counts pods that are on their way out.

mod observe;
mod plan;
mod view;

pub(crate) use observe::start;
#[cfg(test)]
pub(crate) use plan::{Observed, plan};
