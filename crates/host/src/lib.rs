//! The machine under a node: what it must offer, the containerd that belongs to the cluster, its network ground, and how all of it goes away.
//!
//! Knows no Kubernetes object. Keeps true: everything made here carries the cluster's tag, so that two clusters on one machine never meet
//! and tear-down touches nothing else.

mod check;
mod cni;
mod containerd;
mod error;
mod layout;
mod network;
mod ports;
mod process;
mod sweep;

pub use check::{Check, Demands, Outcome, check_all};
pub use cni::{find_plugins, write_cni};
pub use containerd::{Containerd, ContainerdConfig};
pub use error::Error;
pub use layout::Layout;
pub use network::{Network, node_address};
pub use ports::{Holder, port_holder};
pub use process::{Process, Waited, may_lower_oom_score};
pub use sweep::{Swept, purge, sweep};
