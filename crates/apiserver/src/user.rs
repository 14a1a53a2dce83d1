//! Who asks.

pub use access::User;
