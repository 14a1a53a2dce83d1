//! Requests to the API server over kube's client: authentication and TLS are its work, words and errors are kubectl's.
//!
//! Never retries and never decodes more than it is asked for.
// Upstream: client-go rest/request.go (generic errors), rest/warnings.go.

use std::cell::RefCell;
use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

use crate::complain;
use crate::credentials;
use crate::failure::{Failure, Outcome, fail, status};
use crate::flags::{Flags, parse_duration};
use crate::kubeconfig::Kubeconfig;
use crate::kuberc::PluginPolicy;

pub const VERSION: &str = "v1.37.0";
pub const JSON: &str = "application/json";
pub const MERGE_PATCH: &str = "application/merge-patch+json";
pub const JSON_PATCH: &str = "application/json-patch+json";
pub const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
pub const APPLY_PATCH: &str = "application/apply-patch+yaml";

pub struct Api {
    pub client: kube::Client,
    /// `https://host:port`, perhaps with a path.
    pub server: String,
    /// How long a request may take.
    pub timeout: Option<Duration>,
    verbosity: i64,
    /// Warnings that were told.
    warned: RefCell<HashSet<String>>,
}

/// `5`, `5s`, `0`: how long a request may take.
pub fn request_timeout(text: &str) -> Outcome<Option<Duration>> {
    let seconds = match text.parse::<i64>() {
        Ok(seconds) => seconds as f64,
        Err(_) => parse_duration(text)
            .map_err(|_| Failure::Text("Invalid timeout value. Timeout must be a single integer in seconds, or an integer followed by a corresponding time unit (e.g. 1s | 2m | 3h)".into()))?,
    };
    Ok(Duration::try_from_secs_f64(seconds).ok().filter(|d| !d.is_zero()))
}

fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    Some((HeaderName::try_from(name.to_lowercase()).ok()?, HeaderValue::from_str(value).ok()?))
}

fn impersonation(flags: &Flags) -> Outcome<Vec<(HeaderName, HeaderValue)>> {
    let mut pairs = vec![("impersonate-user".to_owned(), flags.text("as").to_owned()), ("impersonate-uid".into(), flags.text("as-uid").into())];
    pairs.extend(flags.list("as-group").into_iter().map(|g| ("impersonate-group".to_owned(), g)));
    for extra in flags.list("as-user-extra") {
        let Some((key, value)) = extra.split_once('=') else { return fail(format!("--as-user-extra must be of the form key=value, not {extra:?}")) };
        pairs.push((format!("impersonate-extra-{key}"), value.to_owned()));
    }
    pairs.retain(|(_, value)| !value.is_empty());
    if !pairs.is_empty() && flags.text("as").is_empty() {
        return fail("requesting uid, groups or user-extra without impersonating a user");
    }
    Ok(pairs.iter().filter_map(|(name, value)| header(name, value)).collect())
}

impl Api {
    pub async fn connect(config: &Kubeconfig, flags: &Flags, plugins: &PluginPolicy) -> Outcome<Self> {
        let timeout = request_timeout(flags.text("request-timeout"))?;
        let mut picked = config.chosen(flags)?;
        let user = picked.single["users"][0]["user"].take();
        picked.single["users"][0]["user"] = credentials::of(config, &picked, user, plugins).await?;
        let server = picked.server;
        let nothing = config.is_empty() && flags.text("server").is_empty();
        let mut connect = match kube::Config::incluster() {
            Ok(inside) if nothing => inside,
            _ => {
                let file: kube::config::Kubeconfig = serde_json::from_value(picked.single).map_err(|e| Failure::Said(format!("Error in configuration: {e}")))?;
                kube::Config::from_custom_kubeconfig(file, &Default::default()).await.map_err(|e| Failure::Said(format!("Error in configuration: {}", chain(&e))))?
            }
        };
        connect.connect_timeout = timeout.or(Some(Duration::from_secs(30)));
        connect.read_timeout = None;
        connect.write_timeout = None;
        connect.headers.extend(impersonation(flags)?);
        connect.headers.extend(header("user-agent", &format!("kubectl/{VERSION} ({}/{}) knarr", std::env::consts::OS, go_arch())));
        let client = kube::Client::try_from(connect).map_err(|e| Failure::Text(chain(&e)))?;
        Ok(Self { client, server, timeout, verbosity: flags.int("v"), warned: RefCell::default() })
    }

