//! Custom resources: the table of definitions, versions of stored objects, and the steward who keeps definitions' status true.

pub mod cleanup;
pub mod convert;
pub mod definitions;
pub mod steward;
mod webhook;

/// Where definitions are stored.
pub const TABLE: &str = "/registry/apiextensions.k8s.io/customresourcedefinitions";
