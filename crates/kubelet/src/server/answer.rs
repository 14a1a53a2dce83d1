//! Responses and query strings.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::sync::mpsc;

pub type Request = http::Request<Incoming>;
pub type Response = http::Response<BoxBody<Bytes, Infallible>>;

fn with(status: u16, kind: &'static str, body: BoxBody<Bytes, Infallible>) -> Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(kind));
    response
}

pub fn text(status: u16, body: &str) -> Response {
    with(status, "text/plain; charset=utf-8", Full::new(Bytes::from(body.to_owned())).boxed())
}

pub fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => with(200, "application/json", Full::new(Bytes::from(body)).boxed()),
        Err(error) => text(500, &error.to_string()),
    }
}

pub fn bytes(body: Vec<u8>) -> Response {
    with(200, "text/plain", Full::new(Bytes::from(body)).boxed())
}

/// Sends what comes through the channel until it closes.
pub fn streamed(mut chunks: mpsc::Receiver<Bytes>) -> Response {
    let stream = futures::stream::poll_fn(move |cx| chunks.poll_recv(cx).map(|chunk| chunk.map(|c| Ok(Frame::data(c)))));
    let mut response = with(200, "text/plain", StreamBody::new(stream).boxed());
    response.headers_mut().insert("transfer-encoding", http::HeaderValue::from_static("chunked"));
    response
}

pub fn empty(status: http::StatusCode) -> Response {
    let mut response = http::Response::new(Full::new(Bytes::new()).boxed());
    *response.status_mut() = status;
    response
}

/// The parameters of a query, decoded.
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn of(uri: &http::Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|p| !p.is_empty());
        Self(pairs.map(|p| p.split_once('=').unwrap_or((p, ""))).map(|(k, v)| (decode(k), decode(v))).collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    pub fn all(&self, name: &str) -> Vec<String> {
        self.0.iter().filter(|(k, _)| k == name).map(|(_, v)| v.clone()).collect()
    }

    /// `1`, `true` and their like, under either name.
    pub fn flag(&self, names: &[&str]) -> bool {
        names.iter().filter_map(|n| self.get(n)).any(|v| matches!(v, "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }
}

pub fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten().and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[at], hex) {
            (_, Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
