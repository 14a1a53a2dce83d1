//! The way of every request: read, authenticate, authorize, serve.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{ApiError, GroupResource, Reason};
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::BodyExt;

use crate::aggregate::registrations::Remote;
use crate::aggregate;
use crate::auth::authenticate::Peer;
use crate::auth::authorize::{Attributes, Decision};
use crate::flow::{self, Seat};
use api::request::{Info, segment_fault};
use api::query::Query;
use crate::respond::{self, Accept, Body};
use crate::seen::Seen;
use crate::rest::{self, Call, connect, review};
use crate::server::Server;
use crate::user::User;
use crate::filters::{self, Cors};
use crate::{backing, health};

pub type BodyError = Box<dyn std::error::Error + Send + Sync>;
/// The body of a request.
pub type Incoming = UnsyncBoxBody<Bytes, BodyError>;

/// Upstream: 3 MiB, twice etcd's limit, because JSON is about twice as long.
const MAX_BODY: usize = 3 << 20;

/// Boxed, so that the compiler proves once and here that requests can move between threads.
pub fn handle(server: Arc<Server>, peer: Peer, request: Request<Incoming>) -> BoxFuture<'static, Response<Body>> {
    Box::pin(answer(server, peer, request))
}

async fn answer(server: Arc<Server>, peer: Peer, request: Request<Incoming>) -> Response<Body> {
    if server.ending.refuses() && matches!(peer, Peer::Remote { .. }) && filters::is_refused_at_the_end(request.uri().path()) {
        return filters::try_later();
    }
    let cors = Cors::of(&server.config.serving.origins, request.headers());
    if let Some(mut preflight) = cors.as_ref().and_then(|cors| cors.preflight(request.method())) {
        put_usual(&server, preflight.headers_mut());
        return preflight;
    }
    let audit_id = request.headers().get("audit-id").cloned();
    let accept = Accept::negotiate(request.headers(), server.config.gates);
    let shown = accept.clone().unwrap_or_default();
    let begin = Instant::now();
    let id = audit_id.filter(|id| !id.is_empty() && id.len() <= 64).or_else(|| HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).ok());
    let mut seen = Seen::of(id.clone());
    let mut response = match serve(server.clone(), peer, request, accept, &mut seen).await {
        Ok(response) => response,
        Err(error) => {
            if error.reason == Reason::InternalError {
                tracing::warn!(error = %error.message, "request failed");
            }
            // Upstream: errors of watches, tables and the like are plain Status objects.
            respond::error(&error, &shown)
        }
    };
    if let Some(label) = &seen.flow {
        label.put(&mut response);
    }
    crate::warnings::put(&mut response, &seen.notes.warnings());
    let mut response = seen.answered(&server, response, begin.elapsed()).await;
    let headers = response.headers_mut();
    if let Some(id) = id {
        headers.insert("audit-id", id);
    }
    if let Some(cors) = cors {
        cors.put(headers);
    }
    put_usual(&server, headers);
    response
}

