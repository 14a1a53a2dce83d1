//! What can go wrong in a call, by what the caller does about it.

/// A failed call to the runtime.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens on the socket, or the connection broke: try again later.
    #[error("runtime is unavailable: {0}")]
    Unavailable(String),
    /// The object is not known to the runtime (any more).
    #[error("{0}")]
    NotFound(String),
    /// The runtime does not have this call.
    #[error("runtime does not implement this: {0}")]
    Unimplemented(String),
    /// The call took longer than its time.
    #[error("context deadline exceeded")]
    Deadline,
    /// The runtime refused; the text is its own, as upstream shows it.
    #[error("rpc error: code = {code} desc = {message}")]
    Refused { code: &'static str, message: String },
}

impl Error {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }

    /// The runtime's own words, without the wrapping.
    pub fn message(&self) -> String {
        match self {
            Self::Refused { message, .. } => message.clone(),
            other => other.to_string(),
        }
    }
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        let message = status.message().to_owned();
        match status.code() {
            tonic::Code::NotFound => Self::NotFound(message),
            tonic::Code::Unavailable => Self::Unavailable(message),
            tonic::Code::Unimplemented => Self::Unimplemented(message),
            tonic::Code::DeadlineExceeded => Self::Deadline,
            tonic::Code::InvalidArgument => Self::Refused { code: "InvalidArgument", message },
            tonic::Code::FailedPrecondition => Self::Refused { code: "FailedPrecondition", message },
            tonic::Code::AlreadyExists => Self::Refused { code: "AlreadyExists", message },
            tonic::Code::PermissionDenied => Self::Refused { code: "PermissionDenied", message },
            tonic::Code::Cancelled => Self::Unavailable(message),
            _ => Self::Refused { code: "Unknown", message },
        }
    }
}
