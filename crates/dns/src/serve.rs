//! Datagrams and streams in, responses out. Bounded in tasks, connections and time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;

use crate::respond::Responder;

const DATAGRAMS_AT_ONCE: usize = 1024;
const STREAMS_MAX: usize = 256;
const STREAM_IDLE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// Answers datagrams for ever.
pub(crate) async fn serve_datagrams(socket: UdpSocket, responder: Arc<Responder>) {
    let socket = Arc::new(socket);
    let room = Arc::new(Semaphore::new(DATAGRAMS_AT_ONCE));
    let mut buffer = vec![0; 4096];
    loop {
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(got) => got,
            Err(error) => {
                // A client that is gone shows as an error here; it concerns nobody else.
                tracing::debug!(%error, "datagram was not received");
                continue;
            }
        };
        // Full: this one is lost, as the network loses some; the client asks again.
        let Ok(place) = room.clone().try_acquire_owned() else { continue };
        let (socket, responder, bytes) = (socket.clone(), responder.clone(), buffer[..length].to_vec());
        tokio::spawn(async move {
            if let Some(response) = responder.respond(&bytes, false).await {
                let _ = socket.send_to(&response, from).await;
            }
            drop(place);
        });
    }
}

/// Answers streams for ever.
pub(crate) async fn serve_streams(listener: TcpListener, responder: Arc<Responder>) {
    let room = Arc::new(Semaphore::new(STREAMS_MAX));
    while let Ok(place) = room.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, from)) => {
                let responder = responder.clone();
                tokio::spawn(async move {
                    if let Err(error) = talk(stream, &responder).await {
                        tracing::debug!(%from, %error, "stream ended");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn talk(mut stream: TcpStream, responder: &Responder) -> std::io::Result<()> {
    loop {
        let length = match tokio::time::timeout(STREAM_IDLE, stream.read_u16()).await {
            Ok(Ok(length)) => usize::from(length),
            // Idle or closed.
            _ => return Ok(()),
        };
        let mut buffer = vec![0; length];
        tokio::time::timeout(STREAM_IDLE, stream.read_exact(&mut buffer)).await??;
        let Some(response) = responder.respond(&buffer, true).await else { return Ok(()) };
        let length = u16::try_from(response.len()).map_err(std::io::Error::other)?;
        let mut framed = length.to_be_bytes().to_vec();
        framed.extend_from_slice(&response);
        tokio::time::timeout(STREAM_IDLE, stream.write_all(&framed)).await??;
    }
}

/// Both sockets of one address.
pub(crate) async fn bind(address: SocketAddr) -> std::io::Result<(UdpSocket, TcpListener)> {
    let socket = UdpSocket::bind(address).await?;
    // With port 0 the stream takes the port the datagrams got.
    let listener = TcpListener::bind(socket.local_addr()?).await?;
    Ok((socket, listener))
}
