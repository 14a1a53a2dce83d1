//! TOML as Go's BurntSushi/toml writes and reads it.

mod read;
mod write;

pub use read::read;
pub use write::{write, write_or_fail};
