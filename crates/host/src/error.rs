//! What can go wrong on the host, each with enough words to mend it.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("network: {what}: {why}")]
    Network { what: String, why: String },
    #[error("could not start containerd: {0}")]
    Start(std::io::Error),
    /// containerd ended before it served; the tail of its log says why.
    #[error("containerd ended at start ({status}); the end of {log}:\n{tail}")]
    Ended { status: String, log: PathBuf, tail: String },
    #[error("containerd did not become ready within {seconds} s; the end of {log}:\n{tail}")]
    Late { seconds: u64, log: PathBuf, tail: String },
    #[error("no CNI plugins found (looked for {wanted} in {looked}); on Debian and Ubuntu: apt-get install containernetworking-plugins")]
    Plugins { wanted: String, looked: String },
}

impl Error {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
    pub(crate) fn network(what: impl Into<String>) -> impl FnOnce(nlink::Error) -> Self {
        let what = what.into();
        move |e| Self::Network { what, why: e.to_string() }
    }
}
