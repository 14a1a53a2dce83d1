//! Watches: the changes of a resource as a stream of events.
//!
//! A watcher is a place in the table's history. It filters what it reads there and holds nothing back for itself; one
//! that reads too slowly is ended with 410 by the history's bound, never by a queue of its own.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use api::ApiError;
use bytes::{BufMut, Bytes, BytesMut};
use http::{Response, StatusCode};
use rand::Rng;
use serde_json::{Value, json};
use store::{Change, Event, Expired, Portion, Record, Watch};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::selection::Selection;
use super::{Call, list, partial, table};
use crate::metrics::watches::Told;
use crate::object;
use crate::respond::{self, Body, Form, View};

/// Initial records of one part of the stream.
const BATCH: usize = 128;
/// Changes of one part. A part waits in the connection until the client takes it, the changes in the history that all watchers
/// share: so no more than about one turn of a connection.
const PORTION: Portion = Portion { events: 128, bytes: 24 << 10 };
/// Upstream: bookmarks come about once a minute.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A client may ask for as long as it likes; the clock must be able to hold it.
const MOST_LIFE: i64 = 365 * 86_400;

struct Stream {
    call: Call,
    selection: Selection,
    watch: Watch,
    initial: VecDeque<Arc<Record>>,
    /// Sent once the initial records are.
    end_of_initial: bool,
    bookmarks: bool,
    ends: Instant,
    /// Rings at the end or for the next bookmark, whichever is earlier; set anew only when it has rung.
    clock: Pin<Box<Sleep>>,
    columns_sent: bool,
    over: bool,
    told: Told,
    /// When the server ends, this far into the time that watches have.
    share: f64,
    _counted: TaskTrackerToken,
}

pub async fn serve(call: Call) -> Result<Response<Body>, ApiError> {
    let selection = Selection::of(&call)?;
    let bookmarks = call.query.flag("allowWatchBookmarks");
    let send_initial = call.query.has("sendInitialEvents").then(|| call.query.flag("sendInitialEvents"));
    check_initial(&call, send_initial)?;
    let asked = call.query.get("resourceVersion");
    let (watch, initial) = match (asked, send_initial) {
        (_, Some(true)) => {
            list::check_revision(&call)?;
            from_now(&call, &selection, true)?
        }
        ("" | "0", None) => from_now(&call, &selection, true)?,
        ("" | "0", Some(false)) => from_now(&call, &selection, false)?,
        (revision, _) => {
            let revision = list::parse_revision(revision)?;
            match call.server.store.watch(call.served.table, revision) {
                Ok(watch) => (watch, VecDeque::new()),
                Err(expired) => return Ok(too_old(&call, expired)),
            }
        }
    };
    let least = call.server.config.limits.min_watch_seconds;
    let seconds = call.query.number("timeoutSeconds")?.filter(|s| *s != 0).map_or_else(|| rand::rng().random_range(least..2 * least), |s| s.clamp(0, MOST_LIFE) as u64);
    call.query.number("limit")?;
    let now = Instant::now();
    let media = media(call.accept.form);
    let stream = Stream {
        selection,
        watch,
        initial,
        end_of_initial: send_initial == Some(true) && bookmarks,
        bookmarks,
        ends: now + Duration::from_secs(seconds),
        clock: Box::pin(sleep_until(now + BOOKMARK_EVERY.min(Duration::from_secs(seconds)))),
        columns_sent: false,
        over: false,
        share: rand::random(),
        told: call.server.metrics.watches.of(&call.served.resource),
        _counted: call.server.ending.watch(),
        call,
    };
    let body = respond::stream(futures::stream::unfold(stream, |mut stream| async move { stream.next().await.map(|part| (part, stream)) }));
    Ok(respond::respond(StatusCode::OK, media, body))
}

