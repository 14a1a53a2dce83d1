//! The `batch` group.

pub mod cron_job;
mod failure_policy;
pub mod job;
mod job_rules;
mod job_status;
mod job_update;
mod success_policy;
mod time_zone;
mod warnings;

use crate::resource::Resource;

pub fn resources() -> Vec<Resource> {
    vec![cron_job::resource(), job::resource()]
}
