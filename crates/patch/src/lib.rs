//! The four ways to change an object: JSON patch, merge patch, strategic merge patch, server-side apply; and patches made of differences.
//!
//! Pure functions over values and schema types; the API server decodes, calls one of them, and conforms the result.

mod apply;
mod json_patch;
mod merge_patch;
mod strategic;
mod strategic_diff;
mod strategic_list;

pub use apply::{ApplyError, Conflict, Conflicts, ManagedEntry, Operation, Set, Write, apply, check_applied, decode_managed, encode_managed, merge_configuration, track_update};
pub use json_patch::{JsonPatchError, apply_json_patch};
pub use merge_patch::apply_merge_patch;
pub use strategic::{StrategicError, apply_strategic};
pub use strategic_diff::{DiffError, Facts, FieldFacts, diff_merge, diff_strategic, three_way_merge, three_way_strategic};