/// Headers of every answer.
fn put_usual(server: &Server, headers: &mut HeaderMap) {
    if let Some(directives) = &server.config.limits.transport_security {
        headers.insert(http::header::STRICT_TRANSPORT_SECURITY, directives.clone());
    }
    headers.entry(http::header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
}

async fn serve(server: Arc<Server>, peer: Peer, request: Request<Incoming>, accept: Result<Accept, ApiError>, seen: &mut Seen) -> Result<Response<Body>, ApiError> {
    let path = request.uri().path().to_owned();
    let query = Query::parse(request.uri().query().unwrap_or_default());
    let info = Info::parse(request.method(), &path, &query);
    if path.split('/').any(|part| part == ".." || part == ".") {
        return Err(ApiError::bad_request("the path must not hold \".\" or \"..\""));
    }
    let is_long = info.verb == "watch" || flow::is_long(&info);
    let _answered = (!is_long).then(|| server.ending.request());
    seen.begins(&server, &peer, &info, &query, request.headers());
    // Upstream: the client's own limit is read before anybody is identified; watches and streams have none.
    let most = server.config.limits.request;
    let limit = if is_long { most } else { query.timeout()?.map_or(most, |t| t.min(most)) };
    if backing::wants_fresh(&server.store, &info, &query) {
        server.store.fresh().await.map_err(rest::create::store_error)?;
    }
    let (parts, body) = request.into_parts();
    let (user, seat) = match enter(&server, &peer, &parts, &info, &query, seen).await {
        Ok(entered) => entered,
        Err(refusal) => return refusal,
    };
    let request = Request::from_parts(parts, body);
    if let Some(remote) = server.aggregator.route(&server.store, &path) {
        let _seat = seat;
        let passed: BoxFuture<'static, Response<Body>> = Box::pin(pass_to(server, remote, user, peer, request));
        return Ok(passed.await);
    }
    if !info.is_resource {
        let served: BoxFuture<'_, Result<Response<Body>, ApiError>> = Box::pin(aggregate::discovery::serve(&server, request, &path, &query));
        return served.await;
    }
    let registry = server.registry();
    let Some(served) = registry.find(&info.group, &info.version, &info.resource).cloned() else { return Ok(not_found()) };
    if served.resource.namespaced && info.namespace.is_empty() && (!info.name.is_empty() && !request.uri().query().unwrap_or_default().contains("fieldSelector") || info.verb == "create" || info.verb == "deletecollection" && served.resource.custom.is_some()) && served.resource.verbs.get {
        return Ok(not_found());
    }
    // A cluster-scoped object has no path below a namespace (CVE-2019-11247).
    if !served.resource.namespaced && !info.namespace.is_empty() && info.resource != "namespaces" {
        return Ok(not_found());
    }
    check_names(&info)?;
    let (parts, body) = request.into_parts();
    let mut call = Call { server: server.clone(), user, method: parts.method.clone(), info, query, headers: parts.headers.clone(), accept: Accept::default(), served, body: Bytes::new(), notes: seen.notes.clone() };
    if connect::is_stream(&call) {
        let streamed: BoxFuture<'static, Result<Response<Body>, ApiError>> = Box::pin(connect::serve(call, Request::from_parts(parts, body)));
        return streamed.await;
    }
    call.accept = if call.served.resource.custom.is_some() { Accept::negotiate_custom(&call.headers, call.server.config.gates)? } else { accept? };
    call.body = read_body(body, most).await?;
    seen.body(&call.body);
    if call.info.verb == "watch" || call.info.subresource == "log" {
        let served: BoxFuture<'static, Result<Response<Body>, ApiError>> = Box::pin(rest::serve(call));
        return served.await;
    }
    // Held until the request is answered; a watch gives its seat back once its stream begins.
    let _seat = seat;
    let is_review = call.served.resource.verbs == catalog::Verbs::CREATE && call.info.subresource.is_empty() && call.served.resource.kind != "Binding";
    let served: BoxFuture<'static, Result<Response<Body>, ApiError>> = match (is_review, call.info.verb) {
        (true, "create") => Box::pin(answer_review(call)),
        (true, _) => return Err(ApiError::method_not_allowed()),
        (false, "create") if call.served.resource.kind == "Binding" => Box::pin(bind_by_body(call)),
        _ => Box::pin(rest::serve(call)),
    };
    tokio::time::timeout(limit, served).await.unwrap_or_else(|_| {
        seen.given_up = Some("504");
        Err(ApiError::timeout("request did not complete within requested timeout - context deadline exceeded", 0))
    })
}

/// Who asks, whether there is room, and whether they may. What is refused is answered with the error's content.
async fn enter(server: &Server, peer: &Peer, request: &http::request::Parts, info: &Info, query: &Query, seen: &mut Seen) -> Result<(User, Option<Seat>), Result<Response<Body>, ApiError>> {
    let real = identify(server, peer, &request.headers, request.uri.path()).await.map_err(Err)?;
    let user = impersonated(server, real.clone(), &request.headers).await.map_err(Err)?;
    if !seen.records(server, &real, &user, info, (&request.headers, &request.uri), peer).await {
        server.metrics.access.not_recorded();
        return Err(Ok(internal_error(&request.uri, "failed to store audit event")));
    }
    let mut seat = None;
    if matches!(peer, Peer::Remote { .. }) && !flow::is_long(info) {
        let width = flow::width_of(server, info, query);
        let taken = server.flow.enter(&server.store, &user, info, width).await.map_err(|refused| Ok(*refused))?;
        seen.flow = Some(taken.label.clone());
        seen.queued = taken.waited;
        seat = Some(taken);
    }
    authorize(server, &user, info, &request.uri, seen).await?;
    Ok((user, seat))
}

