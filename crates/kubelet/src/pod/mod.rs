//! Pods on this node: where they come from, one worker for each, and what the workers do with the runtime.

pub mod admit;
pub mod adopt;
pub mod container;
pub mod hooks;
pub mod kill;
pub mod logs;
pub mod observe;
pub mod publish;
pub mod registry;
pub mod runtime_events;
pub mod sandbox;
pub mod source;
pub mod start;
pub mod statics;
pub mod worker;
