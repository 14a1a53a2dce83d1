//! Priority and fairness: requests run as seats are free, wait in fair queues, or are refused with 429.
//!
//! Configuration is read from the stored FlowSchemas and PriorityLevelConfigurations and is in force for the next request.
//! Components of this process are bounded by their own work queues and take no seats.

mod bounds;
mod fair;
mod room;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use parking_lot::Mutex;
use policy::flow::{self, Flow, Flows, Request};
use store::{Range, Store};
use tokio::sync::OwnedSemaphorePermit;

use crate::config::Inflight;
use crate::derived::Derived;
use api::request::Info;
use crate::object;
use api::query::Query;
use crate::respond::{self, Body};
use crate::server::Server;
use crate::user::User;
use bounds::Bounds;
use crate::metrics::flows::{Executing, FlowCounts, Of, Why};
use room::{Entry, Place, Room};

/// Upstream: a quarter of the request's own time.
const PATIENCE: Duration = Duration::from_secs(15);
const SCHEMA_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const LEVEL_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");

/// The gate that all requests from outside pass.
pub struct FlowControl {
    flows: Derived<Flows>,
    room: Arc<Mutex<Room>>,
    /// Instead of levels and queues.
    bounds: Option<Bounds>,
    counts: FlowCounts,
}

/// What a request was classified as; its headers.
#[derive(Clone)]
pub struct Label {
    schema_uid: String,
    level_uid: String,
}

/// Seats that are held; given back when dropped.
pub struct Seat {
    pub label: Label,
    /// How long it was waited for.
    pub waited: Duration,
    _held: Option<Held>,
    _bound: Option<OwnedSemaphorePermit>,
    _counted: Option<Executing>,
}

impl Seat {
    fn unlabelled(bound: Option<OwnedSemaphorePermit>) -> Self {
        Self { label: Label::none(), waited: Duration::ZERO, _held: None, _bound: bound, _counted: None }
    }
}

struct Held {
    room: Arc<Mutex<Room>>,
    level: String,
    width: u32,
    queue: Option<usize>,
    since: Instant,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.room.lock().leave(&self.level, self.width, self.queue, self.since);
    }
}

/// A place in a queue; given up when dropped.
struct Waiting<'a> {
    room: &'a Mutex<Room>,
    level: &'a str,
    id: u64,
    width: u32,
    called: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.called {
            self.room.lock().give_up(self.level, self.id, self.width);
        }
    }
}

fn build(tables: &[Range], seats: u32) -> Flows {
    let values = |at: usize| tables.get(at).map(|t| t.scan("", "").map(|r| object::parse(&r.value)).collect::<Vec<_>>()).unwrap_or_default();
    Flows::new(&values(0), &values(1), seats)
}

impl FlowControl {
    pub fn new(store: &Store, inflight: Inflight, counts: FlowCounts) -> Self {
        let seats = inflight.reads.saturating_add(inflight.writes);
        let table = |plural: &str| store.table(&format!("/registry/flowcontrol.apiserver.k8s.io/{plural}"));
        let flows = Derived::new(vec![table("flowschemas"), table("prioritylevelconfigurations")], move |tables| build(tables, seats));
        Self { flows, room: Arc::default(), bounds: (!inflight.fair).then(|| Bounds::new(inflight)), counts }
    }

