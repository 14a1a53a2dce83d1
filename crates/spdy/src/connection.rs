//! Many streams over one connection, each with a reader and a writer of its own.
//!
//! Two tasks work beside the streams: one reads frames and hands data on, one writes. Keeps true: a stream that nobody reads holds
//! at most `WAITING` parts before it holds the whole connection, as there is no flow control; a stream whose reader is gone holds nothing.
//! A server that takes nothing in holds the writers alone: what it says is read on, and its pings are answered before what else waits.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::frame::{self, Opener, PART, Reader, Said, Stream};

/// Parts of a stream, and frames to write, that may wait.
const WAITING: usize = 16;
/// Answers to pings that may wait.
const PONGS: usize = 4;

/// A connection; ends when it and all of its streams are dropped.
pub struct Connection {
    opener: tokio::sync::Mutex<Opener>,
    shared: Arc<Shared>,
}

struct Shared {
    frames: mpsc::Sender<Bytes>,
    pongs: mpsc::Sender<Bytes>,
    /// What broke the connection.
    fault: OnceLock<io::Error>,
    streams: Mutex<Streams>,
    closed: CancellationToken,
}

#[derive(Default)]
struct Streams {
    open: HashMap<Stream, mpsc::Sender<Bytes>>,
    /// No new ones are taken.
    is_away: bool,
}

impl Shared {
    fn streams(&self) -> std::sync::MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, frame: Bytes) -> io::Result<()> {
        self.frames.send(frame).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Connection {
    /// Pings go out this often; never where there is none.
    pub fn new(from: impl AsyncRead + Unpin + Send + 'static, to: impl AsyncWrite + Unpin + Send + 'static, pings: Option<Duration>) -> Self {
        let (frames, queue) = mpsc::channel(WAITING);
        let (pongs, answers) = mpsc::channel(PONGS);
        let closed = CancellationToken::new();
        let shared = Arc::new(Shared { frames, pongs, fault: OnceLock::new(), streams: Mutex::default(), closed: closed.clone() });
        tokio::spawn(write(to, queue, answers, pings, closed.clone()));
        tokio::spawn({
            let shared = Arc::downgrade(&shared);
            async move {
                let ended = tokio::select! {
                    ended = read(Reader::new(from), &shared) => ended,
                    () = closed.cancelled() => Ok(()),
                };
                closed.cancel();
                if let Some(shared) = shared.upgrade() {
                    if let Err(fault) = ended {
                        let _ = shared.fault.set(fault);
                    }
                    *shared.streams() = Streams { is_away: true, ..Streams::default() };
                }
            }
        });
        Self { opener: tokio::sync::Mutex::default(), shared }
    }

    /// A new stream with these headers, their names in lower case.
    ///
    /// # Errors
    /// `BrokenPipe` once the connection has ended or takes no more streams.
    pub async fn open(&self, headers: &[(&str, &str)]) -> io::Result<(StreamReader, StreamWriter)> {
        // Held until the frame is queued: header compression makes frames of one out of all.
        let mut opener = self.opener.lock().await;
        let (stream, frame) = opener.open(headers);
        let (send, data) = mpsc::channel(WAITING);
        {
            let mut streams = self.shared.streams();
            if streams.is_away || self.shared.closed.is_cancelled() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            streams.open.insert(stream, send);
        }
        self.shared.send(frame).await?;
        Ok((StreamReader { stream, data, shared: self.shared.clone() }, StreamWriter { stream, shared: self.shared.clone() }))
    }

    /// Waits until the connection has ended.
    pub async fn closed(&self) {
        self.shared.closed.cancelled().await;
    }

    /// What broke the connection; none while it stands, and where the server ended it. Known before the streams end of it.
    pub fn fault(&self) -> Option<&io::Error> {
        self.shared.fault.get()
    }

    /// Ends the connection; its streams end with it.
    pub fn close(&self) {
        self.shared.closed.cancel();
    }
}

async fn write(mut to: impl AsyncWrite + Unpin, mut queue: mpsc::Receiver<Bytes>, mut pongs: mpsc::Receiver<Bytes>, pings: Option<Duration>, closed: CancellationToken) {
    let mut ticks = tokio::time::interval(pings.unwrap_or(Duration::from_secs(3600)));
    ticks.tick().await;
    let mut id = 1_u32;
    loop {
        let frame = tokio::select! {
            biased;
            Some(pong) = pongs.recv() => pong,
            frame = queue.recv() => match frame {
                Some(frame) => frame,
                // Everybody has gone.
                None => {
                    closed.cancel();
                    break;
                }
            },
            _ = ticks.tick(), if pings.is_some() => {
                id = id.wrapping_add(2);
                frame::ping(id.wrapping_sub(2))
            }
            () = closed.cancelled() => break,
        };
        let sent = async {
            to.write_all(&frame).await?;
            to.flush().await
        };
        let is_sent = tokio::select! {
            sent = sent => sent.is_ok(),
            () = closed.cancelled() => false,
        };
        if !is_sent {
            // What the server said before is still read.
            queue.close();
            break;
        }
    }
    let _ = tokio::time::timeout(Duration::from_secs(1), to.shutdown()).await;
}

/// Hands on what the server says until it ends.
async fn read(mut reader: Reader<impl AsyncRead + Unpin>, shared: &std::sync::Weak<Shared>) -> io::Result<()> {
    while let Some(said) = reader.next().await? {
        let Some(shared) = shared.upgrade() else { break };
        match said {
            Said::Data(stream, part) => {
                let to = shared.streams().open.get(&stream).cloned();
                // Nothing of this side is held while a slow reader is waited for, so that its end can be seen.
                drop(shared);
                if let Some(to) = to {
                    let _ = to.send(part).await;
                }
            }
            Said::End(stream) | Said::Reset(stream) => drop(shared.streams().open.remove(&stream)),
            // Odd ones are the answers to our own. A server that asks more than can be told gets fewer answers.
            Said::Ping(answer) if answer.last().is_some_and(|id| id % 2 == 0) => drop(shared.pongs.try_send(answer)),
            Said::Ping(_) => {}
            Said::Away => shared.streams().is_away = true,
        }
    }
    Ok(())
}

/// What comes from the server on one stream.
pub struct StreamReader {
    stream: Stream,
    data: mpsc::Receiver<Bytes>,
    shared: Arc<Shared>,
}

impl StreamReader {
    /// The next part; none at the stream's end.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.data.recv().await
    }
}

