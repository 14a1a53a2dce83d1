//! Where charts come from: paths, URLs, repositories with an index, OCI registries.

pub mod fetch;
pub mod index;
pub mod keybox;
pub mod locate;
pub mod oci;
pub mod provenance;
pub mod repositories;
pub mod unreached;
