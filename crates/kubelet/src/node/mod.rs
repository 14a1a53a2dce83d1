//! The node itself: its registration, its status, its lease.

pub mod capacity;
pub mod lease;
pub mod status;
