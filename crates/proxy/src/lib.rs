//! The service proxy: keeps one nftables table of its own equal to the rules planned from services, endpoint slices and this node's pods.
//!
//! Never touches another table. Keeps true: each change is one transaction; a restart finds the rules in place and changes only what differs;
//! ending leaves them in force (fail-static).

mod conntrack;
mod error;
mod health;
mod kernel;
mod loopback;
mod render;
mod run;

pub use error::Error;
pub use kernel::Kernel;
pub use run::{Config, run};
