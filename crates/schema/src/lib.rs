//! What every Kubernetes type looks like: JSON names, protobuf numbers, list types, merge keys, defaults, descriptions.
//!
//! One table, committed under `data/` and written by `tools/gen-schema`, serves decoding, patching, server-side apply and
//! OpenAPI. Types are built from it on first use and kept; nothing is loaded that nobody asks for. Custom resources build
//! the same [`Type`] at run time.

mod describe;
pub mod openapi;
mod structural;
mod table;
mod types;

pub use describe::{Descriptions, descriptions};
pub use structural::custom_type;
pub use table::{Kind, by_kind, by_name, kinds, names};
pub use types::{Field, List, ListKind, Map, Of, Special, Text, Type, TypeRef, Unknown, WireField, WireTarget};