fn check_initial(call: &Call, send_initial: Option<bool>) -> Result<(), ApiError> {
    let invalid = |error| Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[error]));
    let matching = call.query.get("resourceVersionMatch");
    match send_initial {
        Some(_) if matching != "NotOlderThan" => {
            let path = api::Path::new("resourceVersionMatch");
            invalid(api::FieldError::forbidden(&path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
        }
        None if !matching.is_empty() => {
            let path = api::Path::new("resourceVersionMatch");
            invalid(api::FieldError::forbidden(&path, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
        }
        _ => Ok(()),
    }
}

/// A watch that begins at the present, with the records that are there already.
fn from_now(call: &Call, selection: &Selection, with_records: bool) -> Result<(Watch, VecDeque<Arc<Record>>), ApiError> {
    let range = call.server.store.view().table(call.served.table);
    let watch = call.server.store.watch(call.served.table, range.revision()).map_err(|e| ApiError::expired(e.to_string()))?;
    let mut initial = Vec::new();
    if with_records {
        // What can be judged only after conversion is judged when it is told.
        let later = selection.needs_conversion(call);
        initial.extend(range.scan(&selection.prefix, "").filter(|r| later || selection.matches(&call.served, r)).cloned());
        // Oldest first: a client that goes on from the revision of any of them misses none.
        initial.sort_by_key(|r| r.revision);
    }
    Ok((watch, initial.into()))
}

fn expired_status(expired: Expired) -> Value {
    ApiError::expired(format!("too old resource version: {} ({})", expired.asked, expired.oldest)).to_status()
}

/// Upstream: a watch of an old revision is accepted and ends with an event of type ERROR.
fn too_old(call: &Call, expired: Expired) -> Response<Body> {
    let mut part = BytesMut::new();
    put_event(&mut part, call.accept.form, "ERROR", &object::to_bytes(&expired_status(expired)));
    let media = media(call.accept.form);
    respond::respond(StatusCode::OK, media, respond::full(part.freeze()))
}

fn media(form: Form) -> &'static str {
    match form {
        Form::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        Form::Cbor => "application/cbor-seq",
        Form::Json | Form::Yaml => respond::JSON,
    }
}

/// Tables have no protobuf form.
fn text_or_cbor(form: Form) -> Form {
    if form == Form::Cbor { form } else { Form::Json }
}

fn put_event(part: &mut BytesMut, form: Form, kind: &str, object: &[u8]) {
    if form == Form::Protobuf {
        if let Some(frame) = crate::wire::protobuf_event(kind, object) {
            part.extend_from_slice(&frame);
        }
        return;
    }
    if form == Form::Cbor {
        let object = crate::wire::to_cbor(&object::parse(object));
        part.extend_from_slice(&codec::cbor_event(kind, &object));
        return;
    }
    part.reserve(object.len() + 40);
    part.put_slice(b"{\"type\":\"");
    part.put_slice(kind.as_bytes());
    part.put_slice(b"\",\"object\":");
    part.put_slice(object);
    part.put_slice(b"}\n");
}

/// Set when the definition behind the resource changes.
async fn ended(token: Option<&CancellationToken>) {
    match token {
        Some(token) => token.cancelled().await,
        None => std::future::pending().await,
    }
}

impl Stream {
    /// The next part, none at the end. Level by level: what is there first, then bookmarks, then waiting.
    async fn next(&mut self) -> Option<Bytes> {
        if self.over {
            return None;
        }
        let mut part = BytesMut::new();
        if !self.initial.is_empty() {
            let batch: Vec<_> = self.initial.drain(..self.initial.len().min(BATCH)).collect();
            match self.call.seen(batch).await {
                Ok(mut batch) => {
                    if self.selection.needs_conversion(&self.call) {
                        batch.retain(|record| self.selection.matches(&self.call.served, record));
                    }
                    batch.iter().for_each(|record| self.put_record(&mut part, "ADDED", record));
                }
                Err(error) => self.put_failure(&mut part, &error),
            }
            return Some(part.freeze());
        }
        if std::mem::take(&mut self.end_of_initial) {
            self.put_bookmark(&mut part, true).await;
            return Some(part.freeze());
        }
        let server = self.call.server.clone();
        while part.is_empty() {
            tokio::select! {
                events = self.watch.next_portion(PORTION) => match events {
                    Ok(events) => self.put_changes(&mut part, events).await,
                    Err(expired) => {
                        self.over = true;
                        put_event(&mut part, self.call.accept.form, "ERROR", &object::to_bytes(&expired_status(expired)));
                    }
                },
                () = self.clock.as_mut() => {
                    let now = Instant::now();
                    if now >= self.ends {
                        return None;
                    }
                    self.clock.as_mut().reset(self.ends.min(now + BOOKMARK_EVERY));
                    if self.bookmarks {
                        self.put_bookmark(&mut part, false).await;
                    }
                }
                () = ended(self.call.served.ended.as_ref()) => return None,
                () = server.ending.watch_ends(server.config.serving.shutdown.watch_grace, self.share) => return None,
                () = server.closing.cancelled() => return None,
            }
        }
        Some(part.freeze())
    }

    /// Tells changes as this version shows them.
    async fn put_changes(&mut self, part: &mut BytesMut, events: Vec<Arc<Event>>) {
        if self.call.served.resource.custom.is_none() {
            return events.iter().for_each(|event| self.put_change(part, event));
        }
        for event in events {
            let (has_previous, mut records) = (event.previous.is_some(), vec![event.record.clone()]);
            records.extend(event.previous.clone());
            match self.call.seen(records).await {
                Ok(mut records) => {
                    let previous = if has_previous { records.pop() } else { None };
                    let record = records.pop().unwrap_or_else(|| event.record.clone());
                    self.put_change(part, &Event { change: event.change, record, previous });
                }
                Err(error) => return self.put_failure(part, &error),
            }
        }
    }

    /// Upstream: an object that cannot be shown ends the watch with an error.
    fn put_failure(&mut self, part: &mut BytesMut, error: &ApiError) {
        self.over = true;
        put_event(part, self.call.accept.form, "ERROR", &object::to_bytes(&error.to_status()));
    }

    /// Tells what a change is for this selection: something may enter it, change in it or leave it.
    fn put_change(&mut self, part: &mut BytesMut, event: &Event) {
        let served = &self.call.served;
        let before = event.previous.as_ref().is_some_and(|p| self.selection.matches(served, p));
        let after = event.change != Change::Deleted && self.selection.matches(served, &event.record);
        match (before, after) {
            (false, false) => {}
            (false, true) => self.put_record(part, "ADDED", &event.record),
            (true, true) => self.put_record(part, "MODIFIED", &event.record),
            (true, false) if event.change == Change::Deleted => self.put_record(part, "DELETED", &event.record),
            (true, false) => {
                if let Some(left) = event.left() {
                    self.put_record(part, "DELETED", &Arc::new(left));
                }
            }
        }
    }

    fn put_record(&mut self, part: &mut BytesMut, kind: &str, record: &Record) {
        let before = part.len();
        self.write_record(part, kind, record);
        self.told.event(part.len() - before);
    }

    fn write_record(&mut self, part: &mut BytesMut, kind: &str, record: &Record) {
        let call = &self.call;
        let plain = call.served.resource.conversion.is_none();
        match call.accept.view {
            View::Object if plain && call.accept.form == Form::Protobuf => {
                let resource = &call.served.resource;
                let object = codec::envelope(&resource.api_version(), &resource.kind, crate::wire::record_message(record));
                part.extend_from_slice(&codec::watch_frame(kind, &object));
            }
            View::Object if plain => put_event(part, call.accept.form, kind, &record.value),
            View::Object => put_event(part, call.accept.form, kind, &object::to_bytes(&call.read(record))),
            View::Partial => put_event(part, call.accept.form, kind, &object::to_bytes(&partial::object(&call.read(record)))),
            View::Table => {
                let table = table::of_objects(call, &[call.read(record)], "", !self.columns_sent);
                self.columns_sent = true;
                put_event(part, text_or_cbor(call.accept.form), kind, &object::to_bytes(&table));
            }
        }
    }

    async fn put_bookmark(&mut self, part: &mut BytesMut, ends_initial: bool) {
        match self.watch.advance(self.call.server.store.revision(), usize::MAX) {
            Ok(events) => self.put_changes(part, events).await,
            Err(_) => return,
        }
        let resource = &self.call.served.resource;
        let mut metadata = json!({"resourceVersion": self.watch.cursor().to_string(), "creationTimestamp": null});
        if ends_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let (kind, api_version) = match self.call.accept.view {
            View::Object => (resource.kind.to_string(), resource.api_version()),
            View::Partial => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
            View::Table => return self.put_table_bookmark(part, &metadata),
        };
        let object = json!({"kind": kind, "apiVersion": api_version, "metadata": metadata});
        let before = part.len();
        put_event(part, self.call.accept.form, "BOOKMARK", &object::to_bytes(&object));
        self.told.event(part.len() - before);
    }

    fn put_table_bookmark(&mut self, part: &mut BytesMut, metadata: &Value) {
        let row = json!({"cells": [], "object": {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}});
        let table = json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": [], "rows": [row]});
        put_event(part, text_or_cbor(self.call.accept.form), "BOOKMARK", &object::to_bytes(&table));
    }
}
