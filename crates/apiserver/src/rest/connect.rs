//! Streams to and from pods: logs, exec, attach, port-forward, proxies.
//!
//! The server looks up where to go and passes bytes; what flows after an upgrade it does not read.

use api::{ApiError, GroupResource, meta};
use bytes::Bytes;
use catalog::walk;
use futures::{SinkExt, StreamExt};
use http::header::{self, HeaderName};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use spdy::channels;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{Call, translate, websocket};
use crate::admission::extension;
use crate::handler::{BodyError, Incoming};
use crate::object;
use crate::respond::{self, Body};
use crate::upstream;

/// Whether the request needs its connection, not only its body.
pub fn is_stream(call: &Call) -> bool {
    match call.info.subresource.as_str() {
        "exec" | "attach" | "portforward" | "proxy" => true,
        "log" => websocket::is_asked(&call.headers),
        _ => false,
    }
}

pub async fn serve(call: Call, request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
    let part = call.served.resource.subresource(&call.info.subresource).ok_or_else(ApiError::no_such_path)?;
    let method_fits = part.verbs.names().contains(&call.info.verb);
    if !method_fits && call.info.subresource != "proxy" {
        return Err(ApiError::method_not_allowed());
    }
    if let Some(options) = options(&call) {
        extension::connect(&call, options).await?;
    }
    match (&*call.served.resource.plural, call.info.subresource.as_str()) {
        ("pods", "exec" | "attach" | "portforward") => pod_stream(call, request).await,
        ("pods", "log") => log_socket(call, request).await,
        (_, "proxy") => proxy(&call, request).await,
        _ => Err(ApiError::no_such_path()),
    }
}

/// The options that admission sees; none for what is read only.
///
/// Upstream: the kinds that the connecting storages of pods, services and nodes decode queries into.
fn options(call: &Call) -> Option<Value> {
    let query = &call.query;
    let (kind, fields) = match (&*call.served.resource.plural, call.info.subresource.as_str()) {
        ("pods", "portforward") => {
            let ports: Vec<i64> = query.all("ports").flat_map(|p| p.split(',')).filter_map(|p| p.parse().ok()).collect();
            ("PodPortForwardOptions", json!({"ports": ports}))
        }
        ("pods", action @ ("exec" | "attach")) => {
            let mut fields = json!({});
            for flag in ["stdin", "stdout", "stderr", "tty"] {
                if query.flag(flag) {
                    fields[flag] = true.into();
                }
            }
            if !query.get("container").is_empty() {
                fields["container"] = query.get("container").into();
            }
            if action == "exec" {
                fields["command"] = query.all("command").collect::<Vec<_>>().into();
            }
            (if action == "exec" { "PodExecOptions" } else { "PodAttachOptions" }, fields)
        }
        (plural, "proxy") => {
            let kind = match plural {
                "pods" => "PodProxyOptions",
                "services" => "ServiceProxyOptions",
                _ => "NodeProxyOptions",
            };
            (kind, if call.info.rest.is_empty() { json!({}) } else { json!({"path": format!("/{}", call.info.rest)}) })
        }
        _ => return None,
    };
    let mut options = fields;
    options["kind"] = kind.into();
    options["apiVersion"] = "v1".into();
    Some(options)
}

/// Where the kubelet of a node listens.
fn kubelet_of(call: &Call, node: &str) -> Result<(String, u16), ApiError> {
    let table = call.server.registry().find("", "v1", "nodes").ok_or_else(ApiError::no_such_path)?.table;
    let record = call.server.store.view().get(table, node).ok_or_else(|| ApiError::not_found(&GroupResource::new("", "nodes"), node))?;
    let object = object::parse(&record.value);
    let addresses = walk::list(&object, "status.addresses");
    let of_kind = |kind: &str| addresses.iter().find(|a| walk::text(a, "type") == kind).map(|a| walk::text(a, "address").to_owned());
    let host = of_kind("InternalIP").or_else(|| of_kind("Hostname")).ok_or_else(|| ApiError::internal(format!("no preferred addresses found; known addresses: {addresses:?}")))?;
    let port = walk::int(&object, "status.daemonEndpoints.kubeletEndpoint.Port");
    Ok((host, u16::try_from(port).ok().filter(|p| *p != 0).unwrap_or(10250)))
}

