//! A request's body, lent to its handler: what the handler leaves unread comes back and is read, within bounds.
//!
//! A request that is refused by its headers is answered before its body has come. The rest of the body then meets a stream
//! or a connection that is gone, and clients in wide use (curl of Debian 12) take that for an error and never show the answer.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use parking_lot::Mutex;

/// Upstream: Go's server reads up to 256 KiB of what its handler left.
const LONGEST: usize = 256 << 10;
const PATIENCE: Duration = Duration::from_secs(1);

type Home<B> = Arc<Mutex<Option<B>>>;

pub struct Lent<B> {
    body: Option<B>,
    home: Home<B>,
}

/// The body to give away, and where what is left of it comes back.
pub fn lend<B>(body: B) -> (Lent<B>, Left<B>) {
    let home = Home::default();
    (Lent { body: Some(body), home: home.clone() }, Left(home))
}

impl<B: Body<Data = Bytes> + Unpin> Body for Lent<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B> Drop for Lent<B> {
    fn drop(&mut self) {
        *self.home.lock() = self.body.take();
    }
}

pub struct Left<B>(Home<B>);

impl<B: Body<Data = Bytes> + Unpin> Left<B> {
    /// Reads what came back, if anything did and it is short.
    pub async fn read(self) {
        let Some(mut body) = self.0.lock().take().filter(|body| !body.is_end_stream()) else { return };
        let rest = async {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > LONGEST {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(PATIENCE, rest).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{Full, StreamBody};

    #[tokio::test]
    async fn what_is_left_is_read_and_no_more() {
        let (lent, left) = lend(Full::new(Bytes::from_static(b"all of it")));
        assert_eq!(lent.collect().await.expect("it comes").to_bytes(), "all of it");
        left.read().await;

        let count = Arc::new(Mutex::new(0));
        let parts = futures::stream::repeat_with({
            let count = count.clone();
            move || {
                *count.lock() += 1;
                Ok::<_, std::convert::Infallible>(Frame::data(Bytes::from_static(&[0; 1024])))
            }
        });
        let (lent, left) = lend(StreamBody::new(parts));
        drop(lent);
        left.read().await;
        assert_eq!(*count.lock(), LONGEST / 1024 + 1, "a body without end is given up");
    }
}
