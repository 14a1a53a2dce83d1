//! Discovery of everything: this server's own documents with what is registered.

use api::ApiError;
use http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sha2::Digest;
use std::sync::Arc;

use super::merge::{self, Known};
use super::registrations::Remote;
use crate::handler::Incoming;
use crate::object;
use api::query::Query;
use crate::respond::{self, Body};
use crate::server::Server;

pub async fn serve(server: &Arc<Server>, mut request: Request<Incoming>, path: &str, query: &Query) -> Result<Response<Body>, ApiError> {
    let registrations = server.aggregator.remotes(&server.store);
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    if matches!(parts.as_slice(), ["livez" | "readyz" | "healthz", ..]) && matches!(*request.method(), http::Method::GET | http::Method::HEAD) {
        return Ok(crate::health::checks::answer(server, path, query).await);
    }
    if let ["openapi", "v3", "apis", group, version] = parts.as_slice()
        && let Some(part) = registrations.remotes.iter().find(|r| r.group == *group && r.version == *version).and_then(|r| server.aggregator.legacy_part(r))
    {
        let bytes = part.v3().map_err(ApiError::internal)?;
        return Ok(crate::discovery::tagged(&request, crate::discovery::Document { bytes: bytes.into(), tag: part.tag() }, respond::JSON));
    }
    if registrations.remotes.is_empty() || !matches!(parts.as_slice(), ["apis"] | ["apis", _] | ["openapi", "v3"]) {
        return crate::discovery::serve(server, &request, path);
    }
    let held = request.headers_mut().remove(IF_NONE_MATCH);
    let found: Vec<_> = registrations.remotes.iter().map(|r| server.aggregator.found(&r.name)).collect();
    let known: Vec<Known<'_>> = registrations.remotes.iter().zip(&found).map(|(r, f)| (&**r, f.as_deref())).collect();
    if let ["apis", group] = parts.as_slice() {
        return group_of(server, request, group, &known).await;
    }
    let response = crate::discovery::serve(server, &request, path)?;
    if parts.as_slice() == ["openapi", "v3"] {
        let described_here = |remote: &Remote| server.aggregator.legacy_part(remote).map(|part| format!("/openapi/v3{}?hash={}", remote.path(), part.tag()));
        return Ok(merged(response, held.as_ref(), |document| merge::openapi_index(document, &known, described_here)).await);
    }
    let change = if is_aggregated(&response) { merge::aggregated } else { merge::group_list };
    Ok(merged(response, held.as_ref(), |document| change(document, &known)).await)
}

fn is_aggregated(response: &Response<Body>) -> bool {
    response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|media| media.contains("APIGroupDiscoveryList"))
}

/// A document of this server, changed, under a tag of its own.
async fn merged(response: Response<Body>, held: Option<&HeaderValue>, change: impl FnOnce(&mut Value)) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    let Ok(collected) = body.collect().await;
    let mut document: Value = serde_json::from_slice(&collected.to_bytes()).unwrap_or_default();
    change(&mut document);
    let bytes = object::to_bytes(&document);
    let tag: String = sha2::Sha512::digest(&bytes).iter().map(|b| format!("{b:02X}")).collect();
    let Ok(tag) = HeaderValue::from_str(&format!("\"{tag}\"")) else { return Response::from_parts(parts, respond::full(bytes)) };
    let same = parts.headers.contains_key(ETAG) && held == Some(&tag);
    if parts.headers.contains_key(ETAG) {
        parts.headers.insert(ETAG, tag);
        parts.headers.insert(VARY, HeaderValue::from_static("Accept"));
    }
    if same {
        parts.status = StatusCode::NOT_MODIFIED;
        return Response::from_parts(parts, respond::full(""));
    }
    Response::from_parts(parts, respond::full(bytes))
}

async fn group_of(server: &Arc<Server>, request: Request<Incoming>, group: &str, known: &[Known<'_>]) -> Result<Response<Body>, ApiError> {
    let path = format!("/apis/{group}");
    let response = crate::discovery::serve(server, &request, &path)?;
    if !known.iter().any(|(r, _)| r.group == group) {
        return Ok(response);
    }
    let (_, body) = response.into_parts();
    let Ok(collected) = body.collect().await;
    let own: Option<Value> = serde_json::from_slice(&collected.to_bytes()).ok();
    let mut list = json!({"groups": own.into_iter().collect::<Vec<_>>()});
    merge::group_list(&mut list, known);
    let mut found = walk_group(&list, group);
    found["kind"] = "APIGroup".into();
    found["apiVersion"] = "v1".into();
    Ok(respond::json(StatusCode::OK, &found))
}

fn walk_group(list: &Value, group: &str) -> Value {
    catalog::walk::list(list, "groups").iter().find(|g| catalog::walk::text(g, "name") == group).cloned().unwrap_or_default()
}
