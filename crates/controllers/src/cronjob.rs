//! Cron jobs: a job at every time of a schedule.
//!
//! It never starts two jobs for one time: the time is in the job's name. Upstream: pkg/controller/cronjob.

mod observe;
mod plan;
mod schedule;

pub(crate) use observe::start;
#[cfg(test)]
pub(crate) use plan::{Observed, plan};
