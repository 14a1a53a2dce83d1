//! What an HTTP/2 connection writes, gathered, and sent once it has nothing more to write for now.
//!
//! The connection flushes after every frame, and each flush costs a TLS record and a call to the kernel: a hundred
//! watchers of a small object would pay a hundred times. Here a flush does nothing; [`Gather::send`] sends, and whoever
//! polls the connection calls it after each poll. Nothing is held back beyond that, and never more than [`LIMIT`].

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that wait before the connection must wait itself.
const LIMIT: usize = 64 << 10;
/// Room for what waits and the frame that came last, 16 KiB at the most.
const ROOM: usize = LIMIT + (17 << 10);

thread_local! {
    /// A buffer that is free. What is gathered is mostly sent within the same poll: so a worker needs one buffer for all its
    /// connections, and a connection that is idle holds none.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn lend() -> Vec<u8> {
    let mut spare = SPARE.take();
    spare.reserve(ROOM);
    spare
}

fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() <= 2 * ROOM {
        buffer.clear();
        SPARE.set(buffer);
    }
}

pub struct Gather<S>(Arc<Mutex<Inner<S>>>);

struct Inner<S> {
    stream: S,
    waiting: Vec<u8>,
    sent: usize,
}

impl<S> Clone for Gather<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    pub fn new(stream: S) -> Self {
        Self(Arc::new(Mutex::new(Inner { stream, waiting: Vec::new(), sent: 0 })))
    }

    /// Sends what was gathered; the task is woken once more can go.
    pub fn send(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.lock().send(context)
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn send(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.waiting.len() {
            let taken = ready!(Pin::new(&mut self.stream).poll_write(context, &self.waiting[self.sent..]))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += taken;
        }
        if self.sent > 0 {
            self.sent = 0;
            give_back(std::mem::take(&mut self.waiting));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn gather(&mut self, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= LIMIT {
            ready!(self.send(context))?;
        }
        if self.waiting.capacity() == 0 {
            self.waiting = lend();
        }
        parts.iter().for_each(|part| self.waiting.extend_from_slice(part));
        Poll::Ready(Ok(parts.iter().map(|part| part.len()).sum()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gather<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().gather(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(self: Pin<&mut Self>, context: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.0.lock().gather(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.lock();
        ready!(inner.send(context))?;
        Pin::new(&mut inner.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn flushes_send_nothing_and_sending_sends_all_once() {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        let mut gather = Gather::new(near);
        for part in ["a", "bc"] {
            gather.write_all(part.as_bytes()).await.expect("gathered");
            gather.flush().await.expect("nothing happens");
        }
        let mut read = [0; 3];
        assert!(futures::poll!(std::pin::pin!(far.read(&mut read))).is_pending());
        poll_fn(|context| gather.send(context)).await.expect("sent");
        far.read_exact(&mut read).await.expect("it came");
        assert_eq!(&read, b"abc");
    }

    #[tokio::test]
    async fn a_reader_that_does_not_read_holds_the_writer_up() {
        let (near, mut far) = tokio::io::duplex(1000);
        let mut gather = Gather::new(near);
        gather.write_all(&vec![1; LIMIT]).await.expect("gathered");
        assert!(futures::poll!(std::pin::pin!(gather.write(b"more"))).is_pending());
        let mut all = vec![0; LIMIT];
        let reads = far.read_exact(&mut all);
        let (sent, read) = tokio::join!(poll_fn(|context| gather.send(context)), reads);
        assert!(sent.is_ok() && read.is_ok() && all.iter().all(|b| *b == 1));
    }
}
