//! What pods, services and nodes answer through the server.

use api::{ApiError, meta};
use bytes::Bytes;
use catalog::walk;
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::Call;
use super::connect::{forwarded, kubelet_of, pass_on};
use crate::handler::{BodyError, Incoming};
use crate::object;
use crate::respond::Body;
use crate::upstream;

/// `[scheme:]name[:port]`, as the proxy subresources name their targets. Upstream: `SplitSchemeNamePort` in apimachinery's `pkg/util/net/port_split.go`.
fn parse_target(id: &str) -> Option<(&str, &str, &str)> {
    let (scheme, name, port) = match *id.split(':').collect::<Vec<_>>().as_slice() {
        [scheme, name, port] => (scheme, name, port),
        [name, port] => ("", name, port),
        [name] => ("", name, ""),
        _ => return None,
    };
    (matches!(scheme, "" | "http" | "https") && !name.is_empty()).then_some((scheme, name, port))
}

pub async fn serve(call: &Call, mut request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
    let invalid = || ApiError::bad_request(format!("invalid {} request {:?}", call.served.resource.singular, call.info.name));
    let (scheme, name, port) = parse_target(&call.info.name).ok_or_else(invalid)?;
    let query = request.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
    let path = format!("/{}{query}", call.info.rest);
    if &*call.served.resource.plural == "nodes" {
        let (host, own) = kubelet_of(call, name)?;
        let (port, tls) = match port {
            "" => (own, Tls::Kubelet),
            text => match text.parse().map_err(|_| invalid())? {
                port if port == own => (own, Tls::Kubelet),
                // What else listens on a node sees nothing of the server's identity.
                port => (port, if scheme == "https" { Tls::Unverified } else { Tls::Plain }),
            },
        };
        return exchange_with(call, &mut request, &path, &host, port, tls).await;
    }
    let (host, port) = if &*call.served.resource.plural == "pods" { pod_target(call, name, port)? } else { service_target(call, name, port)? };
    exchange_with(call, &mut request, &path, &host, port, if scheme == "https" { Tls::Unverified } else { Tls::Plain }).await
}

enum Tls {
    Plain,
    Unverified,
    Kubelet,
}

async fn exchange_with(call: &Call, request: &mut Request<Incoming>, path: &str, host: &str, port: u16, tls: Tls) -> Result<Response<Body>, ApiError> {
    // Nobody reaches the server's own loopback or link-local metadata through a proxy (CVE-2020-8555's class, CVE-2022-3294).
    upstream::check_proxyable(host).await?;
    let client = hyper::upgrade::on(&mut *request);
    let mut outgoing = forwarded(request, path, &format!("{host}:{port}"))?;
    let body = std::mem::replace(request.body_mut(), Full::new(Bytes::new()).map_err(BodyError::from).boxed_unsync());
    *outgoing.body_mut() = body;
    for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH] {
        if let Some(value) = request.headers().get(&name) {
            outgoing.headers_mut().insert(name, value.clone());
        }
    }
    let answer = match tls {
        Tls::Kubelet => call.server.kubelets.send(host, port, outgoing).await,
        Tls::Plain => upstream::exchange(upstream::connect(call.server.egress(), host, port).await.map_err(unavailable)?, outgoing).await,
        Tls::Unverified => upstream::exchange(upstream::unverified(call.server.egress(), host, port).await.map_err(unavailable)?, outgoing).await,
    };
    let answer = answer.map_err(unavailable)?;
    Ok(pass_on(answer, client))
}

/// Upstream: a backend that cannot be reached is 503 with the dial error.
fn unavailable(error: ApiError) -> ApiError {
    ApiError::unavailable(error.message.replace("Internal error occurred: error dialing backend", "error trying to reach service"))
}

fn pod_target(call: &Call, name: &str, port: &str) -> Result<(String, u16), ApiError> {
    let record = call.server.store.view().get(call.served.table, &object::key(&call.info.namespace, name)).ok_or_else(|| ApiError::not_found(&call.resource(), name))?;
    let pod = object::parse(&record.value);
    let ip = walk::text(&pod, "status.podIP");
    if ip.is_empty() {
        return Err(ApiError::bad_request("address not allowed"));
    }
    let port = match port {
        "" => walk::list(&pod, "spec.containers").iter().flat_map(|c| walk::list(c, "ports")).map(|p| walk::int(p, "containerPort")).next().unwrap_or(80),
        text => text.parse().map_err(|_| ApiError::bad_request(format!("invalid port {text:?}")))?,
    };
    Ok((ip.to_owned(), u16::try_from(port).unwrap_or(80)))
}

/// Upstream: `ResourceLocation` in `pkg/registry/core/service/storage/storage.go`.
fn service_target(call: &Call, name: &str, port: &str) -> Result<(String, u16), ApiError> {
    let view = call.server.store.view();
    let service = view.get(call.served.table, &object::key(&call.info.namespace, name)).ok_or_else(|| ApiError::not_found(&call.resource(), name))?;
    let port_name = port_name(&object::parse(&service.value), name, port)?;
    let none = |of: &str| ApiError::unavailable(format!("no endpoints available for service {of:?}"));
    let registry = call.server.registry();
    let table = registry.find("discovery.k8s.io", "v1", "endpointslices").ok_or_else(|| none(name))?.table;
    let prefix = format!("{}/", call.info.namespace);
    let range = view.table(table);
    let mut any = false;
    for slice in range.scan(&prefix, "").map(|r| object::parse(&r.value)).filter(|s| meta::label(s, "kubernetes.io/service-name") == Some(name)) {
        any = true;
        let Some(number) = walk::list(&slice, "ports").iter().find(|p| walk::text(p, "name") == port_name).map(|p| walk::int(p, "port")) else { continue };
        let ready = walk::list(&slice, "endpoints").iter().filter(|e| walk::at(e, "conditions.ready").as_bool() != Some(false));
        if let Some(address) = ready.filter_map(|e| pod_address(call, e)).next() {
            return Ok((address.to_owned(), u16::try_from(number).map_err(|_| none(name))?));
        }
    }
    Err(none(if any { &call.info.name } else { name }))
}

/// The name of the port that a number means; what is no number is a name itself, the empty one too.
fn port_name(service: &Value, name: &str, port: &str) -> Result<String, ApiError> {
    let Ok(number) = port.parse::<i64>() else { return Ok(port.to_owned()) };
    let known = walk::list(service, "spec.ports").iter().find(|p| walk::int(p, "port") == number);
    known.map(|p| walk::text(p, "name").to_owned()).ok_or_else(|| ApiError::unavailable(format!("no service port {number} found for service {name:?}")))
}

/// The address of an endpoint that is a pod's own: what somebody wrote by hand leads nowhere.
///
/// Upstream: `isValidAddress` in `pkg/registry/core/service/storage/storage.go`.
fn pod_address<'a>(call: &Call, endpoint: &'a Value) -> Option<&'a str> {
    let address = walk::list(endpoint, "addresses").first()?.as_str()?;
    if walk::text(endpoint, "targetRef.namespace") != call.info.namespace {
        return None;
    }
    let table = call.server.registry().find("", "v1", "pods")?.table;
    let record = call.server.store.view().get(table, &object::key(&call.info.namespace, walk::text(endpoint, "targetRef.name")))?;
    let pod = object::parse(&record.value);
    walk::list(&pod, "status.podIPs").iter().any(|ip| walk::text(ip, "ip") == address).then_some(address)
}