    /// Sends a request and gives the answer, errors of the server turned into failures.
    pub async fn send(&self, request: Request<Vec<u8>>) -> Outcome<Response<Body>> {
        let response = self.send_any(request).await?;
        if response.status().as_u16() < 400 {
            return Ok(response);
        }
        let code = response.status().as_u16();
        let body = response.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        Err(server_failure(code, &body))
    }

    /// The same, whatever the code.
    pub async fn send_any(&self, request: Request<Vec<u8>>) -> Outcome<Response<Body>> {
        let shown = format!("{}{}", self.server, request.uri());
        let verb = request.method().clone();
        let sending = self.client.send(request.map(Body::from));
        let answer = match self.timeout {
            None => sending.await,
            Some(limit) => match tokio::time::timeout(limit, sending).await {
                Ok(answer) => answer,
                Err(_) => return Err(Failure::Connection(shown, "net/http: request canceled (Client.Timeout exceeded while awaiting headers)".into())),
            },
        };
        let response = answer.map_err(|e| unreachable_server(&self.server, &e))?;
        if self.tells(6) {
            complain!("{verb} {shown} {}", response.status());
        }
        self.warn(&response);
        Ok(response)
    }

    /// Whether logs of this level are wanted.
    pub fn tells(&self, level: i64) -> bool {
        self.verbosity >= level
    }

    /// Tells each warning of the server once.
    fn warn(&self, response: &Response<Body>) {
        let headers = response.headers().get_all("warning").iter();
        for text in headers.filter_map(|h| std::str::from_utf8(h.as_bytes()).ok()).filter_map(warning_text) {
            if self.warned.borrow_mut().insert(text.clone()) {
                complain!("Warning: {text}");
            }
        }
    }

    /// How many warnings were told.
    pub fn warnings(&self) -> usize {
        self.warned.borrow().len()
    }

    pub async fn bytes(&self, request: Request<Vec<u8>>) -> Outcome<Bytes> {
        let (verb, uri) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.send(request).await.map_err(|e| about(e, &verb, &uri))?;
        let collected = response.into_body().collect();
        let body = match self.timeout {
            None => collected.await,
            Some(limit) => tokio::time::timeout(limit, collected).await.map_err(|_| Failure::Text("context deadline exceeded (Client.Timeout or context cancellation while reading body)".into()))?,
        };
        body.map(|b| b.to_bytes()).map_err(|e| Failure::Text(format!("unexpected error when reading response body. Please retry. Original error: {}", chain(&e))))
    }

    pub async fn json(&self, request: Request<Vec<u8>>) -> Outcome<Value> {
        let bytes = self.bytes(request).await?;
        serde_json::from_slice(&bytes).map_err(|e| Failure::Text(format!("the server's answer is no JSON: {e}")))
    }

    pub async fn get(&self, path: &str) -> Outcome<Value> {
        self.json(request(Method::GET, path, JSON, None)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.json(request(Method::POST, path, JSON, Some((JSON, body.to_string().into_bytes())))).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Outcome<Value> {
        self.json(request(Method::PUT, path, JSON, Some((JSON, body.to_string().into_bytes())))).await
    }

    pub async fn patch(&self, path: &str, kind: &str, body: &Value) -> Outcome<Value> {
        self.json(request(Method::PATCH, path, JSON, Some((kind, body.to_string().into_bytes())))).await
    }

    pub async fn delete(&self, path: &str, options: &Value) -> Outcome<Value> {
        self.json(request(Method::DELETE, path, JSON, Some((JSON, options.to_string().into_bytes())))).await
    }
}

/// A request; what cannot be one becomes one that the server refuses.
pub fn request(method: Method, path: &str, accept: &str, body: Option<(&str, Vec<u8>)>) -> Request<Vec<u8>> {
    let mut builder = Request::builder().method(method).uri(path).header("accept", accept);
    let bytes = match body {
        Some((kind, bytes)) => {
            builder = builder.header("content-type", kind);
            bytes
        }
        None => Vec::new(),
    };
    builder.body(bytes).unwrap_or_else(|_| Request::new(Vec::new()))
}

/// Adds query parameters, escaped.
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    for (key, value) in pairs {
        out.push(if out.contains('?') { '&' } else { '?' });
        out.push_str(&format!("{key}={}", escape(value)));
    }
    out
}

pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

pub fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The text of `299 - "text"`.
fn warning_text(header: &str) -> Option<String> {
    let quoted = header.strip_prefix("299 ")?.split_once(" \"")?.1;
    let mut out = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            '"' => return Some(out),
            c => out.push(c),
        }
    }
    None
}

