//! The container runtime interface, version 1: its messages, a client for it over a unix socket, and containerd's event stream.
//!
//! Never decides anything and never retries: it turns one call into one request. The messages are our own text, exact on the wire by
//! their documented field numbers; fields that nobody here reads are left out, and protobuf skips them.

mod call;
mod error;
mod events;
mod image;
mod runtime;
mod sandbox;
mod stats;

pub use call::Cri;
pub use error::Error;
pub use events::{Event, EventStream};
pub use image::*;
pub use runtime::*;
pub use sandbox::*;
pub use stats::*;
