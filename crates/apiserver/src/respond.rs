//! Responses: bodies, media types, errors.

use std::convert::Infallible;

use api::ApiError;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use crate::config::Gates;
use crate::object;

/// A body, whole or streamed; streams end early where a connection breaks, so there is no error to carry.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

pub const JSON: &str = "application/json";
pub const YAML: &str = "application/yaml";
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
pub const CBOR: &str = "application/cbor";

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body of parts that come one after another.
pub fn stream(parts: impl futures::Stream<Item = Bytes> + Send + 'static) -> Body {
    use futures::StreamExt;
    http_body_util::StreamBody::new(parts.map(|part| Ok(http_body::Frame::data(part)))).boxed_unsync()
}

pub fn respond(code: StatusCode, media: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

pub fn json(code: StatusCode, value: &Value) -> Response<Body> {
    respond(code, JSON, full(object::to_bytes(value)))
}

pub fn text(code: StatusCode, text: impl Into<String>) -> Response<Body> {
    // Upstream: Go's `http.Error` and health handlers name the charset.
    respond(code, "text/plain; charset=utf-8", full(text.into()))
}

/// An error as its Status, in the form that the client accepts.
pub fn error(error: &ApiError, accept: &Accept) -> Response<Body> {
    let code = StatusCode::from_u16(error.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = encoded(code, &error.to_status(), accept.form);
    if let Some(seconds) = error.details.get("retryAfterSeconds").and_then(Value::as_u64) {
        response.headers_mut().insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// How the client wants bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    #[default]
    Json,
    Yaml,
    Protobuf,
    Cbor,
}

/// What the client wants instead of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum View {
    #[default]
    Object,
    Table,
    /// Only metadata.
    Partial,
}

/// The outcome of content negotiation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Accept {
    pub form: Form,
    pub view: View,
}

impl Accept {
    /// The best offer of the Accept header that can be served. Upstream: order counts, weights below it.
    pub fn negotiate(headers: &HeaderMap, gates: Gates) -> Result<Self, ApiError> {
        Self::choose(headers, false, gates)
    }

    /// The same for custom resources, which have no protobuf form; their metadata has.
    pub fn negotiate_custom(headers: &HeaderMap, gates: Gates) -> Result<Self, ApiError> {
        Self::choose(headers, true, gates)
    }

    fn choose(headers: &HeaderMap, is_custom: bool, gates: Gates) -> Result<Self, ApiError> {
        let header = headers.get(http::header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if header.trim().is_empty() {
            return Ok(Self::default());
        }
        let mut offers: Vec<(f32, Self)> = header.split(',').filter_map(parse_offer).collect();
        offers.sort_by(|a, b| b.0.total_cmp(&a.0));
        offers.retain(|(_, accept)| gates.cbor || accept.form != Form::Cbor);
        offers.retain(|(_, accept)| !is_custom || accept.view != View::Object || accept.form != Form::Protobuf);
        offers.first().map(|(_, accept)| *accept).ok_or_else(|| ApiError::not_acceptable(&accepted(is_custom, gates)))
    }
}

/// What objects may be sent and asked for as, in upstream's order.
pub fn accepted(is_custom: bool, gates: Gates) -> String {
    let mut all = vec![JSON, YAML];
    if !is_custom {
        all.push(PROTOBUF);
    }
    if gates.cbor {
        all.push(CBOR);
    }
    all.join(", ")
}

fn parse_offer(offer: &str) -> Option<(f32, Accept)> {
    let mut parts = offer.split(';').map(str::trim);
    let form = match parts.next()? {
        "application/json" | "*/*" | "application/*" => Form::Json,
        "application/yaml" | "application/x-yaml" | "text/yaml" => Form::Yaml,
        PROTOBUF => Form::Protobuf,
        CBOR => Form::Cbor,
        _ => return None,
    };
    let (mut view, mut weight) = (View::Object, 1.0);
    for part in parts {
        match part.split_once('=')? {
            ("as", "Table") => view = View::Table,
            ("as", "PartialObjectMetadata" | "PartialObjectMetadataList") => view = View::Partial,
            ("as", _) => return None,
            ("g", "meta.k8s.io") | ("v", "v1" | "v1beta1") | ("stream" | "charset", _) => {}
            ("q", q) => weight = q.parse().ok()?,
            ("g" | "v", _) => return None,
            _ => {}
        }
    }
    // Tables and metadata go out as JSON or YAML; the protobuf offer is passed over for the next one.
    if form == Form::Protobuf && view == View::Table {
        return None;
    }
    Some((weight, Accept { form, view }))
}

/// Encodes a value that is not one of the stored byte strings.
pub fn encoded(code: StatusCode, value: &Value, form: Form) -> Response<Body> {
    match form {
        Form::Json => json(code, value),
        Form::Yaml => match crate::wire::to_yaml(value) {
            Some(text) => respond(code, YAML, full(text)),
            None => json(code, value),
        },
        Form::Cbor => respond(code, CBOR, full(crate::wire::to_cbor(value))),
        Form::Protobuf => match crate::wire::to_protobuf(value) {
            Some(bytes) => respond(code, PROTOBUF, full(bytes)),
            None => json(code, value),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiate(header: &'static str) -> Option<Accept> {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::ACCEPT, HeaderValue::from_static(header));
        Accept::negotiate(&headers, Gates::default()).ok()
    }

    #[test]
    fn takes_the_first_offer_it_can_serve() {
        assert_eq!(negotiate("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"), Some(Accept { form: Form::Json, view: View::Table }));
        assert_eq!(negotiate("application/vnd.kubernetes.protobuf, */*"), Some(Accept { form: Form::Protobuf, view: View::Object }));
        assert_eq!(negotiate("application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"), Some(Accept { form: Form::Protobuf, view: View::Partial }));
        assert_eq!(negotiate("application/cbor, application/yaml;q=0.5, */*;q=0.1"), Some(Accept { form: Form::Yaml, view: View::Object }));
        assert_eq!(negotiate("text/html"), None);
    }
}
