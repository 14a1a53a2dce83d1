//! A session over a WebSocket: a byte before each message says which stream it belongs to.
// Upstream: client-go tools/remotecommand/websocket.go.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use spdy::channels::{CLOSE, ERROR, RESIZE, STDERR, STDIN, STDOUT};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::Message;

use super::upgrade::Socket;
use super::{Input, Sizes, encoded, exit_code, next_size, read_some};
use crate::client::chain;
use crate::failure::{Failure, Outcome};

/// Idle connections are dropped by what stands between: a ping keeps them.
const PING: Duration = Duration::from_secs(5);

pub async fn run(socket: Socket, input: Option<Input>, output: impl AsyncWrite + Unpin, errors: impl AsyncWrite + Unpin, sizes: Option<Sizes>) -> Outcome<u8> {
    let (send, receive) = socket.split();
    tokio::select! {
        outcome = outputs(receive, output, errors) => outcome,
        never = inputs(send, input, sizes) => match never {},
    }
}

fn message(channel: u8, bytes: &[u8]) -> Message {
    Message::Binary(spdy::channels::message(channel, bytes))
}

/// Sends until nobody listens; how the session ends is told by the other direction.
async fn inputs(mut send: SplitSink<Socket, Message>, mut input: Option<Input>, mut sizes: Option<Sizes>) -> std::convert::Infallible {
    let mut buffer = vec![0; 32 * 1024];
    let mut ping = tokio::time::interval(PING);
    ping.tick().await;
    loop {
        let next = tokio::select! {
            read = read_some(&mut input, &mut buffer) => match read {
                0 => message(CLOSE, &[STDIN]),
                count => message(STDIN, &buffer[..count]),
            },
            size = next_size(&mut sizes) => message(RESIZE, &encoded(size)),
            _ = ping.tick() => Message::Ping(Bytes::new()),
        };
        if send.send(next).await.is_err() {
            return std::future::pending().await;
        }
    }
}

async fn outputs(mut receive: SplitStream<Socket>, mut output: impl AsyncWrite + Unpin, mut errors: impl AsyncWrite + Unpin) -> Outcome<u8> {
    let mut status = Vec::new();
    loop {
        let bytes = match receive.next().await {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Text(text))) => Bytes::from(text),
            None | Some(Ok(Message::Close(_))) => break,
            Some(Ok(_)) => continue,
            Some(Err(_)) if !status.is_empty() => break,
            Some(Err(e)) => return Err(Failure::Text(format!("error reading from the connection: {}", chain(&e)))),
        };
        match bytes.split_first() {
            Some((&STDOUT, data)) => {
                output.write_all(data).await?;
                output.flush().await?;
            }
            Some((&STDERR, data)) => {
                errors.write_all(data).await?;
                errors.flush().await?;
            }
            Some((&ERROR, data)) => status = data.to_vec(),
            _ => {}
        }
    }
    exit_code(&status)
}
