//! Who asks, and whether they may.

pub mod authenticate;
pub mod authorize;
mod bootstrap_tokens;
pub mod cache;
pub mod certificate;
pub mod counts;
pub mod node;
pub mod outbound;
mod provider;
pub mod selection;
mod service_accounts;
mod token_webhook;
mod webhook_authorizer;