/// An error and its causes, the innermost telling most.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !out.contains(&text) {
            out = format!("{out}: {text}");
        }
        source = cause.source();
    }
    out
}

fn unreachable_server(server: &str, error: &kube::Error) -> Failure {
    let text = chain(error);
    let host = server.split("://").nth(1).unwrap_or(server).split('/').next().unwrap_or_default();
    let lower = text.to_lowercase();
    let why = if lower.contains("connection refused") {
        format!("dial tcp {host}: connect: connection refused")
    } else if lower.contains("dns error") || lower.contains("failed to lookup") {
        format!("dial tcp: lookup {}: no such host", host.rsplit_once(':').map_or(host, |(h, _)| h))
    } else if lower.contains("unknownissuer") || lower.contains("unknown issuer") {
        "tls: failed to verify certificate: x509: certificate signed by unknown authority".into()
    } else if lower.contains("elapsed") || lower.contains("timed out") {
        format!("dial tcp {host}: i/o timeout")
    } else if let kube::Error::Auth(auth) = error {
        format!("getting credentials: {}", chain(auth))
    } else {
        text
    };
    Failure::Connection(server.to_owned(), why)
}

/// A bare fault says which request it answers: `(get pods x)`.
fn about(failure: Failure, verb: &Method, path: &str) -> Failure {
    let Failure::Status(mut status) = failure else { return failure };
    if status.get("details").is_none() && status["metadata"]["generic"] == true {
        let mut parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let skip = match parts.first() {
            Some(&"api") => 2,
            Some(&"apis") => 3,
            _ => return Failure::Status(status),
        };
        parts.drain(..skip.min(parts.len()));
        if parts.first() == Some(&"namespaces") && parts.len() > 2 && !(parts.len() == 3 && matches!(parts[2], "status" | "finalize")) {
            parts.drain(..2);
        }
        let word = if *verb == Method::GET { "get" } else { &verb.as_str().to_lowercase() };
        let name = parts.get(1).map(|n| format!(" {n}")).unwrap_or_default();
        if let Some(resource) = parts.first() {
            status["message"] = format!("{} ({word} {resource}{name})", status["message"].as_str().unwrap_or_default()).into();
        }
    }
    Failure::Status(status)
}

/// The server's status, or one made of a bare code and text.
pub fn server_failure(code: u16, body: &[u8]) -> Failure {
    if let Ok(value) = serde_json::from_slice::<Value>(body)
        && value["kind"] == "Status"
    {
        return Failure::Status(Box::new(value));
    }
    let text = String::from_utf8_lossy(body).trim().to_owned();
    let or = |default: &str| if text.is_empty() || text.len() > 2048 || code >= 500 && text.starts_with('<') { default.to_owned() } else { text.clone() };
    let (reason, message) = match code {
        401 => ("Unauthorized", "the server has asked for the client to provide credentials".to_owned()),
        403 => ("Forbidden", or("the server does not allow access to the requested resource")),
        404 => ("NotFound", "the server could not find the requested resource".to_owned()),
        405 => ("MethodNotAllowed", "the server does not allow this method on the requested resource".to_owned()),
        406 => ("NotAcceptable", or("the server was unable to respond with a content type that the client supports")),
        409 => ("Conflict", "the server reported a conflict".to_owned()),
        410 => ("Gone", "the server has removed the requested resource".to_owned()),
        413 => ("RequestEntityTooLarge", format!("Request entity too large: {text}")),
        415 => ("UnsupportedMediaType", or("the server was unable to read the request's media type")),
        422 => ("Invalid", "the server rejected our request due to an error in our request".to_owned()),
        429 => ("TooManyRequests", "the server has received too many requests and has asked us to try again later".to_owned()),
        400 => ("BadRequest", or("the server rejected our request for an unknown reason")),
        503 => ("ServiceUnavailable", or("the server is currently unable to handle the request")),
        504 => ("Timeout", "the server was unable to return a response in the time allotted, but may still be processing the request".to_owned()),
        500.. => ("InternalError", format!("an error on the server ({:?}) has prevented the request from succeeding", if text.is_empty() { "unknown" } else { &text })),
        _ => ("", or("the server rejected our request for an unknown reason")),
    };
    match status(code, reason, &message) {
        Failure::Status(mut status) => {
            status["metadata"]["generic"] = true.into();
            Failure::Status(status)
        }
        other => other,
    }
}