fn host_of(call: &Call, pod: &Value) -> Result<(String, u16), ApiError> {
    match walk::text(pod, "spec.nodeName") {
        "" => Err(ApiError::bad_request(format!("pod {} does not have a host assigned", meta::name(pod)))),
        node => kubelet_of(call, node),
    }
}

/// The container meant: the one named, the only one, or the annotated default.
fn container_of(pod: &Value, named: &str) -> Result<String, ApiError> {
    let names = |key: &str| walk::list(pod, key).iter().map(|c| walk::text(c, "name").to_owned()).collect::<Vec<_>>();
    let (containers, inits, ephemeral) = (names("spec.containers"), names("spec.initContainers"), names("spec.ephemeralContainers"));
    let pod_name = meta::name(pod);
    if !named.is_empty() {
        let known = [&containers, &inits, &ephemeral].into_iter().flatten().any(|n| n == named);
        return if known { Ok(named.to_owned()) } else { Err(ApiError::bad_request(format!("container {named} is not valid for pod {pod_name}"))) };
    }
    match containers.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(ApiError::bad_request(format!("a container name must be specified for pod {pod_name}"))),
        many => {
            if let Some(default) = meta::annotation(pod, "kubectl.kubernetes.io/default-container").filter(|d| many.iter().any(|n| n == d)) {
                return Ok(default.to_owned());
            }
            let inits = if inits.is_empty() { String::new() } else { format!(" or one of the init containers: [{}]", inits.join(" ")) };
            Err(ApiError::bad_request(format!("a container name must be specified for pod {pod_name}, choose one of: [{}]{inits}", many.join(" "))))
        }
    }
}

fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

async fn pod_stream(call: Call, request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
    let pod = call.read(&*call.record()?);
    let (host, port) = host_of(&call, &pod)?;
    let (namespace, name) = (&call.info.namespace, &call.info.name);
    let path = match call.info.subresource.as_str() {
        "portforward" => {
            let ports: Vec<String> = call.query.all("ports").map(|p| format!("ports={}", encode(p))).collect();
            format!("/portForward/{namespace}/{name}?{}", ports.join("&"))
        }
        action => {
            let container = container_of(&pod, call.query.get("container"))?;
            let mut pairs = Vec::new();
            for (ours, theirs) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] {
                if call.query.flag(ours) && !(ours == "stderr" && call.query.flag("tty")) {
                    pairs.push(format!("{theirs}=1"));
                }
            }
            pairs.extend(call.query.all("command").map(|c| format!("command={}", encode(c))));
            format!("/{action}/{namespace}/{name}/{container}?{}", pairs.join("&"))
        }
    };
    let is_ports = call.info.subresource == "portforward";
    // Upstream: who offers the newest protocol gets it, whatever else he offers.
    let newest = if is_ports { channels::TUNNEL } else { channels::V5 };
    if websocket::is_asked(&call.headers) && websocket::offered(&call.headers).any(|p| p == newest) {
        let target = translate::Target { host, port, path };
        if is_ports {
            return translate::tunnel(call, request, target).await;
        }
        let flag = |name: &str| call.query.flag(name);
        let wanted = translate::Wanted { stdin: flag("stdin"), stdout: flag("stdout"), stderr: flag("stderr") && !flag("tty"), tty: flag("tty") };
        return translate::streams(call, request, target, wanted);
    }
    let mut request = request;
    let client = hyper::upgrade::on(&mut request);
    let outgoing = forwarded(&request, &path, &host)?;
    let answer = call.server.kubelets.send(&host, port, outgoing).await?;
    Ok(pass_on(answer, client))
}

