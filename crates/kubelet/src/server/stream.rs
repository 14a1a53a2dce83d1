//! exec, attach, port-forward: the runtime opens a streaming address, and the upgraded connection is passed through byte for byte.
//!
//! Never looks into the stream, so SPDY and WebSocket pass alike. Keeps true: only an answer of 101 joins the two sides; anything else
//! ends the backend's connection with the answer (CVE-2018-1002105), and a redirect is never followed.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use cri::{AttachRequest, ExecRequest, PodSandboxState, PortForwardRequest};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::answer::{self, Query, Request, Response, text};
use super::routes::{find_pod, running};
use crate::agent::Agent;
use crate::make::sandbox::POD_UID;

const REFUSAL_BYTES: usize = 64 * 1024;

pub async fn exec(agent: &Arc<Agent>, namespace: &str, pod: &str, container: &str, request: Request) -> Response {
    let id = match target(agent, namespace, pod, container) {
        Ok(id) => id,
        Err(answer) => return *answer,
    };
    let query = Query::of(request.uri());
    let wanted = Streams::of(&query);
    let call = ExecRequest { container_id: id, cmd: query.all("command"), tty: wanted.tty, stdin: wanted.stdin, stdout: wanted.stdout, stderr: wanted.stderr && !wanted.tty };
    if !(call.stdin || call.stdout || call.stderr) {
        return text(400, "you must specify at least 1 of stdin, stdout, stderr");
    }
    match agent.cri.exec(call).await {
        Ok(answer) => pass_through(request, &answer.url).await,
        Err(error) => text(500, &error.to_string()),
    }
}

pub async fn attach(agent: &Arc<Agent>, namespace: &str, pod: &str, container: &str, request: Request) -> Response {
    let id = match target(agent, namespace, pod, container) {
        Ok(id) => id,
        Err(answer) => return *answer,
    };
    let query = Query::of(request.uri());
    let wanted = Streams::of(&query);
    // Upstream: whether there is a terminal is the container's own affair.
    let tty = agent.registry.find(namespace, pod).and_then(|h| pod_lifecycle::find_container(&h.pod(), container)).is_some_and(|c| c.container.tty == Some(true));
    let call = AttachRequest { container_id: id, tty, stdin: wanted.stdin, stdout: wanted.stdout, stderr: wanted.stderr && !tty };
    if !(call.stdin || call.stdout || call.stderr) {
        return text(400, "you must specify at least 1 of stdin, stdout, stderr");
    }
    match agent.cri.attach(call).await {
        Ok(answer) => pass_through(request, &answer.url).await,
        Err(error) => text(500, &error.to_string()),
    }
}

pub async fn port_forward(agent: &Arc<Agent>, namespace: &str, pod: &str, request: Request) -> Response {
    let handle = match find_pod(agent, namespace, pod) {
        Ok(handle) => handle,
        Err(answer) => return *answer,
    };
    let label = [(POD_UID.to_owned(), handle.uid.clone())].into();
    let filter = cri::PodSandboxFilter { label_selector: label, state: Some(cri::PodSandboxStateValue { state: PodSandboxState::Ready as i32 }), ..Default::default() };
    let sandbox = match agent.cri.list_pod_sandbox(cri::ListPodSandboxRequest { filter: Some(filter) }).await {
        Ok(found) => found.items.into_iter().max_by_key(|s| s.created_at),
        Err(error) => return text(500, &error.to_string()),
    };
    let Some(sandbox) = sandbox else { return text(404, &format!("failed to find sandbox for pod {pod:?}\n")) };
    let query = Query::of(request.uri());
    // A WebSocket client names its ports here, several in one parameter or many; a SPDY client names them in its streams.
    let port = [query.all("port"), query.all("ports")].concat().iter().flat_map(|p| p.split(',')).filter_map(|p| p.parse().ok()).collect();
    match agent.cri.port_forward(PortForwardRequest { pod_sandbox_id: sandbox.id, port }).await {
        Ok(answer) => pass_through(request, &answer.url).await,
        Err(error) => text(500, &error.to_string()),
    }
}

