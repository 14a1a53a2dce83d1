//! From a pod's spec to the runtime's words: pure functions, no calls.

pub mod apparmor;
pub mod dns;
pub mod env;
pub mod expand;
pub mod hosts;
pub mod resources;
pub mod sandbox;
pub mod security;
