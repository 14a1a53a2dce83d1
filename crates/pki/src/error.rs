//! What can go wrong with keys and certificates, by what the caller can do about it.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written: the caller names it to the user.
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    /// A file exists but does not hold what it should: never overwritten.
    #[error("{path}: {why}")]
    Corrupt { path: PathBuf, why: String },
    /// Making a key or certificate failed.
    #[error("certificate: {0}")]
    Certificate(String),
    /// TLS settings could not be built.
    #[error("TLS: {0}")]
    Tls(String),
    /// A token is not acceptable. The text holds nothing of the token itself.
    #[error("token: {0}")]
    Token(String),
}

impl Error {
    pub(crate) fn certificate(e: impl std::fmt::Display) -> Self {
        Self::Certificate(e.to_string())
    }
    pub(crate) fn tls(e: impl std::fmt::Display) -> Self {
        Self::Tls(e.to_string())
    }
}
