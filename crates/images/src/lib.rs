//! The images knarr brings along (`pause`, and the example application `hello`) and the way of image archives into containerd.
//!
//! Never touches a registry. Keeps true: the same build gives the same archive, byte for byte.

mod archive;
mod builtin;
mod import;

pub use archive::{Image, archive};
pub use builtin::{HELLO, PAUSE, builtin_archive};
pub use import::{Error, Importer};