/// Headers that belong to a connection or speak of the client's identity.
const OWN: [HeaderName; 7] = [header::AUTHORIZATION, header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::TE, header::TRAILER, header::PROXY_AUTHORIZATION];

/// A request to a backend with the client's headers but those that are its own business.
fn forwarded(request: &Request<Incoming>, path: &str, host: &str) -> Result<Request<Incoming>, ApiError> {
    let mut outgoing = Request::new(Full::new(Bytes::new()).map_err(BodyError::from).boxed_unsync());
    *outgoing.method_mut() = request.method().clone();
    let path: PathAndQuery = path.parse().map_err(|e| ApiError::bad_request(format!("the path cannot be forwarded: {e}")))?;
    *outgoing.uri_mut() = Uri::from(path);
    for (name, value) in request.headers() {
        if !OWN.contains(name) && !name.as_str().starts_with("impersonate-") {
            outgoing.headers_mut().append(name, value.clone());
        }
    }
    if let Ok(host) = host.parse() {
        outgoing.headers_mut().insert(header::HOST, host);
    }
    Ok(outgoing)
}

/// Passes an answer on; where it upgrades, joins both connections.
pub fn pass_on(mut answer: Response<hyper::body::Incoming>, client: hyper::upgrade::OnUpgrade) -> Response<Body> {
    let mut response = Response::new(respond::full(Bytes::new()));
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let backend = hyper::upgrade::on(&mut answer);
        tokio::spawn(async move {
            if let (Ok(client), Ok(backend)) = (client.await, backend.await) {
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(backend)).await;
            }
        });
        return response;
    }
    *response.body_mut() = streamed(answer.into_body());
    response
}

/// A body that ends where the backend's breaks.
fn streamed(body: hyper::body::Incoming) -> Body {
    respond::stream(body.into_data_stream().take_while(|part| std::future::ready(part.is_ok())).filter_map(|part| std::future::ready(part.ok())))
}

fn log_path(call: &Call, pod: &Value) -> Result<String, ApiError> {
    let container = container_of(pod, call.query.get("container"))?;
    let keys = ["follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream"];
    for key in ["tailLines", "limitBytes", "sinceSeconds"] {
        let floor = if key == "tailLines" { 0 } else { 1 };
        if let Some(number) = call.query.number(key)?.filter(|n| *n < floor) {
            let error = api::FieldError::invalid(&api::Path::new(key), number, if floor == 0 { "must be greater than or equal to 0" } else { "must be greater than 0" });
            return Err(ApiError::invalid("", "PodLogOptions", &call.info.name, &[error]));
        }
    }
    let pairs: Vec<String> = keys.iter().filter(|k| call.query.has(k)).map(|k| format!("{k}={}", encode(call.query.get(k)))).collect();
    Ok(format!("/containerLogs/{}/{}/{container}?{}", call.info.namespace, call.info.name, pairs.join("&")))
}

async fn fetch_log(call: &Call) -> Result<Response<hyper::body::Incoming>, ApiError> {
    let pod = call.read(&*call.record()?);
    let path = log_path(call, &pod)?;
    let (host, port) = host_of(call, &pod)?;
    let mut request = Request::new(Full::new(Bytes::new()).map_err(BodyError::from).boxed_unsync());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = path.parse().map_err(|e| ApiError::bad_request(format!("{e}")))?;
    if let Ok(host) = host.parse() {
        request.headers_mut().insert(header::HOST, host);
    }
    let answer = call.server.kubelets.send(&host, port, request).await?;
    if answer.status().is_success() {
        return Ok(answer);
    }
    let code = answer.status();
    let text = answer.into_body().collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[..text.len().min(64 << 10)]).trim().to_owned();
    Err(match code.as_u16() {
        400 => ApiError::bad_request(text),
        404 => ApiError::passed_on(404, text),
        other => ApiError::passed_on(other, text),
    })
}

/// The log as a plain stream.
pub async fn log(call: Call) -> Result<Response<Body>, ApiError> {
    let answer = fetch_log(&call).await?;
    // Upstream: text without a charset.
    Ok(respond::respond(StatusCode::OK, "text/plain", streamed(answer.into_body())))
}

