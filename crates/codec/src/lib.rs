//! Between bytes and `serde_json::Value`: JSON, YAML and Kubernetes' protobuf, shaped as Go's typed round trip would shape them.
//!
//! Never holds typed structs: every decision reads the schema table. Every input is bounded in depth and size and never panics.

mod cbor;
mod conform;
mod error;
mod json;
mod path;
mod proto;
mod scalar;
mod wire;
mod yaml;

pub use cbor::{CBOR_MAGIC, cbor_event, decode_cbor, encode_cbor};
pub use conform::{Decoded, Strictness, conform};
pub use error::{DecodeError, EncodeError};
pub use json::{decode_json, decode_untyped};
pub use scalar::time as canonical_time;
pub use proto::{
    MAGIC, ProtoObject, decode_message, decode_proto, decode_proto_as, encode_message, encode_proto, envelope, envelope_parts, list_envelope, watch_frame,
};
pub use yaml::{yaml_as, decode_yaml, split_documents};
