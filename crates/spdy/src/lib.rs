//! The client's side of SPDY/3.1, as much of it as streams of containers and forwarded ports take.
//!
//! `frame` is the wire: frames out, frames in. `connection` gives each stream of one connection its own reader and writer. `channels` are
//! the names that WebSockets have for the same streams.
//! Never knows who carries the bytes: an upgraded connection, or the messages of a WebSocket.
//!
//! Upstream: moby/spdystream; apimachinery `pkg/util/httpstream/spdy/connection.go`; draft-mbelshe-httpbis-spdy-00 and its version 3.1.

pub mod channels;
mod connection;
mod frame;

pub use connection::{Connection, StreamReader, StreamWriter};
