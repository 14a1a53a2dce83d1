//! What WebSockets have instead of streams: a byte before each message names the channel that it belongs to.
//!
//! The names and numbers of the protocols, for both of their ends.
//!
//! Upstream: apimachinery `pkg/util/remotecommand/constants.go`, `pkg/util/portforward/constants.go`; client-go `tools/remotecommand/websocket.go`.

use bytes::{BufMut, Bytes, BytesMut};

/// Streams of a container, without and with a client's way to end its input.
pub const V4: &str = "v4.channel.k8s.io";
pub const V5: &str = "v5.channel.k8s.io";
/// Forwarded ports over SPDY, and SPDY's own bytes in messages.
pub const PORTS: &str = "portforward.k8s.io";
pub const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";

pub const STDIN: u8 = 0;
pub const STDOUT: u8 = 1;
pub const STDERR: u8 = 2;
/// How the process ended: a Status.
pub const ERROR: u8 = 3;
/// Sizes of the terminal.
pub const RESIZE: u8 = 4;
/// Its message is the number of a channel that the client writes no more to.
pub const CLOSE: u8 = 255;

/// A message of a channel.
pub fn message(channel: u8, bytes: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(1 + bytes.len());
    message.put_u8(channel);
    message.put_slice(bytes);
    message.freeze()
}
