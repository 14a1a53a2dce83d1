//! Kubernetes' protobuf: objects in the `k8s\0` envelope, driven by the schema table.
//!
//! Never needs generated messages. Fields without a number (the youngest alpha ones) stay out of the wire form.

mod decode;
mod encode;

use schema::Type;
use serde_json::Value;

use crate::conform::{Strictness, conform};
use crate::error::{DecodeError, EncodeError};
use crate::wire::{Reader, put_bytes, put_message, put_tag, put_varint};

/// What every object on the wire begins with.
pub const MAGIC: &[u8; 4] = b"k8s\0";
/// Nesting beyond this is refused; upstream's deepest real objects stay below thirty.
pub(crate) const MAX_DEPTH: usize = 100;

/// An object out of its envelope.
#[derive(Clone, Debug, PartialEq)]
pub struct ProtoObject {
    pub api_version: String,
    pub kind: String,
    pub value: Value,
}

/// Decodes an enveloped object of any built-in kind.
pub fn decode_proto(bytes: &[u8]) -> Result<ProtoObject, DecodeError> {
    decode_enveloped(bytes, None, 0)
}

/// Decodes an enveloped object whose envelope may leave out what it is (options bodies do).
pub fn decode_proto_as(bytes: &[u8], of: &Type) -> Result<ProtoObject, DecodeError> {
    decode_enveloped(bytes, Some(of), 0)
}

/// Decodes a bare message.
pub fn decode_message(bytes: &[u8], of: &Type) -> Result<Value, DecodeError> {
    let value = decode::message(bytes, of, 0)?;
    Ok(conform(value, of, Strictness::Ignore)?.value)
}

fn decode_enveloped(bytes: &[u8], default: Option<&Type>, depth: usize) -> Result<ProtoObject, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::Wire("proto: nesting is too deep"));
    }
    let body = bytes.strip_prefix(MAGIC).ok_or(DecodeError::Wire("provided data does not appear to be a protobuf message, expected prefix \"k8s\""))?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    let mut reader = Reader(body);
    while let Some((number, piece)) = reader.next()? {
        match number {
            1 => {
                let mut meta = Reader(piece.bytes()?);
                while let Some((number, piece)) = meta.next()? {
                    match number {
                        1 => api_version = piece.text()?.to_owned(),
                        2 => kind = piece.text()?.to_owned(),
                        _ => {}
                    }
                }
            }
            2 => raw = piece.bytes()?,
            _ => {}
        }
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
    let of = schema::by_kind(group, version, &kind)
        .or(default)
        .ok_or_else(|| DecodeError::UnknownKind { api_version: api_version.clone(), kind: kind.clone() })?;
    let mut value = decode::message(raw, of, depth)?;
    if let Value::Object(map) = &mut value {
        for (name, text) in [("apiVersion", &api_version), ("kind", &kind)] {
            if !text.is_empty() {
                map.insert(name.into(), Value::from(text.as_str()));
            }
        }
    }
    let value = conform(value, of, Strictness::Ignore)?.value;
    Ok(ProtoObject { value, api_version, kind })
}

/// Encodes an object with its envelope; what it is stands in its own `apiVersion` and `kind`.
pub fn encode_proto(value: &Value, of: &Type) -> Result<Vec<u8>, EncodeError> {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    Ok(envelope(text("apiVersion"), text("kind"), &encode_message(value, of)?))
}

/// Encodes a bare message.
pub fn encode_message(value: &Value, of: &Type) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::with_capacity(512);
    encode::object(&mut out, value, of)?;
    Ok(out)
}

/// Puts a bare message into the envelope.
pub fn envelope(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let (mut out, tail) = envelope_parts(api_version, kind, message.len());
    out.extend_from_slice(message);
    out.extend_from_slice(tail);
    out
}

/// What stands before and after a message of `length` bytes in its envelope, for writers that stream the message.
pub fn envelope_parts(api_version: &str, kind: &str, length: usize) -> (Vec<u8>, &'static [u8]) {
    let mut out = Vec::with_capacity(32 + api_version.len() + kind.len());
    out.extend_from_slice(MAGIC);
    let _ = put_message(&mut out, 1, |out| {
        put_bytes(out, 1, api_version.as_bytes());
        put_bytes(out, 2, kind.as_bytes());
        Ok::<(), EncodeError>(())
    });
    put_tag(&mut out, 2, crate::wire::BYTES);
    put_varint(&mut out, length as u64);
    // Empty contentEncoding and contentType, which Go writes always.
    (out, &[0x1a, 0, 0x22, 0])
}

/// A whole list out of its metadata and the items' bare messages.
pub fn list_envelope<'a>(api_version: &str, kind: &str, metadata: &Value, items: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Vec<u8>, EncodeError> {
    let mut head = Vec::new();
    if let Some(of) = schema::by_name("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta") {
        put_message(&mut head, 1, |out| encode::object(out, metadata, of))?;
    }
    let sized = |item: &[u8]| {
        let mut length = Vec::with_capacity(5);
        put_varint(&mut length, item.len() as u64);
        1 + length.len() + item.len()
    };
    let total = head.len() + items.clone().map(sized).sum::<usize>();
    let (mut out, tail) = envelope_parts(api_version, kind, total);
    out.reserve(total + tail.len());
    out.extend_from_slice(&head);
    for item in items {
        put_bytes(&mut out, 2, item);
    }
    out.extend_from_slice(tail);
    Ok(out)
}

/// One frame of a protobuf watch stream: a length in four big-endian bytes, then a bare WatchEvent around the enveloped object.
pub fn watch_frame(event: &str, object: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(object.len() + 32);
    put_bytes(&mut body, 1, event.as_bytes());
    let _ = put_message(&mut body, 2, |out| {
        put_bytes(out, 1, object);
        Ok::<(), EncodeError>(())
    });
    let mut out = Vec::with_capacity(body.len() + 4);
    out.extend_from_slice(&(body.len() as u32).to_be_bytes());
    out.extend_from_slice(&body);
    out
}