/// What is no segment of a path names nothing, and no key of the store is made of it (CVE-2022-3162).
///
/// Upstream: Go splits the decoded path, so an escaped slash leads to no route; `NamespaceKeyFunc` in apiserver `pkg/registry/generic/registry/store.go`.
fn check_names(info: &Info) -> Result<(), ApiError> {
    if info.namespace.contains('/') || info.name.contains('/') {
        return Err(ApiError::no_such_path());
    }
    let refused = |fault| Err(ApiError::bad_request(format!("Name parameter invalid: {:?}: {fault}", info.name)));
    segment_fault(&info.name).map_or(Ok(()), refused)
}

async fn pass_to(server: Arc<Server>, remote: Arc<Remote>, user: User, peer: Peer, request: Request<Incoming>) -> Response<Body> {
    aggregate::proxy::serve(&server, &remote, &user, &peer, request).await
}

async fn answer_review(call: Call) -> Result<Response<Body>, ApiError> {
    review::serve(&call).await
}

/// The old way to bind: a Binding posted to the namespace, named after its pod.
async fn bind_by_body(mut call: Call) -> Result<Response<Body>, ApiError> {
    let expected = api::GroupVersionKind::from_api_version("v1", "Binding");
    let binding = crate::wire::decode_object(&call, expected)?;
    let registry = call.server.registry();
    call.served = registry.find("", "v1", "pods").cloned().ok_or_else(ApiError::no_such_path)?;
    call.info.name = api::meta::name(&binding).to_owned();
    call.info.subresource = "binding".into();
    rest::subresource::bind(&call).await
}

/// Upstream: Go's plain answer where no route is.
pub fn not_found() -> Response<Body> {
    respond::text(StatusCode::NOT_FOUND, "404 page not found\n")
}

fn read_body(body: Incoming, within: Duration) -> BoxFuture<'static, Result<Bytes, ApiError>> {
    Box::pin(collect(body, within))
}

async fn collect(mut body: Incoming, within: Duration) -> Result<Bytes, ApiError> {
    let ends = tokio::time::Instant::now() + within;
    let mut bytes = BytesMut::new();
    loop {
        let frame = match tokio::time::timeout_at(ends, body.frame()).await {
            Ok(None) => return Ok(bytes.freeze()),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return Err(ApiError::bad_request(format!("the body could not be read: {error}"))),
            Err(_) => return Err(ApiError::timeout("the body did not arrive in time", 0)),
        };
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > MAX_BODY {
                return Err(ApiError::too_large(&format!("limit is {MAX_BODY}")));
            }
            bytes.extend_from_slice(&data);
        }
    }
}

/// The identity behind a request. Without credentials only health, version and public facts are served.
async fn identify(server: &Server, peer: &Peer, headers: &HeaderMap, path: &str) -> Result<User, ApiError> {
    let begin = Instant::now();
    let found = server.authenticator.request(&server.store, peer, headers).await;
    if matches!(peer, Peer::Remote { .. }) {
        // Upstream: who shows nothing is somebody too, where that is let in.
        let anonymous = server.authenticator.serves_anonymous(path).then(|| User::anonymous().name);
        let outcome = found.as_ref().map(|user| user.as_ref().map(|u| u.name.as_str()).or(anonymous.as_deref())).map_err(|_| ());
        server.metrics.access.identified(outcome, begin);
    }
    match found {
        Ok(Some(user)) => Ok(user),
        Ok(None) if server.authenticator.serves_anonymous(path) => Ok(User::anonymous()),
        Ok(None) => Err(ApiError::unauthorized()),
        Err(why) => {
            tracing::debug!(why, "credentials were refused");
            Err(ApiError::unauthorized())
        }
    }
}

