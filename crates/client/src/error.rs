//! The errors of this crate and the few questions asked of the API's own errors.

/// What went wrong on the client's side.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be read or understood.
    #[error("kubeconfig {path}: {reason}")]
    Kubeconfig { path: String, reason: String },
    /// A request failed.
    #[error("{}", api_message(.0))]
    Api(#[from] kube::Error),
    /// A cache did not fill in time or its informer ended.
    #[error("the cache of {0} did not fill")]
    NotSynced(String),
    /// A value could not be turned into JSON or back.
    #[error("encoding: {0}")]
    Encode(#[from] serde_json::Error),
    /// A request could not be built.
    #[error("building a request: {0}")]
    Build(String),
}

/// The server's own words, without the wrapping of the client library.
pub fn api_message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// True when the object is not there.
pub fn is_not_found(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(s) if s.is_not_found())
}

/// True when somebody else wrote first (AlreadyExists is told apart by its reason).
pub fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(s) if s.is_conflict() && !s.is_already_exists())
}
