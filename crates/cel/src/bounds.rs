//! How large data can be: the bounds a declaration gives, or what fits into one request.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/limits.go, common/schemas.go (SchemaDeclType).

use crate::decl::{Decl, DeclKind};

/// The largest request.
const REQUEST: u64 = 3 * 1024 * 1024;
/// A code point may take four bytes, and sizes here are bytes.
const BYTES_PER_CHARACTER: u64 = 4;

impl Decl {
    /// The fewest bytes of JSON.
    pub fn min_size(&self) -> u64 {
        match &self.kind {
            DeclKind::Dyn | DeclKind::Int | DeclKind::Double | DeclKind::IntOrString => 1,
            DeclKind::Null | DeclKind::Bool => 4,
            DeclKind::String | DeclKind::Enum(_) | DeclKind::Bytes | DeclKind::List(_) | DeclKind::Map(..) => 2,
            DeclKind::Date => 12,
            DeclKind::DateTime => 21,
            DeclKind::Duration => 3,
            DeclKind::Quantity => 8,
            DeclKind::Object(object) => 2 + object.fields.values().filter(|f| f.required).map(|f| f.json.len() as u64 + f.decl.min_size() + 4).sum::<u64>(),
        }
    }

    /// The most items, entries or bytes; nothing for values of one size, `None` for values of any type.
    pub fn max_elements(&self) -> Option<u64> {
        let text = |factor: u64| self.max.map_or(REQUEST - 2, |m| m.saturating_mul(factor));
        Some(match &self.kind {
            DeclKind::Dyn => return self.max,
            DeclKind::Bool => self.max.unwrap_or(0),
            DeclKind::String | DeclKind::IntOrString => text(BYTES_PER_CHARACTER),
            DeclKind::Bytes => text(1),
            DeclKind::Enum(longest) => *longest,
            DeclKind::Duration | DeclKind::DateTime => 32,
            DeclKind::Date => 12,
            DeclKind::List(list) => self.max.unwrap_or_else(|| (REQUEST - 2) / (list.items.min_size() + 1)),
            DeclKind::Map(values, _) => self.max.unwrap_or_else(|| (REQUEST - 2) / (values.min_size() + 6)),
            DeclKind::Null | DeclKind::Int | DeclKind::Double | DeclKind::Quantity | DeclKind::Object(_) => 0,
        })
    }

    /// How often a rule on this list's items or this map's values may run: the cardinality it adds.
    pub fn cardinality(&self) -> u64 {
        match &self.kind {
            DeclKind::List(_) | DeclKind::Map(..) => self.max_elements().unwrap_or(u64::MAX),
            _ => 1,
        }
    }
}
