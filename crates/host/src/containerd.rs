//! The containerd that belongs to one cluster: its settings, its start, its adoption and its end.

mod config;
mod supervise;

pub use config::ContainerdConfig;
pub use supervise::Containerd;
