//! Passing a request to the server that is registered for it.
//!
//! Upstream: kube-aggregator `pkg/apiserver/handler_proxy.go`. A connection carries one request and ends with it, so that
//! nothing follows a failed upgrade (CVE-2018-1002105); a redirect is answered with 502 (CVE-2022-3172).

use http::header::{self, HeaderValue};
use http::{Request, Response, StatusCode};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::front;
use super::registrations::Remote;
use crate::auth::authenticate::Peer;
use crate::handler::Incoming;
use crate::respond::{self, Body};
use crate::rest::connect;
use crate::server::Server;
use crate::egress::BoxedLine;
use crate::upstream;
use crate::user::User;
use crate::webhook::tls_words;

pub async fn serve(server: &Server, remote: &Remote, user: &User, peer: &Peer, request: Request<Incoming>) -> Response<Body> {
    let unavailable = |text: &str| respond::text(StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n"));
    if !remote.available {
        return unavailable("service unavailable");
    }
    let settings = match server.aggregator.front.settings(remote) {
        Ok(settings) => settings,
        Err(why) => return respond::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
    };
    let Ok(endpoint) = server.aggregator.services.resolve(&remote.service) else { return unavailable("service unavailable") };
    let settings = TlsConnector::from(settings);
    let line = upstream::dial(server.egress(), &endpoint.host, endpoint.port).await;
    let answer = match line {
        Ok(line) => exchange(remote, user, peer, request, line, settings).await,
        Err(why) => Err(why),
    };
    match answer {
        Ok(response) => response,
        Err(why) => unavailable(&format!("error trying to reach service: {why}")),
    }
}

async fn exchange(remote: &Remote, user: &User, peer: &Peer, mut request: Request<Incoming>, line: BoxedLine, tls: TlsConnector) -> Result<Response<Body>, String> {
    let name = ServerName::try_from(format!("{}.{}.svc", remote.service.name, remote.service.namespace)).map_err(|e| e.to_string())?;
    let stream = tls.connect(name, line).await.map_err(|e| tls_words(&e))?;
    let client = hyper::upgrade::on(&mut request);
    let outgoing = outgoing(request, user, peer);
    let answer = upstream::exchange(stream, outgoing).await.map_err(|e| e.message)?;
    if answer.status().is_redirection() && answer.headers().contains_key(header::LOCATION) {
        let mut refused = Response::new(respond::full("the backend attempted to redirect this request, which is not permitted"));
        *refused.status_mut() = StatusCode::BAD_GATEWAY;
        return Ok(refused);
    }
    Ok(connect::pass_on(answer, client))
}

/// The request as the registered server gets it.
fn outgoing(request: Request<Incoming>, user: &User, peer: &Peer) -> Request<Incoming> {
    let (parts, body) = request.into_parts();
    let mut outgoing = Request::new(body);
    *outgoing.method_mut() = parts.method;
    let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
    *outgoing.uri_mut() = path.parse().unwrap_or_default();
    let upgrades = parts.headers.contains_key(header::UPGRADE);
    let headers = outgoing.headers_mut();
    for (name, value) in &parts.headers {
        let hop = matches!(*name, header::TE | header::TRAILER | header::TRANSFER_ENCODING | header::PROXY_AUTHORIZATION | header::PROXY_AUTHENTICATE) || name == "keep-alive";
        let connection = matches!(*name, header::CONNECTION | header::UPGRADE) && !upgrades;
        // Who the client is was found out here.
        let identity = *name == header::AUTHORIZATION || name.as_str().starts_with("impersonate-");
        if !(hop || connection || identity) {
            headers.append(name.clone(), value.clone());
        }
    }
    let host = parts.uri.authority().and_then(|a| HeaderValue::from_str(a.as_str()).ok());
    if let (Some(host), false) = (host, headers.contains_key(header::HOST)) {
        headers.insert(header::HOST, host);
    }
    front::name_user(headers, user);
    if let Ok(own) = HeaderValue::from_str(&forwarded_for(headers, peer)) {
        headers.insert("x-forwarded-for", own);
    }
    if let Ok(uri) = HeaderValue::from_str(parts.uri.path()) {
        headers.insert("x-forwarded-uri", uri);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    outgoing
}

fn forwarded_for(headers: &http::HeaderMap, peer: &Peer) -> String {
    let own = match peer {
        Peer::Remote { address, .. } => address.to_string(),
        Peer::Local(_) => "127.0.0.1".into(),
    };
    match headers.get("x-forwarded-for").and_then(|v| v.to_str().ok()) {
        Some(before) => format!("{before}, {own}"),
        None => own,
    }
}
