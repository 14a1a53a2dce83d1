//! Resource quotas: what a namespace uses, counted anew when something comes or goes.
//!
//! It refuses nothing: that is the server's part, which also raises the count as things are created; this side puts it right.
//! Upstream: pkg/controller/resourcequota, pkg/quota/v1.

mod observe;
mod usage;

pub(crate) use observe::start;
