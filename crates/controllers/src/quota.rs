//! Resource quotas: what a namespace uses, counted anew when something goes.
//!
//! The server refuses what would exceed a quota and raises the count as things are created; this side lowers it.
//! Upstream: pkg/controller/resourcequota, pkg/quota/v1.

mod observe;
mod usage;

pub(crate) use observe::start;
