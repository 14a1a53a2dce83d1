//! Who asks, and whether they may.

pub mod authenticate;
pub mod authorize;
pub mod node;
