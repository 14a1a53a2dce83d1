//! Rules in CEL (`x-kubernetes-validations`): compiled once with the schema, asked of every object written.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/schema/cel`. The language itself is the `cel` crate's.

mod cost;
mod decl;
mod evaluate;
mod tree;

pub use evaluate::validate;
pub use tree::{Judged, Tree};
