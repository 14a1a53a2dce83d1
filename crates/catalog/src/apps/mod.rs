//! The `apps` group: what runs copies of pods.

pub mod controller_revision;
pub mod daemon_set;
pub mod deployment;
pub mod replica_set;
pub mod stateful_set;
pub mod status;
pub mod warnings;
pub mod workload;

use crate::resource::Resource;

pub fn resources() -> Vec<Resource> {
    vec![controller_revision::resource(), daemon_set::resource(), deployment::resource(), replica_set::resource(), stateful_set::resource()]
}
