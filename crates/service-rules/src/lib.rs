//! From services, endpoint slices and this node's pods to the rules a service proxy must hold. Pure: no clock, no IO, no kernel.
//!
//! Keeps true: the same objects give the same rules in the same order, whatever order they came in. IPv4, TCP and UDP.

mod backend;
mod observe;
mod plan;
mod ruleset;
mod stale;
mod text;

pub use observe::{Node, Observed};
pub use plan::plan;
pub use ruleset::{Backend, Chain, Frontend, HealthCheck, HostPort, Protocol, Range, RuleSet, Target};
pub use stale::{Stale, plan_stale};
