//! The `batch` group.

pub mod cron_job;
pub mod job;

use crate::resource::Resource;

pub fn resources() -> Vec<Resource> {
    vec![cron_job::resource(), job::resource()]
}
