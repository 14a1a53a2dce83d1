//! Lists: a header, the stored slices, a footer.

use api::ApiError;
use api::cursor::Cursor;
use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};
use store::{Range, Record};
use std::sync::Arc;

use super::selection::Selection;
use super::{Call, partial, table, table_form};
use crate::object;
use crate::respond::{self, Body, Form, View};

/// Bytes of one part of a streamed list.
const PART: usize = 64 << 10;
/// Of it for commas, the head and the end.
const SLACK: usize = 1 << 10;

/// The page of a list: its records and what the list's metadata says.
pub struct Page {
    pub records: Vec<Arc<Record>>,
    pub metadata: Map<String, Value>,
}

pub async fn serve(call: &Call) -> Result<Response<Body>, ApiError> {
    let page = page(call).await?;
    match call.accept.view {
        View::Table => Ok(respond::encoded(StatusCode::OK, &table_of(call, &page), table_form(call.accept.form))),
        View::Partial => {
            let items: Vec<Value> = page.records.iter().map(|r| partial::object(&call.read(r))).collect();
            let list = json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": page.metadata, "items": items});
            Ok(respond::encoded(StatusCode::OK, &list, call.accept.form))
        }
        View::Object if call.accept.form == Form::Json => Ok(stream(call, page)),
        View::Object if call.accept.form == Form::Protobuf && call.served.resource.conversion.is_none() => protobuf(call, &page),
        View::Object => Ok(respond::encoded(StatusCode::OK, &whole(call, &page), call.accept.form)),
    }
}

fn table_of(call: &Call, page: &Page) -> Value {
    let objects: Vec<Value> = page.records.iter().map(|r| call.read(r)).collect();
    let mut table = table::of_objects(call, &objects, "", true);
    table["metadata"] = Value::Object(page.metadata.clone());
    table
}

/// The list as one value, for forms that are not streamed.
pub fn whole(call: &Call, page: &Page) -> Value {
    let resource = &call.served.resource;
    let items: Vec<Value> = page.records.iter().map(|r| call.read(r)).collect();
    json!({"kind": resource.list_kind, "apiVersion": resource.api_version(), "metadata": page.metadata, "items": items})
}

/// A revision that does not exist yet is refused.
// Differs: upstream waits up to three seconds for it; here every answered write is visible, so waiting would find nothing.
pub fn check_revision(call: &Call) -> Result<Option<u64>, ApiError> {
    let asked = call.query.get("resourceVersion");
    if asked.is_empty() || asked == "0" {
        return Ok(None);
    }
    let revision = parse_revision(asked)?;
    let current = call.server.store.revision();
    if revision > current {
        return Err(ApiError::too_large_resource_version(revision, current, 1));
    }
    Ok(Some(revision))
}

pub fn parse_revision(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| {
        let error = api::FieldError::invalid(&api::Path::new("resourceVersion"), text, format!("strconv.ParseUint: parsing {text:?}: invalid syntax"));
        ApiError::invalid("meta.k8s.io", "ListOptions", "", &[error])
    })
}

/// Upstream: the answer carries a token that goes on, inconsistently, from the same place; `handleCompactedErrorForPaging` in
/// apiserver `pkg/storage/etcd3/errors.go`.
fn forgotten(start: String) -> ApiError {
    let error = ApiError::expired("The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.");
    let mut status = error.to_status();
    status["metadata"]["continue"] = Cursor { revision: None, start }.token().into();
    ApiError { foreign: Some(Box::new(status)), ..error }
}

fn range(call: &Call) -> Result<(Range, Option<String>), ApiError> {
    let store = &call.server.store;
    let token = call.query.get("continue");
    if !token.is_empty() {
        if !matches!(call.query.get("resourceVersion"), "" | "0") {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        let Cursor { revision, start } = Cursor::parse(token)?;
        let Some(revision) = revision else { return Ok((store.view().table(call.served.table), Some(start))) };
        let range = store.table_at(call.served.table, revision).map_err(|_| forgotten(start.clone()))?;
        return Ok((range, Some(start)));
    }
    let revision = check_revision(call)?;
    match (call.query.get("resourceVersionMatch"), revision) {
        ("Exact", Some(revision)) => {
            let range = store.table_at(call.served.table, revision).map_err(|_| ApiError::expired("The resourceVersion for the provided list is too old."))?;
            Ok((range, None))
        }
        ("Exact" | "NotOlderThan", None) if call.query.get("resourceVersion").is_empty() => {
            let error = api::FieldError::forbidden(&api::Path::new("resourceVersionMatch"), "resourceVersionMatch is forbidden unless resourceVersion is provided");
            Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[error]))
        }
        ("Exact", None) => {
            let error = api::FieldError::forbidden(&api::Path::new("resourceVersionMatch"), "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
            Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[error]))
        }
        ("" | "NotOlderThan", _) => Ok((store.view().table(call.served.table), None)),
        (other, _) => {
            let error = api::FieldError::not_supported(&api::Path::new("resourceVersionMatch"), other, &["Exact", "NotOlderThan", ""]);
            Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &[error]))
        }
    }
}

