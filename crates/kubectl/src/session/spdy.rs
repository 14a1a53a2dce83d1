//! A session over SPDY: a stream for each of standard input, output, errors, the terminal's size, and the outcome.
// Upstream: client-go tools/remotecommand (v2.go, v3.go, v4.go, v5.go).

use spdy::{Connection, StreamReader, StreamWriter};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::{Input, Sizes, Target, encoded, exit_code, next_size, read_some};
use crate::failure::{Failure, Outcome};

/// The longest outcome that is read.
const MAX_STATUS: usize = 64 << 10;

pub async fn run(
    connection: &Connection,
    target: &Target,
    input: Option<Input>,
    output: impl AsyncWrite + Unpin,
    errors: impl AsyncWrite + Unpin,
    sizes: Option<Sizes>,
) -> Outcome<u8> {
    // The order is upstream's.
    let (error, _) = open(connection, "error").await?;
    let stdin = if target.stdin { Some(open(connection, "stdin").await?.1) } else { None };
    let (stdout, _) = open(connection, "stdout").await?;
    let stderr = if target.stderr && !target.tty { Some(open(connection, "stderr").await?.0) } else { None };
    let resize = if target.tty { Some(open(connection, "resize").await?.1) } else { None };
    let outputs = async {
        let (out, err, status) = tokio::join!(copy(Some(stdout), output), copy(stderr, errors), outcome(error));
        out.and(err)?;
        exit_code(&status)
    };
    tokio::select! {
        outcome = outputs => outcome,
        never = inputs(stdin, input, resize, sizes) => match never {},
    }
}

async fn open(connection: &Connection, kind: &str) -> Outcome<(StreamReader, StreamWriter)> {
    connection.open(&[("streamtype", kind)]).await.map_err(|e| Failure::Text(format!("error creating {kind} stream: {e}")))
}

async fn copy(from: Option<StreamReader>, mut to: impl AsyncWrite + Unpin) -> Outcome {
    let Some(mut from) = from else { return Ok(()) };
    while let Some(part) = from.next().await {
        to.write_all(&part).await?;
        to.flush().await?;
    }
    Ok(())
}

async fn outcome(mut from: StreamReader) -> Vec<u8> {
    let mut status = Vec::new();
    while let Some(part) = from.next().await {
        status.extend_from_slice(&part[..part.len().min(MAX_STATUS - status.len())]);
    }
    status
}

/// Sends until nobody listens; how the session ends is told by the other direction.
async fn inputs(stdin: Option<StreamWriter>, mut input: Option<Input>, resize: Option<StreamWriter>, mut sizes: Option<Sizes>) -> std::convert::Infallible {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let sent = tokio::select! {
            read = read_some(&mut input, &mut buffer) => match (&stdin, read) {
                (Some(stdin), 0) => stdin.end().await,
                (Some(stdin), count) => stdin.write(&buffer[..count]).await,
                (None, _) => Ok(()),
            },
            size = next_size(&mut sizes) => match &resize {
                Some(resize) => resize.write(&encoded(size)).await,
                None => Ok(()),
            },
        };
        if sent.is_err() {
            return std::future::pending().await;
        }
    }
}
