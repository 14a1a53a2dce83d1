//! What credentials say, and how authentication and authorization are configured. Pure: texts and clocks in, identities out.
//!
//! Never fetches keys, reads files or asks anybody: that is the server's part. Keeps true: a configuration that was accepted can be
//! used as it stands; its expressions are compiled when it is read.

pub mod authorization;
pub mod bootstrap;
pub mod configuration;
mod expressions;
pub mod head;
pub mod issuer;
pub mod jwt;
mod mapping;
pub mod remote;
mod request_header;
mod token_file;
mod user;

pub use issuer::Issuer;
pub use request_header::RequestHeader;
pub use token_file::TokenFile;
pub use user::User;