/// The records that a list shows.
pub async fn page(call: &Call) -> Result<Page, ApiError> {
    let selection = Selection::of(call)?;
    let limit = call.query.number("limit")?.filter(|l| *l > 0).map_or(usize::MAX, |l| l as usize);
    call.query.number("timeoutSeconds")?;
    let (range, start) = range(call)?;
    let needs_conversion = selection.needs_conversion(call);
    if needs_conversion {
        return converted_page(call, &selection, &range, start, limit).await;
    }
    let mut matching = range.scan(&selection.prefix, start.as_deref().unwrap_or_default()).filter(|r| selection.matches(&call.served, r));
    let records: Vec<_> = matching.by_ref().take(limit).cloned().collect();
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), range.revision().to_string().into());
    if let Some(next) = matching.next() {
        metadata.insert("continue".into(), Cursor { revision: Some(range.revision()), start: next.key.to_string() }.token().into());
        if selection.is_everything() {
            metadata.insert("remainingItemCount".into(), (1 + matching.count()).into());
        }
    }
    Ok(Page { records: call.seen(records).await?, metadata })
}

/// The page of a list whose selector can be judged only after conversion.
async fn converted_page(call: &Call, selection: &Selection, range: &Range, start: Option<String>, limit: usize) -> Result<Page, ApiError> {
    let all: Vec<_> = range.scan(&selection.prefix, start.as_deref().unwrap_or_default()).cloned().collect();
    let mut matching = call.seen(all).await?.into_iter().filter(|r| selection.matches(&call.served, r));
    let records: Vec<_> = matching.by_ref().take(limit).collect();
    let mut metadata = Map::new();
    metadata.insert("resourceVersion".into(), range.revision().to_string().into());
    if let Some(next) = matching.next() {
        metadata.insert("continue".into(), Cursor { revision: Some(range.revision()), start: next.key.to_string() }.token().into());
    }
    Ok(Page { records, metadata })
}

fn protobuf(call: &Call, page: &Page) -> Result<Response<Body>, ApiError> {
    let resource = &call.served.resource;
    let items = page.records.iter().map(|r| &crate::wire::record_message(r)[..]);
    let bytes = codec::list_envelope(&resource.api_version(), &resource.list_kind, &Value::Object(page.metadata.clone()), items).map_err(ApiError::internal)?;
    Ok(respond::respond(StatusCode::OK, respond::PROTOBUF, respond::full(bytes)))
}

fn stream(call: &Call, page: Page) -> Response<Body> {
    let resource = &call.served.resource;
    let head = format!("{{\"kind\":\"{}\",\"apiVersion\":\"{}\",\"metadata\":{},\"items\":[", resource.list_kind, resource.api_version(), Value::Object(page.metadata));
    let parts = parts(head, page.records, call.served.head_len, resource.conversion.map(|c| c.from_stored));
    respond::respond(StatusCode::OK, respond::JSON, respond::stream(parts))
}

/// The text of a list, some 64 KiB at a time: no part grows beyond what was allotted to it.
fn parts(head: String, records: Vec<Arc<Record>>, head_len: usize, convert: Option<fn(Value) -> Value>) -> impl futures::Stream<Item = Bytes> {
    let state = (records.into_iter().peekable(), Some(head), true, true);
    futures::stream::unfold(state, move |(mut records, mut head, mut first, open)| async move {
        if !open {
            return None;
        }
        let mut part = BytesMut::with_capacity(PART.max(records.peek().map_or(0, |record| record.value.len()) + SLACK));
        if let Some(head) = head.take() {
            part.extend_from_slice(head.as_bytes());
        }
        let room = part.capacity() - SLACK;
        while let Some(record) = records.next_if(|record| part.len() + record.value.len() <= room || part.is_empty()) {
            if !std::mem::take(&mut first) {
                part.extend_from_slice(b",");
            }
            put_item(&mut part, &record, head_len, convert);
        }
        let open = records.peek().is_some();
        if !open {
            part.extend_from_slice(b"]}\n");
        }
        Some((part.freeze(), (records, None, first, open)))
    })
}

/// An item of a list carries no kind and apiVersion of its own, as upstream's typed lists.
fn put_item(part: &mut BytesMut, record: &Record, head_len: usize, convert: Option<fn(Value) -> Value>) {
    match convert {
        None => {
            part.extend_from_slice(b"{");
            part.extend_from_slice(record.value.get(head_len..).unwrap_or_default());
        }
        Some(convert) => {
            let value = convert(object::parse(&record.value));
            let bytes: Bytes = object::to_bytes(&value);
            part.extend_from_slice(&bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use store::Stamped;

    fn record(size: usize) -> Arc<Record> {
        let text = format!("{{\"revision\":\"\",\"data\":\"{}\"}}", "x".repeat(size));
        Arc::new(Record::dry("name".into(), &Stamped { bytes: text.into(), at: 13 }, 1))
    }

    #[tokio::test]
    async fn parts_of_any_sizes_join_to_one_list() {
        let all = [1, 200_000, 64_000, 1, 70_000].map(record);
        for first in 0..6 {
            let records = all[first..].to_vec();
            let parts: Vec<Bytes> = parts("{\"items\":[".into(), records, 1, None).collect().await;
            let whole: Value = serde_json::from_slice(&parts.concat()).expect("one list");
            assert_eq!(whole["items"].as_array().map(Vec::len), Some(5 - first));
            assert!(parts.iter().all(|part| part.len() < 202_000) && parts.len() <= 6 - first, "{:?}", parts.iter().map(Bytes::len).collect::<Vec<_>>());
        }
    }
}
