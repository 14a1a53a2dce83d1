//! Why the node agent stops.

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the container runtime at {socket} does not answer: {source}")]
    Runtime { socket: String, source: cri::Error },
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    #[error("kubelet API: {0}")]
    Serving(String),
    #[error("{0}")]
    Client(#[from] client::Error),
}
