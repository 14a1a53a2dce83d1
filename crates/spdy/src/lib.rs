//! The client's side of SPDY/3.1, as much of it as streams of containers and forwarded ports take.
//!
//! `frame` is the wire: frames out, frames in. `connection` gives each stream of one connection its own reader and writer.
//! Never knows who carries the bytes: an upgraded connection, or the messages of a WebSocket.
//!
//! Upstream: moby/spdystream; apimachinery `pkg/util/httpstream/spdy/connection.go`; draft-mbelshe-httpbis-spdy-00 and its version 3.1.

mod connection;
mod frame;

pub use connection::{Connection, StreamReader, StreamWriter};
pub use frame::{Opener, Reader, Said, Stream, data, ping, reset};