/// Upstream: apiserver `pkg/endpoints/filters/authorization.go`.
async fn authorize(server: &Server, user: &User, info: &Info, uri: &http::Uri, seen: &mut Seen) -> Result<(), Result<Response<Body>, ApiError>> {
    if !info.is_resource && health::is_public(&info.path) {
        seen.decided(true, "");
        return Ok(());
    }
    let attributes = Attributes::of(info);
    let begin = Instant::now();
    let decision = server.authorizer.decide(&server.store, user, &attributes).await;
    if seen.is_counted() {
        server.metrics.access.decided(decision.label(), begin);
    }
    match decision {
        Decision::Allow(reason) => {
            seen.decided(true, &reason);
            Ok(())
        }
        Decision::Deny(reason) => {
            seen.decided(false, &reason);
            Err(Err(forbidden(user, &attributes, &reason)))
        }
        Decision::Failed { error, .. } => {
            seen.failed("internal error");
            Err(Ok(internal_error(uri, &error)))
        }
    }
}

/// Upstream: apiserver `pkg/endpoints/handlers/responsewriters/errors.go`, `InternalError`.
fn internal_error(uri: &http::Uri, error: &str) -> Response<Body> {
    let uri = uri.path_and_query().map_or("/", |p| p.as_str());
    let text = format!("Internal Server Error: {uri:?}: {error}\n").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    respond::text(StatusCode::INTERNAL_SERVER_ERROR, text)
}

fn forbidden(user: &User, attributes: &Attributes, reason: &str) -> ApiError {
    let mut why = attributes.refusal(user);
    if !reason.is_empty() {
        why = format!("{why}: {reason}");
    }
    let mut error = ApiError::forbidden(&GroupResource::new(attributes.group.clone(), attributes.resource.clone()), &attributes.name, why);
    if error.details.is_null() {
        error.details = serde_json::json!({});
    }
    error
}

/// Acting as somebody else, for those who may `impersonate` him.
async fn impersonated(server: &Server, user: User, headers: &HeaderMap) -> Result<User, ApiError> {
    let text = |name: &str| headers.get_all(name).iter().filter_map(|v| v.to_str().ok().map(str::to_owned)).collect::<Vec<_>>();
    let (names, groups, uids) = (text("impersonate-user"), text("impersonate-group"), text("impersonate-uid"));
    let Some(name) = names.into_iter().next() else {
        let extras = headers.keys().any(|k| k.as_str().starts_with("impersonate-extra-"));
        if groups.is_empty() && uids.is_empty() && !extras {
            return Ok(user);
        }
        return Err(ApiError::internal("requested impersonation without impersonating a user"));
    };
    let may = async |resource: &str, namespace: &str, name: &str, group: &str| {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let attributes = Attributes { is_resource: true, verb: "impersonate".into(), group: group.into(), resource: resource.into(), subresource: subresource.into(), namespace: namespace.into(), name: name.into(), ..Attributes::default() };
        if server.authorizer.allows(&server.store, &user, &attributes).await { Ok(()) } else { Err(forbidden(&user, &attributes, "")) }
    };
    let mut other = User { name: name.clone(), ..User::default() };
    match other.service_account().map(|(n, s)| (n.to_owned(), s.to_owned())) {
        Some((namespace, account)) => {
            may("serviceaccounts", &namespace, &account, "").await?;
            other.groups = vec!["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}")];
        }
        None => may("users", "", &name, "").await?,
    }
    for group in &groups {
        may("groups", "", group, "").await?;
    }
    for uid in &uids {
        may("uids", "", uid, "authentication.k8s.io").await?;
    }
    if !groups.is_empty() {
        other.groups = groups;
    }
    other.uid = uids.into_iter().next().unwrap_or_default();
    for (header, value) in headers {
        if let Some(key) = header.as_str().strip_prefix("impersonate-extra-") {
            let key = api::query::decode(key);
            may(&format!("userextras/{key}"), "", value.to_str().unwrap_or_default(), "authentication.k8s.io").await?;
            other.extra.entry(key).or_default().push(value.to_str().unwrap_or_default().to_owned());
        }
    }
    let group = if other.name == "system:anonymous" { "system:unauthenticated" } else { "system:authenticated" };
    if !other.is_in(group) {
        other.groups.push(group.into());
    }
    Ok(other)
}
