//! What credentials say, and how authentication and authorization are configured. Pure: texts and clocks in, identities out.
//!
//! Never fetches keys, reads files or asks anybody: that is the server's part. Keeps true: a configuration that was accepted can be
//! used as it stands; its expressions are compiled when it is read.

pub mod configuration;
mod expressions;
pub mod issuer;
pub mod jwt;
mod mapping;
mod user;

pub use issuer::Issuer;
pub use user::User;
