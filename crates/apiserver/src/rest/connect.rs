//! Streams to and from pods: logs, exec, attach, port-forward.
//!
//! The server looks up where to go and passes bytes; what flows after an upgrade it does not read.

use api::{ApiError, meta};
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

use super::{Call, log_options, proxy, translate, websocket};
use crate::admission::extension;
use crate::handler::{BodyError, Incoming};
use crate::object;
use crate::respond::{self, Body};

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
    if let Some(options) = options(&call)? {
        extension::connect(&call, options).await?;
    }
    match (&*call.served.resource.plural, call.info.subresource.as_str()) {
        ("pods", "exec" | "attach" | "portforward") => pod_stream(call, request).await,
        ("pods", "log") => log_socket(call, request).await,
        (_, "proxy") => proxy::serve(&call, request).await,
        _ => Err(ApiError::no_such_path()),
    }
}

/// The options that admission sees; none for what is read only.
///
/// Upstream: the kinds that the connecting storages of pods, services and nodes decode queries into.
fn options(call: &Call) -> Result<Option<Value>, ApiError> {
    let query = &call.query;
    let (kind, fields) = match (&*call.served.resource.plural, call.info.subresource.as_str()) {
        ("pods", "portforward") => {
            let ports: Vec<_> = query.all("ports").flat_map(|p| p.split(',')).map(port_of).collect::<Result<_, _>>()?;
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
        _ => return Ok(None),
    };
    let mut options = fields;
    options["kind"] = kind.into();
    options["apiVersion"] = "v1".into();
    Ok(Some(options))
}

/// Upstream: `Convert_Slice_string_To_Slice_int32` in apimachinery's `pkg/apis/meta/v1/conversion.go`.
fn port_of(text: &str) -> Result<u16, ApiError> {
    text.parse().map_err(|error: std::num::ParseIntError| {
        let why = if *error.kind() == std::num::IntErrorKind::PosOverflow { "value out of range" } else { "invalid syntax" };
        ApiError::bad_request(format!("cannot convert to []int32: strconv.ParseUint: parsing {text:?}: {why}"))
    })
}

/// Where the kubelet of a node listens.
pub fn kubelet_of(call: &Call, node: &str) -> Result<(String, u16), ApiError> {
    let table = call.server.registry().find("", "v1", "nodes").ok_or_else(ApiError::no_such_path)?.table;
    // Upstream names the resource of the request, not the node's.
    let record = call.server.store.view().get(table, node).ok_or_else(|| ApiError::not_found(&call.resource(), node))?;
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

/// The container meant: the one named or the only one. Which one a pod's annotation prefers is its clients' business.
///
/// Upstream: `validateContainer` in `pkg/registry/core/pod/strategy.go`.
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
        _ => {
            let all = [inits, containers, ephemeral].concat().join(" ");
            Err(ApiError::bad_request(format!("a container name must be specified for pod {pod_name}, choose one of: [{all}]")))
        }
    }
}

pub fn encode(text: &str) -> String {
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

/// Where a kubelet serves the stream that is asked for.
fn kubelet_path(call: &Call, pod: &Value) -> Result<String, ApiError> {
    let (namespace, name) = (&call.info.namespace, &call.info.name);
    Ok(match call.info.subresource.as_str() {
        "portforward" => {
            let ports = call.query.all("ports").collect::<Vec<_>>().join(",");
            format!("/portForward/{namespace}/{name}?{}", if ports.is_empty() { String::new() } else { format!("port={}", encode(&ports)) })
        }
        action => {
            let container = container_of(pod, call.query.get("container"))?;
            let mut pairs = Vec::new();
            for (ours, theirs) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] {
                if call.query.flag(ours) && !(ours == "stderr" && call.query.flag("tty")) {
                    pairs.push(format!("{theirs}=1"));
                }
            }
            pairs.extend(call.query.all("command").map(|c| format!("command={}", encode(c))));
            format!("/{action}/{namespace}/{name}/{container}?{}", pairs.join("&"))
        }
    })
}

async fn pod_stream(call: Call, request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
    let pod = call.read(&*call.record()?);
    let path = kubelet_path(&call, &pod)?;
    let (host, port) = host_of(&call, &pod)?;
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
pub fn forwarded(request: &Request<Incoming>, path: &str, host: &str) -> Result<Request<Incoming>, ApiError> {
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

/// None where the pod has no node yet, so nothing that could tell anything.
async fn fetch_log(call: &Call) -> Result<Option<Response<hyper::body::Incoming>>, ApiError> {
    let (namespace, name) = (&call.info.namespace, &call.info.name);
    let query = log_options::for_kubelet(&call.query, name, call.server.config.gates.split_logs)?;
    let pod = call.read(&*call.record()?);
    let container = container_of(&pod, call.query.get("container"))?;
    let node = walk::text(&pod, "spec.nodeName");
    if node.is_empty() {
        return Ok(None);
    }
    let (host, port) = kubelet_of(call, node)?;
    let path = format!("/containerLogs/{namespace}/{name}/{container}?{query}");
    let mut request = Request::new(Full::new(Bytes::new()).map_err(BodyError::from).boxed_unsync());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = path.parse().map_err(|e| ApiError::bad_request(format!("{e}")))?;
    if let Ok(host) = host.parse() {
        request.headers_mut().insert(header::HOST, host);
    }
    let answer = call.server.kubelets.send(&host, port, request).await?;
    if answer.status().is_success() {
        return Ok(Some(answer));
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

fn nothing() -> Response<Body> {
    let mut response = Response::new(respond::full(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The log as a plain stream.
pub async fn log(call: Call) -> Result<Response<Body>, ApiError> {
    let Some(answer) = fetch_log(&call).await? else { return Ok(nothing()) };
    // Upstream: text without a charset.
    Ok(respond::respond(StatusCode::OK, "text/plain", streamed(answer.into_body())))
}

/// The log over a WebSocket, each part one message. Upstream: `wsstream.Reader`.
async fn log_socket(call: Call, mut request: Request<Incoming>) -> Result<Response<Body>, ApiError> {
    let binary = ["binary.k8s.io", "base64.binary.k8s.io"];
    let chosen = websocket::offered(&call.headers).find_map(|offered| binary.into_iter().find(|known| *known == offered));
    let in_text = chosen == Some(binary[1]);
    let response = websocket::accept(&call.headers, chosen)?;
    let Some(answer) = fetch_log(&call).await? else { return Ok(nothing()) };
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
