//! What the proxy cannot go on from, and what it tries again.

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caches never filled.
    #[error(transparent)]
    Client(#[from] client::Error),
    /// The kernel refused; tried again with the next change and after a pause.
    #[error("nftables: {0}")]
    Kernel(#[from] nlink::Error),
    #[error("the range {0:?} is not an IPv4 range such as 10.42.0.0/24")]
    Range(String),
}
