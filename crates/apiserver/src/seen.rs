//! What became known of a request on its way: for headers, metrics and the record of who did what.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

use crate::auth::authenticate::Peer;
use crate::flow::{self, Label};
use crate::info::Info;
use crate::metrics::{Labels, Running};
use crate::query::Query;
use crate::respond::Body;
use crate::server::Server;

/// Filled as the request is understood.
#[derive(Default)]
pub struct Seen {
    pub flow: Option<Label>,
    labels: Option<Labels>,
    /// Counts the request until it is answered.
    running: Option<Running>,
    long: bool,
}

impl Seen {
    /// The request is read. Requests of this process are not counted: they are no load from outside.
    pub fn begins(&mut self, server: &Server, peer: &Peer, info: &Info, query: &Query) {
        if matches!(peer, Peer::Local(_)) {
            return;
        }
        self.long = info.verb == "watch" || flow::is_long(info);
        if !self.long {
            self.running = Some(server.metrics.running(!matches!(info.verb, "get" | "list" | "head")));
        }
        self.labels = Some(Labels::of(server, info, !query.get("dryRun").is_empty()));
    }

    /// The request is answered; a stream is counted until it ends.
    pub fn count(self, server: &Server, response: Response<Body>, took: Duration) -> Response<Body> {
        let Some(labels) = self.labels else { return response };
        server.metrics.answered(&labels, response.status().as_u16(), took);
        if !self.long {
            return response;
        }
        let open = server.metrics.open(&labels);
        response.map(|body| Counted { body, _open: open }.boxed_unsync())
    }
}

/// A body that counts as open until it is gone.
struct Counted {
    body: Body,
    _open: Running,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