    /// Waits until the request may run. The refusal is the answer to give.
    pub async fn enter(&self, store: &Store, user: &User, info: &Info, width: u32) -> Result<Seat, Box<Response<Body>>> {
        if let Some(bounds) = &self.bounds {
            return bounds.enter(user, info).map(Seat::unlabelled).ok_or_else(|| Box::new(refusal(&Label::none())));
        }
        let flows = self.flows.get(store);
        let request = Request {
            user: &user.name,
            groups: &user.groups,
            verb: info.verb,
            group: &info.group,
            resource: &info.resource,
            subresource: &info.subresource,
            namespace: &info.namespace,
            path: (!info.is_resource).then_some(&info.path),
        };
        let Some(flow) = flows.classify(&request) else { return Ok(Seat::unlabelled(None)) };
        let label = Label { schema_uid: flow.schema_uid.to_owned(), level_uid: flow.level.uid.clone() };
        let of = Of { level: &flow.level.name, schema: flow.schema };
        let kind = if info.verb == "watch" { "watch" } else { "regular" };
        if flow.level.exempt {
            return Ok(Seat { label, waited: Duration::ZERO, _held: None, _bound: None, _counted: Some(self.counts.runs(of, width, kind)) });
        }
        let width = width.clamp(1, flow.level.nominal.max(1));
        let begin = Instant::now();
        let Some(queue) = self.take(&flows, &flow, width).await else { return Err(Box::new(refusal(&label))) };
        let held = Held { room: self.room.clone(), level: flow.level.name.clone(), width, queue, since: Instant::now() };
        Ok(Seat { label, waited: begin.elapsed(), _held: Some(held), _bound: None, _counted: Some(self.counts.runs(of, width, kind)) })
    }

    /// Takes seats of a limited level, and tells which queue they were waited for in; none where they are refused.
    async fn take(&self, flows: &Arc<Flows>, flow: &Flow<'_>, width: u32) -> Option<Option<usize>> {
        let level = &flow.level.name;
        let mut asking = self.counts.asks(Of { level, schema: flow.schema });
        let mut hasher = DefaultHasher::new();
        (flow.schema, &flow.distinguisher).hash(&mut hasher);
        let entry = {
            let mut room = self.room.lock();
            room.follow(flows);
            room.enter(level, hasher.finish(), width)
        };
        let Place { id, length, call } = match entry {
            Entry::Waits(place) => place,
            Entry::Runs => {
                asking.runs();
                return Some(None);
            }
            Entry::Refused(why) => {
                asking.refused(why);
                return None;
            }
        };
        asking.queued(width, length);
        let mut waiting = Waiting { room: &self.room, level, id, width, called: false };
        let Ok(Ok(queue)) = tokio::time::timeout(PATIENCE, call).await else {
            asking.refused(Why::TimeOut);
            return None;
        };
        waiting.called = true;
        asking.runs();
        Some(Some(queue))
    }

    /// Tells the seats of every level as they are now.
    pub fn tell_limits(&self, store: &Store) {
        if self.bounds.is_some() {
            return;
        }
        let flows = self.flows.get(store);
        let seats = {
            let mut room = self.room.lock();
            room.follow(&flows);
            room.seats()
        };
        self.counts.limited(&seats);
    }
}

impl Label {
    fn none() -> Self {
        Self { schema_uid: String::new(), level_uid: String::new() }
    }

    /// Upstream: uids, so that names of levels stay the administrator's.
    pub fn put(&self, response: &mut Response<Body>) {
        for (name, uid) in [(SCHEMA_UID, &self.schema_uid), (LEVEL_UID, &self.level_uid)] {
            if let (false, Ok(value)) = (uid.is_empty(), HeaderValue::from_str(uid)) {
                response.headers_mut().insert(name, value);
            }
        }
    }
}

/// Upstream: plain text, and when to come back.
fn refusal(label: &Label) -> Response<Body> {
    let mut response = respond::text(StatusCode::TOO_MANY_REQUESTS, "Too many requests, please try again later.\n");
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    label.put(&mut response);
    response
}

/// Upstream: streams are not counted; a watch is, until it has begun.
pub fn is_long(info: &Info) -> bool {
    matches!(info.subresource.as_str(), "attach" | "exec" | "proxy" | "log" | "portforward")
}

/// The seats that a request takes: lists by what they load, all else one.
pub fn width_of(server: &Server, info: &Info, query: &Query) -> u32 {
    let lists = info.verb == "list" || (info.verb == "watch" && query.flag("sendInitialEvents"));
    if !lists || !info.name.is_empty() {
        return 1;
    }
    let registry = server.registry();
    let Some(served) = registry.find(&info.group, &info.version, &info.resource) else { return 1 };
    let range = server.store.view().table(served.table);
    let sample = range.scan("", "").next().map_or(0, |r| r.value.len() as u64);
    flow::list_width(range.len() as u64, query.get("limit").parse().ok(), sample)
}