fn target(agent: &Agent, namespace: &str, pod: &str, container: &str) -> Result<String, Box<Response>> {
    let handle = find_pod(agent, namespace, pod)?;
    running(&handle, container).ok_or_else(|| Box::new(text(404, &format!("container not found ({container:?})\n"))))
}

struct Streams {
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

impl Streams {
    /// The kubelet's own names, and those of the API.
    fn of(query: &Query) -> Self {
        Self { stdin: query.flag(&["input", "stdin"]), stdout: query.flag(&["output", "stdout"]), stderr: query.flag(&["error", "stderr"]), tty: query.flag(&["tty"]) }
    }
}

async fn pass_through(mut request: Request, url: &str) -> Response {
    let upgrade = request.headers().get("connection").and_then(|v| v.to_str().ok()).is_some_and(|v| v.to_lowercase().contains("upgrade"));
    if !upgrade {
        return text(400, "Upgrade request required");
    }
    let (address, path) = match parse_url(url) {
        Ok(parsed) => parsed,
        Err(why) => {
            tracing::warn!(why, "streaming address of the runtime was not used");
            return text(500, "the runtime's streaming address is not usable");
        }
    };
    let stream = match TcpStream::connect(&address).await {
        Ok(stream) => stream,
        Err(error) => return text(502, &format!("streaming server of the runtime: {error}")),
    };
    let _ = stream.set_nodelay(true);
    let Ok((mut sender, connection)) = hyper::client::conn::http1::Builder::new().preserve_header_case(true).handshake(TokioIo::new(stream)).await else {
        return text(502, "streaming server of the runtime does not speak HTTP");
    };
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    let mut onward = http::Request::builder().method(request.method().clone()).uri(path);
    for (name, value) in request.headers().iter().filter(|(name, _)| *name != "host" && *name != "content-length" && *name != "authorization") {
        onward = onward.header(name, value);
    }
    let Ok(onward) = onward.header("host", &address).body(Empty::<Bytes>::new()) else { return text(400, "the request cannot be passed on") };
    let mut response = match sender.send_request(onward).await {
        Ok(response) => response,
        Err(error) => return text(502, &format!("streaming server of the runtime: {error}")),
    };
    if response.status() != http::StatusCode::SWITCHING_PROTOCOLS {
        return refusal(response).await;
    }
    let mut answer = answer::empty(http::StatusCode::SWITCHING_PROTOCOLS);
    *answer.headers_mut() = response.headers().clone();
    let (near, far) = (hyper::upgrade::on(&mut request), hyper::upgrade::on(&mut response));
    tokio::spawn(async move {
        let Ok((near, far)) = tokio::try_join!(near, far) else { return };
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(near), &mut TokioIo::new(far)).await;
    });
    answer
}

/// Hands the refusal on and lets the backend's connection go.
async fn refusal(response: http::Response<hyper::body::Incoming>) -> Response {
    let status = response.status();
    // A redirect would send the caller, with its rights, elsewhere.
    let status = if status.is_redirection() { http::StatusCode::BAD_GATEWAY } else { status };
    let body = Limited::new(response.into_body(), REFUSAL_BYTES).collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    let mut answer = text(status.as_u16(), &String::from_utf8_lossy(&body));
    answer.headers_mut().insert("connection", http::HeaderValue::from_static("close"));
    answer
}

/// Address and path of a streaming URL, which must be on this machine.
fn parse_url(url: &str) -> Result<(String, String), String> {
    let uri: http::Uri = url.parse().map_err(|_| "not a URL".to_owned())?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if uri.scheme_str() != Some("http") || !local {
        return Err("it must be plain HTTP on the loopback interface".into());
    }
    let port = uri.port_u16().ok_or("it has no port")?;
    let shown = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    Ok((shown, uri.path_and_query().map_or("/", |p| p.as_str()).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse_url;

    #[test]
    fn streams_only_on_this_machine() {
        assert_eq!(parse_url("http://127.0.0.1:4000/exec/abc"), Ok(("127.0.0.1:4000".into(), "/exec/abc".into())));
        for wrong in ["http://10.0.0.1:4000/exec/abc", "https://127.0.0.1:4000/x", "http://127.0.0.1/x", "/x", ""] {
            assert!(parse_url(wrong).is_err(), "{wrong}");
        }
    }
}
