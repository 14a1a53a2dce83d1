//! The beginning of a WebSocket: who asks for one, for which protocol, and the answer.

use api::ApiError;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::respond::{self, Body};

pub fn is_asked(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|u| u.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// The protocols that a client offers, the dearest first.
pub fn offered(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).map(str::trim)
}

/// The answer that makes a connection a WebSocket.
///
/// # Errors
/// 400 where the client sent no key.
pub fn accept(headers: &HeaderMap, protocol: Option<&'static str>) -> Result<Response<Body>, ApiError> {
    let key = headers.get(header::SEC_WEBSOCKET_KEY).ok_or_else(|| ApiError::bad_request("a WebSocket request needs Sec-WebSocket-Key"))?;
    let mut response = Response::new(respond::full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let answer = response.headers_mut();
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(protocol) = protocol {
        answer.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
    Ok(response)
}
