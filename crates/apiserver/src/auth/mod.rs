//! Who asks, and whether they may.

pub mod authenticate;
pub mod authorize;
mod cache;
pub mod node;
mod outbound;
mod provider;
mod service_accounts;
