//! The vocabulary of the API: what requests say, resource names and keys, metadata access, selectors, field errors, `Status`.
//!
//! Knows no resource in particular and does no IO. Everything here is a plain value.

pub mod cursor;
pub mod field;
pub mod meta;
pub mod names;
pub mod query;
pub mod request;
pub mod resource;
pub mod selector;
pub mod status;
pub mod time;

pub use field::{FieldError, FieldErrors, Path};
pub use resource::{GroupResource, GroupVersionKind, GroupVersionResource};
pub use status::{ApiError, Reason};
