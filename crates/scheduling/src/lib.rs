//! The pure core of scheduling: what a pod needs, what a node has, what fits where, which place is best, whom to evict.
//!
//! It knows no API and no clock. It keeps true: a filter and its words are upstream's; a pod that a node takes here never
//! exceeds what the node has. Upstream: pkg/scheduler/framework/plugins.

pub mod affinity;
pub mod filter;
pub mod fit_error;
pub mod labels;
pub mod node;
pub mod pod;
pub mod preemption;
pub mod resources;
pub mod score;
pub mod volumes;
