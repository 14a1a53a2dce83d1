//! The controllers: each makes one kind of promise true, over and over, through the API alone.
//!
//! They never touch the store, the node (but for the folders of local volumes) or each other. Each is a folder of
//! `observe` (caches and wiring) and `plan` (the decision, pure); the shell of crate `client` does the rest.

mod account_secrets;
mod account_tokens;
mod bootstrap_tokens;
mod caches;
#[cfg(test)]
mod cases;
mod certificates;
mod cluster_role;
mod config;
mod cronjob;
mod daemonset;
mod deployment;
mod discovery;
mod disruption;
mod endpoints;
mod error;
mod garbage;
mod history;
mod job;
mod load_balancer;
mod namespace;
mod nodes;
mod ownership;
mod pod_gc;
mod pods;
mod quota;
mod replicaset;
mod root_ca;
mod run;
mod service_ranges;
mod serviceaccount;
mod statefulset;
mod volumes;

pub use certificates::Signing;
pub use config::Config;
pub use error::Error;
pub use run::run;
