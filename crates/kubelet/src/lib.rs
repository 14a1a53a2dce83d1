//! The node agent: runs the pods that the API gives to this node, by a container runtime over CRI.
//!
//! Never decides about a pod outside `pod-lifecycle`, and never stops a container because it itself ends. Keeps true: what runs is found
//! again by its labels after a restart; every wait has an event or an end.

mod agent;
mod cgroup;
mod config;
mod error;
mod image;
mod make;
mod node;
mod paths;
mod pod;
mod probe;
mod referenced;
mod server;
mod start;
mod volume;

pub use config::{Config, Serving};
pub use error::Error;
pub use start::run;
