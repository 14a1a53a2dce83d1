//! What can go wrong, and how kubectl says it on standard error.
//!
//! Never decides an exit code but here: 1 unless a command names another.
// Upstream: kubectl pkg/cmd/util/helpers.go (checkErr, StandardErrorMessage), apimachinery pkg/api/errors.

use serde_json::Value;

pub type Outcome<T = ()> = Result<T, Failure>;

#[derive(Debug, Clone)]
pub enum Failure {
    /// Printed with `error: ` before it.
    Text(String),
    /// Printed as it stands.
    Said(String),
    /// The server's answer.
    Status(Box<Value>),
    /// The server could not be reached: its address, what happened.
    Connection(String, String),
    Many(Vec<Failure>),
    /// Everything was said already.
    Exit(u8),
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Text(go_io(&error))
    }
}

pub fn fail<T>(text: impl Into<String>) -> Outcome<T> {
    Err(Failure::Text(text.into()))
}

/// An error of the machine in Go's words.
pub fn go_io(error: &std::io::Error) -> String {
    use std::io::ErrorKind as K;
    match error.kind() {
        K::NotFound => "no such file or directory".into(),
        K::PermissionDenied => "permission denied".into(),
        K::IsADirectory => "is a directory".into(),
        K::NotADirectory => "not a directory".into(),
        K::AlreadyExists => "file exists".into(),
        K::AddrNotAvailable => "bind: cannot assign requested address".into(),
        K::AddrInUse => "bind: address already in use".into(),
        K::ConnectionRefused => "connect: connection refused".into(),
        K::ConnectionReset => "connection reset by peer".into(),
        _ => {
            let text = error.to_string();
            text.split(" (os error").next().unwrap_or(&text).to_lowercase()
        }
    }
}

/// A Go error of a path: `open x: no such file or directory`.
pub fn path_error(operation: &str, path: &str, error: &std::io::Error) -> String {
    format!("{operation} {path}: {}", go_io(error))
}

/// A status made here, in the server's shape.
pub fn status(code: u16, reason: &str, message: &str) -> Failure {
    Failure::Status(Box::new(serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code})))
}

impl Failure {
    pub fn many(mut failures: Vec<Failure>) -> Outcome {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Self::Many(failures)),
        }
    }

    pub fn reason(&self) -> &str {
        match self {
            Self::Status(status) => status["reason"].as_str().unwrap_or_default(),
            _ => "",
        }
    }

    pub fn code(&self) -> i64 {
        match self {
            Self::Status(status) => status["code"].as_i64().unwrap_or_default(),
            _ => 0,
        }
    }

    pub fn is_not_found(&self) -> bool {
        self.reason() == "NotFound"
    }

    pub fn is_conflict(&self) -> bool {
        self.reason() == "Conflict"
    }

    /// The bare text, as Go's err.Error().
    pub fn message(&self) -> String {
        match self {
            Self::Text(text) | Self::Said(text) => text.clone(),
            Self::Status(status) => status["message"].as_str().unwrap_or_default().to_owned(),
            Self::Connection(host, why) => format!("Get \"{host}\": {why}"),
            Self::Many(all) => {
                let mut seen: Vec<String> = Vec::new();
                for one in all {
                    let text = one.message();
                    if !seen.contains(&text) {
                        seen.push(text);
                    }
                }
                if seen.len() == 1 { seen.remove(0) } else { format!("[{}]", seen.join(", ")) }
            }
            Self::Exit(_) => "exit".into(),
        }
    }

    /// Prefixes a server's message, keeping its reason.
    pub fn context(self, prefix: &str) -> Self {
        match self {
            Self::Status(mut status) => {
                status["message"] = Value::String(format!("{prefix}: {}", status["message"].as_str().unwrap_or_default()));
                Self::Status(status)
            }
            Self::Connection(..) | Self::Exit(_) => self,
            other => Self::Text(format!("{prefix}: {}", other.message())),
        }
    }

    /// What standard error gets, without the last newline.
    pub fn shown(&self) -> Option<String> {
        match self {
            Self::Exit(_) => None,
            Self::Status(status) if self.reason() == "Invalid" => Some(invalid(status)),
            Self::Many(all) => Some(all.iter().map(Self::standard).collect::<Vec<_>>().join("\n")),
            Self::Text(text) if !text.starts_with("error: ") => Some(format!("error: {text}")),
            other => Some(other.standard()),
        }
    }

    fn standard(&self) -> String {
        match self {
            Self::Status(_) => match self.reason() {
                "Unauthorized" => format!("error: You must be logged in to the server ({})", self.message()),
                "" => format!("Error from server: {}", self.message()),
                reason => format!("Error from server ({reason}): {}", self.message()),
            },
            Self::Connection(host, why) => {
                let host = host.split("://").nth(1).unwrap_or(host).split('/').next().unwrap_or(host);
                if why.contains("connection refused") {
                    return format!("The connection to the server {host} was refused - did you specify the right host or port?");
                }
                format!("Unable to connect to the server: {why}")
            }
            other => other.message(),
        }
    }

    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exit(code) => *code,
            _ => 1,
        }
    }
}

fn invalid(status: &Value) -> String {
    let details = &status["details"];
    let text = |key: &str| details[key].as_str().unwrap_or_default();
    if details.is_null() {
        return format!("The request is invalid: {}", status["message"].as_str().unwrap_or_default());
    }
    let mut start = "The request is invalid".to_owned();
    if !text("kind").is_empty() || !text("name").is_empty() {
        start = format!("The {} {:?} is invalid", text("kind"), text("name"));
    } else if let Some(message) = status["message"].as_str().filter(|m| !m.is_empty() && details["causes"].as_array().is_none_or(Vec::is_empty)) {
        start = format!("{start}: {message}");
    }
    let mut causes: Vec<String> = Vec::new();
    for cause in details["causes"].as_array().into_iter().flatten() {
        let shown = format!("{}: {}", cause["field"].as_str().unwrap_or_default(), cause["message"].as_str().unwrap_or_default());
        if !causes.contains(&shown) {
            causes.push(shown);
        }
    }
    match causes.len() {
        0 => start,
        1 => format!("{start}: {}", causes[0]),
        _ => format!("{start}: \n{}", causes.iter().map(|c| format!("* {c}")).collect::<Vec<_>>().join("\n")),
    }
}
