//! Failures as the wire shows them: `metav1.Status` with upstream's code, reason and wording.
//!
//! Upstream: apimachinery `pkg/api/errors/errors.go`. One constructor per way to fail; nothing else builds a Status.

use serde_json::{Value, json};

use crate::field::{FieldError, aggregate};
use crate::resource::GroupResource;

/// The machine-readable reason of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    Expired,
    Invalid,
    ServerTimeout,
    Timeout,
    TooManyRequests,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    InternalError,
    ServiceUnavailable,
    Unknown,
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Expired => "Expired",
            Self::Invalid => "Invalid",
            Self::ServerTimeout => "ServerTimeout",
            Self::Timeout => "Timeout",
            Self::TooManyRequests => "TooManyRequests",
            Self::BadRequest => "BadRequest",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::InternalError => "InternalError",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Unknown => "",
        }
    }
}

/// A failure that a client sees.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub code: u16,
    pub reason: Reason,
    pub message: String,
    pub details: Value,
    /// A whole Status that somebody else wrote, told as it is.
    pub foreign: Option<Box<Value>>,
}

impl ApiError {
    fn new(code: u16, reason: Reason, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Value::Null, foreign: None }
    }

    fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        let mut details = serde_json::Map::new();
        for (key, value) in [("name", name), ("group", group), ("kind", kind)] {
            if !value.is_empty() {
                details.insert(key.into(), value.into());
            }
        }
        self.details = Value::Object(details);
        self
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        if seconds > 0 {
            if self.details.is_null() {
                self.details = json!({});
            }
            self.details["retryAfterSeconds"] = seconds.into();
        }
        self
    }

    /// Adds a cause to the details.
    pub fn with_cause(mut self, reason: &str, message: &str, field: &str) -> Self {
        if self.details.is_null() {
            self.details = json!({});
        }
        let mut cause = serde_json::Map::new();
        for (key, value) in [("reason", reason), ("message", message), ("field", field)] {
            if !value.is_empty() {
                cause.insert(key.into(), value.into());
            }
        }
        match self.details.get_mut("causes").and_then(Value::as_array_mut) {
            Some(causes) => causes.push(Value::Object(cause)),
            None => self.details["causes"] = Value::Array(vec![Value::Object(cause)]),
        }
        self
    }

    pub fn not_found(resource: &GroupResource, name: &str) -> Self {
        Self::new(404, Reason::NotFound, format!("{resource} {name:?} not found")).about(&resource.group, &resource.resource, name)
    }

    /// A path that no handler serves.
    pub fn no_such_path() -> Self {
        let mut error = Self::new(404, Reason::NotFound, "the server could not find the requested resource");
        error.details = json!({});
        error
    }

    pub fn already_exists(resource: &GroupResource, name: &str) -> Self {
        Self::new(409, Reason::AlreadyExists, format!("{resource} {name:?} already exists")).about(&resource.group, &resource.resource, name)
    }

    pub fn conflict(resource: &GroupResource, name: &str, why: impl std::fmt::Display) -> Self {
        Self::new(409, Reason::Conflict, format!("Operation cannot be fulfilled on {resource} {name:?}: {why}")).about(&resource.group, &resource.resource, name)
    }

    /// The conflict every writer with an old resourceVersion meets. Upstream: `OptimisticLockErrorMsg`.
    pub fn modified(resource: &GroupResource, name: &str) -> Self {
        Self::conflict(resource, name, "the object has been modified; please apply your changes to the latest version and try again")
    }

    /// Conflicts of a server-side apply: (message, field) each.
    pub fn apply_conflict(message: String, causes: &[(String, String)]) -> Self {
        causes.iter().fold(Self::new(409, Reason::Conflict, message), |error, (message, field)| error.with_cause("FieldManagerConflict", message, field))
    }

    pub fn forbidden(resource: &GroupResource, name: &str, why: impl std::fmt::Display) -> Self {
        let message = match (resource.resource.is_empty(), name.is_empty()) {
            (true, _) => format!("forbidden: {why}"),
            (_, true) => format!("{resource} is forbidden: {why}"),
            _ => format!("{resource} {name:?} is forbidden: {why}"),
        };
        Self::new(403, Reason::Forbidden, message).about(&resource.group, &resource.resource, name)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, Reason::Unauthorized, "Unauthorized")
    }

    pub fn invalid(group: &str, kind: &str, name: &str, errors: &[FieldError]) -> Self {
        let shown = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        let message = format!("{shown} {name:?} is invalid: {}", aggregate(errors));
        let error = Self::new(422, Reason::Invalid, message).about(group, kind, name);
        errors.iter().fold(error, |error, e| error.with_cause(e.kind.cause(), &e.body(), &e.field))
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, Reason::BadRequest, message)
    }

    pub fn method_not_supported(resource: &GroupResource, action: &str) -> Self {
        Self::new(405, Reason::MethodNotAllowed, format!("{action} is not supported on resources of kind \"{resource}\"")).about(&resource.group, &resource.resource, "")
    }

    /// A verb that a resource does not serve for now, in words of its own.
    pub fn not_allowed(resource: &GroupResource, message: &str) -> Self {
        Self::new(405, Reason::MethodNotAllowed, message).about(&resource.group, &resource.resource, "")
    }

    /// A known path asked with a verb it does not serve. Upstream: what the router answers by itself.
    pub fn method_not_allowed() -> Self {
        let mut error = Self::new(405, Reason::MethodNotAllowed, "the server does not allow this method on the requested resource");
        error.details = json!({});
        error
    }

    pub fn not_acceptable(accepted: &str) -> Self {
        Self::new(406, Reason::NotAcceptable, format!("only the following media types are accepted: {accepted}"))
    }

    pub fn unsupported_media_type(accepted: &str) -> Self {
        Self::new(415, Reason::UnsupportedMediaType, format!("the body of the request was in an unknown format - accepted media types include: {accepted}"))
    }

    pub fn too_large(message: &str) -> Self {
        Self::new(413, Reason::RequestEntityTooLarge, format!("Request entity too large: {message}"))
    }

    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(429, Reason::TooManyRequests, message).retry_after(retry_after_seconds)
    }

    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, Reason::Expired, message)
    }

    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(410, Reason::Gone, message)
    }

    pub fn timeout(message: &str, retry_after_seconds: u32) -> Self {
        Self::new(504, Reason::Timeout, format!("Timeout: {message}")).retry_after(retry_after_seconds)
    }

    /// A list or get at a revision that does not exist yet. Upstream: `NewTooLargeResourceVersionError`.
    pub fn too_large_resource_version(asked: u64, current: u64, retry_after_seconds: u32) -> Self {
        Self::timeout(&format!("Too large resource version: {asked}, current: {current}"), retry_after_seconds).with_cause("ResourceVersionTooLarge", "Too large resource version", "")
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, Reason::ServiceUnavailable, message)
    }

    pub fn internal(why: impl std::fmt::Display) -> Self {
        let why = why.to_string();
        Self::new(500, Reason::InternalError, format!("Internal error occurred: {why}")).with_cause("", &why, "")
    }

    /// A failure that another server of the API answered, passed on as it came.
    pub fn passed_on(code: u16, message: impl Into<String>) -> Self {
        Self::new(code, Reason::Unknown, message)
    }

    /// A Status that a webhook or another server wrote.
    pub fn from_status(status: Value) -> Self {
        let code = status["code"].as_u64().and_then(|c| u16::try_from(c).ok()).unwrap_or(500);
        let message = status["message"].as_str().unwrap_or_default().to_owned();
        Self { foreign: Some(Box::new(status)), ..Self::new(code, Reason::Unknown, message) }
    }

    /// The `Status` object.
    pub fn to_status(&self) -> Value {
        if let Some(status) = &self.foreign {
            return Value::clone(status);
        }
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message, "code": self.code,
        });
        if self.reason != Reason::Unknown {
            status["reason"] = self.reason.as_str().into();
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}