impl Drop for StreamReader {
    fn drop(&mut self) {
        self.shared.streams().open.remove(&self.stream);
    }
}

/// What goes to the server on one stream.
pub struct StreamWriter {
    stream: Stream,
    shared: Arc<Shared>,
}

impl StreamWriter {
    /// In frames of at most 32 KiB, so that what waits has a bound.
    ///
    /// # Errors
    /// `BrokenPipe` once the connection has ended.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(PART) {
            self.shared.send(frame::data(self.stream, part, false)).await?;
        }
        Ok(())
    }

    /// Nothing more is written.
    ///
    /// # Errors
    /// `BrokenPipe` once the connection has ended.
    pub async fn end(&self) -> io::Result<()> {
        self.shared.send(frame::data(self.stream, &[], true)).await
    }

    /// Gives the stream up, both directions.
    ///
    /// # Errors
    /// `BrokenPipe` once the connection has ended.
    pub async fn reset(&self) -> io::Result<()> {
        self.shared.streams().open.remove(&self.stream);
        self.shared.send(frame::reset(self.stream)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server of which the test is the pen.
    async fn connected() -> (Connection, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let (from, to) = tokio::io::split(ours);
        (Connection::new(from, to, None), theirs)
    }

    #[tokio::test]
    async fn streams_read_what_is_theirs() {
        let (connection, mut server) = connected().await;
        let (mut first, _) = connection.open(&[("streamtype", "error")]).await.unwrap();
        let (mut second, _) = connection.open(&[("streamtype", "data"), ("port", "80")]).await.unwrap();
        for frame in [frame::data(3, b"two", false), frame::ping(2), frame::data(1, b"one", true), frame::reset(3)] {
            server.write_all(&frame).await.unwrap();
        }
        assert_eq!(first.next().await.as_deref(), Some(&b"one"[..]));
        assert_eq!(first.next().await, None);
        assert_eq!(second.next().await.as_deref(), Some(&b"two"[..]));
        assert_eq!(second.next().await, None);
        drop((first, second, connection));
        let mut told = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut server, &mut told).await.unwrap();
        assert!(told.windows(12).any(|w| w == frame::ping(2)), "the ping is answered");
    }

    #[tokio::test]
    async fn the_end_of_the_connection_ends_all() {
        let (connection, mut server) = connected().await;
        let (mut reader, writer) = connection.open(&[("streamtype", "data")]).await.unwrap();
        // GOAWAY: what is open goes on, nothing new is taken.
        server.write_all(&[0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]).await.unwrap();
        server.write_all(&frame::data(1, b"last", false)).await.unwrap();
        assert_eq!(reader.next().await.as_deref(), Some(&b"last"[..]));
        assert!(connection.open(&[("streamtype", "data")]).await.is_err());
        writer.write(b"still").await.unwrap();
        drop(server);
        connection.closed().await;
        assert_eq!(reader.next().await, None);
        assert!(connection.open(&[]).await.is_err());
    }

    #[tokio::test]
    async fn a_server_that_takes_nothing_in_is_heard_and_answered() {
        let (ours, mut server) = tokio::io::duplex(256);
        let (from, to) = tokio::io::split(ours);
        let connection = Connection::new(from, to, None);
        let (mut reader, writer) = connection.open(&[("streamtype", "data")]).await.unwrap();
        let blocked = tokio::spawn(async move { writer.write(&[b'x'; 2 * WAITING * PART]).await });
        server.write_all(&[frame::ping(2), frame::data(1, b"heard", false)].concat()).await.unwrap();
        assert_eq!(reader.next().await.as_deref(), Some(&b"heard"[..]));
        assert!(!blocked.is_finished());
        // The answer waits for no more than the frame at work.
        let mut told = vec![0; 3 * PART];
        tokio::io::AsyncReadExt::read_exact(&mut server, &mut told).await.unwrap();
        assert!(told.windows(12).any(|w| w == frame::ping(2)));
        assert!(connection.fault().is_none());
        drop(server);
        assert_eq!(reader.next().await, None);
        assert!(blocked.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_stream_that_nobody_reads_holds_no_other() {
        let (connection, mut server) = connected().await;
        let (ignored, _) = connection.open(&[("streamtype", "data")]).await.unwrap();
        let (mut read, _) = connection.open(&[("streamtype", "data")]).await.unwrap();
        drop(ignored);
        for _ in 0..2 * WAITING {
            server.write_all(&frame::data(1, b"x", false)).await.unwrap();
        }
        server.write_all(&frame::data(3, b"y", true)).await.unwrap();
        assert_eq!(read.next().await.as_deref(), Some(&b"y"[..]));
    }
}
