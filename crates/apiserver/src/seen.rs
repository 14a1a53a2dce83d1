//! What became known of a request on its way: for headers, metrics and the record of who did what.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, Uri};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;

use crate::admission::notes::Notes;
use crate::audit::{AuditLog, Entry};
use crate::auth::authenticate::Peer;
use crate::flow::{self, Label};
use api::request::Info;
use crate::metrics::{Labels, Running};
use api::query::Query;
use crate::respond::{self, Body};
use crate::server::Server;
use crate::user::User;

/// Filled as the request is understood.
#[derive(Default)]
pub struct Seen {
    /// The request's own name in the record, and in the answer.
    id: Option<HeaderValue>,
    pub flow: Option<Label>,
    /// How long it waited for its seats.
    pub queued: Duration,
    /// The code with which the server gave it up.
    pub given_up: Option<&'static str>,
    labels: Option<Labels>,
    /// Counts the request until it is answered.
    running: Option<Running>,
    long: bool,
    entry: Option<Entry>,
    /// What admission has to say.
    pub notes: Arc<Notes>,
}

impl Seen {
    pub fn of(id: Option<HeaderValue>) -> Self {
        Self { id, ..Self::default() }
    }

    /// The request is read. Requests of this process are not counted: they are no load from outside.
    pub fn begins(&mut self, server: &Server, peer: &Peer, info: &Info, query: &Query, headers: &HeaderMap) {
        self.long = info.verb == "watch" || flow::is_long(info);
        if matches!(peer, Peer::Local(_)) {
            return;
        }
        if !self.long {
            self.running = Some(server.metrics.running(!matches!(info.verb, "get" | "list" | "head")));
        }
        let mut labels = Labels::of(server, info, !query.get("dryRun").is_empty());
        if headers.get(http::header::CONTENT_TYPE).is_some_and(|media| media == "application/apply-patch+yaml" || media == "application/apply-patch+cbor") {
            labels.applies();
        }
        self.labels = Some(labels);
    }

    /// Whether it came from outside.
    pub fn is_counted(&self) -> bool {
        self.labels.is_some()
    }

    /// It is known who asks. False where that must be recorded and cannot be.
    pub async fn records(&mut self, server: &Server, real: &User, acting: &User, info: &Info, (headers, uri): (&HeaderMap, &Uri), peer: &Peer) -> bool {
        let (Some((policy, log)), Some(id)) = (&server.audit, &self.id) else { return true };
        let source = match peer {
            Peer::Local(_) => None,
            Peer::Remote { address, .. } => Some(*address),
        };
        let uri = uri.path_and_query().map_or("", |p| p.as_str());
        let begun = Entry::begin(policy, acting, info, headers, uri, source, id);
        server.metrics.access.level(begun.as_ref().map_or("None", Entry::level));
        let Some(mut entry) = begun else { return true };
        if real != acting {
            entry.impersonates(real, acting);
        }
        let kept = match entry.event("RequestReceived", None) {
            Some(event) => log.put(&event).await,
            None => true,
        };
        self.entry = Some(entry);
        kept
    }

    /// It is known whether they may, and why.
    pub fn decided(&mut self, may: bool, reason: &str) {
        if let Some(entry) = &mut self.entry {
            entry.decided(may, reason);
        }
    }

    /// Nobody could tell whether they may. Upstream: the reason alone is recorded.
    pub fn failed(&mut self, reason: &str) {
        if let Some(entry) = &mut self.entry {
            entry.annotate(vec![("authorization.k8s.io/reason".to_owned(), reason.to_owned())]);
        }
    }

    pub fn body(&mut self, body: &Bytes) {
        if let Some(entry) = self.entry.as_mut().filter(|e| e.wants_request()) {
            entry.request(body);
        }
    }

    /// The request is answered; a stream is counted, and recorded as complete, when it ends.
    pub async fn answered(mut self, server: &Server, mut response: Response<Body>, took: Duration) -> Response<Body> {
        let open = self.labels.as_ref().map(|labels| {
            server.metrics.answered(labels, response.status().as_u16(), took, self.queued + self.notes.all_waited());
            if let Some(code) = self.given_up {
                server.metrics.answers.gave_up(labels, code);
            }
            server.metrics.open(labels)
        });
        if let Some(labels) = self.labels.as_ref().filter(|_| !self.long) {
            response = server.metrics.answers.measured(labels, response);
        }
        let entry = self.entry.take().zip(server.audit.as_ref());
        if self.long {
            let complete = match entry {
                Some((entry, (_, log))) => {
                    if let Some(event) = entry.event("ResponseStarted", Some(response.status())) {
                        log.put(&event).await;
                    }
                    Some((log.clone(), entry, response.status()))
                }
                None => None,
            };
            return response.map(|body| Counted { body, _open: open, complete }.boxed_unsync());
        }
        if let Some((mut entry, (_, log))) = entry {
            if let Some(named) = self.notes.named() {
                entry.names(named);
            }
            entry.annotate(self.notes.annotations());
            if entry.wants_response() || response.status().as_u16() >= 400 {
                response = recorded(&mut entry, response).await;
            }
            if let Some(event) = entry.last_event("ResponseComplete", response.status()) {
                log.put(&event).await;
            }
        }
        response
    }
}

/// Takes a copy of the answer into the record.
async fn recorded(entry: &mut Entry, response: Response<Body>) -> Response<Body> {
    let (parts, body) = response.into_parts();
    let Ok(collected) = body.collect().await;
    let bytes = collected.to_bytes();
    if parts.status.as_u16() >= 400 {
        entry.failed(&bytes);
    }
    if entry.wants_response() {
        entry.response(&bytes);
    }
    Response::from_parts(parts, respond::full(bytes))
}

/// A body that counts as open until it is gone.
struct Counted {
    body: Body,
    _open: Option<Running>,
    complete: Option<(AuditLog, Entry, http::StatusCode)>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some((log, entry, code)) = self.complete.take() else { return };
        if let (Some(event), Ok(runtime)) = (entry.last_event("ResponseComplete", code), tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move { log.put(&event).await });
        }
    }
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
