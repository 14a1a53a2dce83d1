//! Server-side apply: who owns which field, what an applier changes, and where two disagree.
//!
//! Ownership lives in `metadata.managedFields`, one entry per manager, operation, version and subresource. Never looks at a
//! clock: the time of an operation is an argument. Never guesses: without a schema, objects merge and lists are atomic.
// Upstream: sigs.k8s.io/structured-merge-diff and apimachinery's managedfields.
// Differs: entries of other API versions of the same kind are read with the current version's schema instead of converted.

mod compare;
mod configuration;
mod conflict;
mod field_set;
mod managed;
mod merge;
mod path;
mod remove;
mod set;
mod shape;
mod update;

pub use configuration::merge_configuration;
pub use conflict::{ApplyError, Conflict, Conflicts};
pub use managed::{ManagedEntry, Operation, decode_managed, encode_managed};
pub use set::Set;
pub use update::{Write, apply, check_applied, track_update};