/// The log over a WebSocket, each part one message. Upstream: `wsstream.Reader`.
async fn log_socket(call: Call, mut request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
    let binary = ["binary.k8s.io", "base64.binary.k8s.io"];
    let chosen = websocket::offered(&call.headers).find_map(|offered| binary.into_iter().find(|known| *known == offered));
    let in_text = chosen == Some(binary[1]);
    let response = websocket::accept(&call.headers, chosen)?;
    let answer = fetch_log(&call).await?;
    let client = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(client) = client.await else { return };
        let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(client), Role::Server, None).await;
        let mut parts = answer.into_body().into_data_stream();
        while let Some(Ok(part)) = parts.next().await {
            use base64::Engine as _;
            let message = if in_text { Message::Text(base64::prelude::BASE64_STANDARD.encode(&part).into()) } else { Message::Binary(part) };
            if socket.send(message).await.is_err() {
                return;
            }
        }
        let _ = socket.close(None).await;
    });
    Ok(response)
}

/// `[scheme:]name[:port]`, as the proxy subresources name their targets.
fn parse_target(name: &str) -> (&str, &str, &str) {
    match name.split(':').collect::<Vec<_>>().as_slice() {
        [scheme, name, port] => (scheme, name, port),
        [name, port] => ("", name, port),
        _ => ("", name, ""),
    }
}

async fn proxy(call: &Call, mut request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
    let (scheme, name, port) = parse_target(&call.info.name);
    if !matches!(scheme, "" | "http" | "https") {
        return Err(ApiError::bad_request(format!("invalid {} request {:?}", call.served.resource.singular, call.info.name)));
    }
    let query = request.uri().query().map(|q| format!("?{q}")).unwrap_or_default();
    let path = format!("/{}{query}", call.info.rest);
    if &*call.served.resource.plural == "nodes" {
        let (host, own) = kubelet_of(call, name)?;
        let (port, tls) = match port {
            "" => (own, Tls::Kubelet),
            text => match text.parse().map_err(|_| ApiError::bad_request(format!("invalid node request {:?}", call.info.name)))? {
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

fn service_target(call: &Call, name: &str, port: &str) -> Result<(String, u16), ApiError> {
    let view = call.server.store.view();
    let missing = || ApiError::not_found(&call.resource(), name);
    let service = view.get(call.served.table, &object::key(&call.info.namespace, name)).ok_or_else(missing)?;
    let service = object::parse(&service.value);
    let ports = walk::list(&service, "spec.ports");
    let wanted = ports.iter().find(|p| match port {
        "" => ports.len() == 1 || walk::text(p, "name").is_empty(),
        text => walk::text(p, "name") == text || walk::int(p, "port").to_string() == text,
    });
    let none = || ApiError::unavailable(format!("no endpoints available for service {name:?}"));
    let wanted = wanted.ok_or_else(|| ApiError::unavailable(format!("no service port {port:?} found for service {name:?}")))?;
    let port_name = walk::text(wanted, "name");
    let registry = call.server.registry();
    let slices = registry.find("discovery.k8s.io", "v1", "endpointslices").ok_or_else(none)?;
    let prefix = format!("{}/", call.info.namespace);
    let range = view.table(slices.table);
    for slice in range.scan(&prefix, "").map(|r| object::parse(&r.value)).filter(|s| meta::label(s, "kubernetes.io/service-name") == Some(name)) {
        let Some(number) = walk::list(&slice, "ports").iter().find(|p| walk::text(p, "name") == port_name).map(|p| walk::int(p, "port")) else { continue };
        let ready = walk::list(&slice, "endpoints").iter().filter(|e| walk::at(e, "conditions.ready").as_bool() != Some(false));
        if let Some(address) = ready.filter_map(|e| pod_address(call, e)).next() {
            return Ok((address.to_owned(), u16::try_from(number).map_err(|_| none())?));
        }
    }
    Err(none())
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
