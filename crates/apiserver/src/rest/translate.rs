//! WebSocket clients of the newer protocols, for runtimes that speak SPDY: `v5.channel.k8s.io`, where a client can end a
//! container's input, and SPDY within a WebSocket for forwarded ports.
//!
//! Upstream: apiserver `pkg/util/proxy/streamtranslator.go`, `streamtunnel.go`, `websocket.go`.

use std::time::Duration;

use api::ApiError;
use bytes::{Bytes, BytesMut};
use futures::stream::{BoxStream, SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use spdy::channels::{self, CLOSE, ERROR, PORTS, RESIZE, STDERR, STDIN, STDOUT, TUNNEL, V4, V5};
use spdy::{Connection, StreamReader, StreamWriter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::{Call, websocket};
use crate::handler::{BodyError, Incoming};
use crate::respond::Body;

/// The largest message of a client, and the largest answer on the error stream.
const MAX_MESSAGE: usize = 4 << 20;
const MAX_STATUS: usize = 64 << 10;
/// Upstream: `finishTimeout`: so long a client may read on after the end.
const FINISH: Duration = Duration::from_secs(15 * 60);

type Socket = WebSocketStream<TokioIo<Upgraded>>;
type Backend = TokioIo<Upgraded>;
/// Why a stream ended: nothing, or the Status to tell.
type Outcome = Result<Value, String>;

/// Where the backend is, and what is asked of it.
pub struct Target {
    pub host: String,
    pub port: u16,
    pub path: String,
}

/// Which streams a client wants.
#[derive(Clone, Copy, Default)]
pub struct Wanted {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub tty: bool,
}

async fn socket(client: hyper::upgrade::OnUpgrade) -> Option<Socket> {
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    Some(WebSocketStream::from_raw_socket(TokioIo::new(client.await.ok()?), Role::Server, Some(config)).await)
}

/// Exec and attach.
pub fn streams(call: Call, mut request: Request<Incoming>, target: Target, wanted: Wanted) -> Result<Response<Body>, ApiError> {
    let response = websocket::accept(&call.headers, Some(V5))?;
    let client = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Some(socket) = socket(client).await else { return };
        let (mut to_client, mut from_client) = socket.split();
        // Upstream: an empty message tells that the connection stands.
        let lowest = if wanted.stdout { STDOUT } else if wanted.stderr { STDERR } else { ERROR };
        if send(&mut to_client, lowest, &[]).await.is_err() {
            return;
        }
        let outcome = match connect(&call, &target, V4).await {
            Ok(backend) => {
                let (from, to) = tokio::io::split(backend);
                let connection = Connection::new(from, to, None);
                let outcome = run(&connection, wanted, &mut to_client, &mut from_client).await;
                // A process that reads no more holds nothing up.
                connection.close();
                outcome
            }
            Err(why) => Err(why),
        };
        finish(outcome, to_client, from_client).await;
    });
    Ok(response)
}

async fn send(to: &mut SplitSink<Socket, Message>, channel: u8, bytes: &[u8]) -> Result<(), String> {
    to.send(Message::Binary(channels::message(channel, bytes))).await.map_err(|e| e.to_string())
}

/// A SPDY connection to the kubelet.
async fn connect(call: &Call, target: &Target, protocol: &'static str) -> Result<Backend, String> {
    let mut request = Request::new(Full::new(Bytes::new()).map_err(BodyError::from).boxed_unsync());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.path.parse().map_err(|e| format!("{e}"))?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, target.host.parse().map_err(|e| format!("{e}"))?);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert("x-stream-protocol-version", HeaderValue::from_static(protocol));
    let mut answer = call.server.kubelets.send(&target.host, target.port, request).await.map_err(|e| e.message)?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        // Redirects are such answers; none is followed.
        let body = http_body_util::Limited::new(answer.into_body(), MAX_STATUS).collect().await.map(|b| b.to_bytes()).unwrap_or_default();
        return Err(format!("unable to upgrade connection: {}", String::from_utf8_lossy(&body).trim()));
    }
    hyper::upgrade::on(&mut answer).await.map(TokioIo::new).map_err(|e| e.to_string())
}

/// What the client writes to.
struct Inputs {
    stdin: Option<StreamWriter>,
    resize: Option<StreamWriter>,
}

/// What the container says, part by part, each with its channel.
type Outputs = futures::stream::SelectAll<BoxStream<'static, (u8, Bytes)>>;

/// Opens all streams that are wanted, in upstream's order.
async fn open(connection: &Connection, wanted: Wanted) -> Result<(Inputs, Outputs), String> {
    let mut outputs = Outputs::new();
    let mut writers = [None, None];
    let streams = [
        (ERROR, "error", true),
        (STDIN, "stdin", wanted.stdin),
        (STDOUT, "stdout", wanted.stdout),
        (STDERR, "stderr", wanted.stderr && !wanted.tty),
        (RESIZE, "resize", wanted.tty),
    ];
    for (channel, kind, _) in streams.into_iter().filter(|(_, _, wanted)| *wanted) {
        let (reader, writer) = connection.open(&[("streamtype", kind)]).await.map_err(|e| format!("error creating {kind} stream: {e}"))?;
        match channel {
            STDIN => writers[0] = Some(writer),
            RESIZE => writers[1] = Some(writer),
            _ => outputs.push(parts(channel, reader)),
        }
    }
    let [stdin, resize] = writers;
    Ok((Inputs { stdin, resize }, outputs))
}

fn parts(channel: u8, reader: StreamReader) -> BoxStream<'static, (u8, Bytes)> {
    futures::stream::unfold(reader, move |mut reader| async move { reader.next().await.map(|part| ((channel, part), reader)) }).boxed()
}

async fn run(connection: &Connection, wanted: Wanted, to_client: &mut SplitSink<Socket, Message>, from_client: &mut SplitStream<Socket>) -> Outcome {
    let (inputs, outputs) = open(connection, wanted).await?;
    tokio::select! {
        status = tell(outputs, to_client) => {
            let status = status?;
            match connection.fault() {
                Some(fault) if status.is_empty() => Err(format!("error reading from error stream: {fault}")),
                _ => decode(&status),
            }
        }
        () = take(from_client, &inputs) => Err("the client has gone".into()),
    }
}

/// What the client sends, until it goes. A client that only listens sends nothing.
async fn take(from_client: &mut SplitStream<Socket>, inputs: &Inputs) {
    while let Some(Ok(message)) = from_client.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            // Upstream takes either; the Python client sends what was given as text so.
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => return,
            _ => continue,
        };
        let Some((channel, rest)) = bytes.split_first() else { continue };
        // The process may read no more; its end is told by the other side.
        let _ = match (*channel, rest.first(), &inputs.stdin, &inputs.resize) {
            (STDIN, _, Some(stdin), _) => stdin.write(rest).await,
            (RESIZE, _, _, Some(resize)) => resize.write(rest).await,
            (CLOSE, Some(&STDIN), Some(stdin), _) => stdin.end().await,
            (CLOSE, Some(&RESIZE), _, Some(resize)) => resize.end().await,
            _ => Ok(()),
        };
    }
}

/// Tells what the container says, until all of it is told; its Status is left.
async fn tell(mut outputs: Outputs, to_client: &mut SplitSink<Socket, Message>) -> Result<BytesMut, String> {
    let mut status = BytesMut::new();
    while let Some((channel, part)) = outputs.next().await {
        if channel != ERROR {
            send(to_client, channel, &part).await?;
            continue;
        }
        if status.len() + part.len() > MAX_STATUS {
            return Err("error stream protocol error: the status is too long".into());
        }
        status.extend_from_slice(&part);
    }
    Ok(status)
}

/// Upstream: client-go `tools/remotecommand/v4.go` and the translator's `codeExitToStatusError`.
fn decode(status: &[u8]) -> Outcome {
    if status.is_empty() {
        return Ok(json!({"metadata": {}, "status": "Success"}));
    }
    let status: Value = serde_json::from_slice(status).map_err(|e| format!("error stream protocol error: {e} in {:?}", String::from_utf8_lossy(status)))?;
    if status["status"] == "Success" {
        return Ok(json!({"metadata": {}, "status": "Success"}));
    }
    if status["reason"] != "NonZeroExitCode" {
        return Err(status["message"].as_str().unwrap_or("error stream protocol error: unknown error").to_owned());
    }
    let code = status["details"]["causes"].as_array().into_iter().flatten().find(|c| c["reason"] == "ExitCode").and_then(|c| c["message"].as_str());
    let code = code.ok_or("error stream protocol error: no ExitCode cause given")?;
    Ok(json!({
        "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
        "message": format!("command terminated with non-zero exit code: command terminated with exit code {code}"),
        "details": {"causes": [{"reason": "ExitCode", "message": code}]},
    }))
}

/// The end as it should be: clients take any other code for a failure.
fn goodbye() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() }))
}

/// Tells the Status, says goodbye, and lets the client read to the end.
async fn finish(outcome: Outcome, mut to_client: SplitSink<Socket, Message>, mut from_client: SplitStream<Socket>) {
    let status = outcome.unwrap_or_else(|why| {
        let mut status = ApiError::internal(why).to_status();
        if let Some(map) = status.as_object_mut() {
            map.retain(|key, _| !matches!(key.as_str(), "kind" | "apiVersion"));
        }
        status
    });
    let farewell = async {
        if send(&mut to_client, ERROR, status.to_string().as_bytes()).await.is_ok() {
            let _ = to_client.send(goodbye()).await;
            while let Some(Ok(_)) = from_client.next().await {}
        }
    };
    let _ = tokio::time::timeout(FINISH, farewell).await;
}

/// Forwarded ports: the bytes of a SPDY connection in messages.
pub async fn tunnel(call: Call, mut request: Request<Incoming>, target: Target) -> Result<Response<Body>, ApiError> {
    let response = websocket::accept(&call.headers, Some(TUNNEL))?;
    // Upstream: the backend is asked before the client is answered.
    let backend = connect(&call, &target, PORTS).await.map_err(ApiError::internal)?;
    let client = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Some(socket) = socket(client).await else { return };
        let (mut to_client, mut from_client) = socket.split();
        let (mut reader, mut writer) = tokio::io::split(backend);
        let up = async {
            while let Some(Ok(message)) = from_client.next().await {
                match message {
                    Message::Binary(bytes) if writer.write_all(&bytes).await.is_ok() => {}
                    Message::Binary(_) | Message::Close(_) => return,
                    _ => {}
                }
            }
        };
        let down = async {
            let mut part = vec![0; 32 << 10];
            while let Ok(count) = reader.read(&mut part).await {
                if count == 0 || to_client.send(Message::Binary(Bytes::copy_from_slice(&part[..count]))).await.is_err() {
                    break;
                }
            }
            let _ = to_client.send(goodbye()).await;
        };
        tokio::select! {
            () = up => {}
            () = down => {}
        }
    });
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_told_in_upstreams_words() {
        assert_eq!(decode(b"").unwrap()["status"], "Success");
        let ended = json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated with non-zero exit code: exit 7", "details": {"causes": [{"reason": "ExitCode", "message": "7"}]}});
        let told = decode(ended.to_string().as_bytes()).unwrap();
        assert_eq!((&told["message"], &told["details"]["causes"][0]["message"]), (&json!("command terminated with non-zero exit code: command terminated with exit code 7"), &json!("7")));
        let failed = json!({"status": "Failure", "reason": "InternalError", "message": "no such file"});
        assert_eq!(decode(failed.to_string().as_bytes()), Err("no such file".into()));
        assert!(decode(b"{").unwrap_err().starts_with("error stream protocol error: "));
    }

    #[tokio::test]
    async fn wanted_streams_are_opened_in_order() {
        let (ours, mut server) = tokio::io::duplex(1 << 16);
        let (from, to) = tokio::io::split(ours);
        let connection = Connection::new(from, to, None);
        let (inputs, outputs) = open(&connection, Wanted { stdin: true, stdout: true, stderr: true, tty: true }).await.unwrap();
        assert!(inputs.stdin.is_some() && inputs.resize.is_some());
        assert_eq!(outputs.len(), 2, "a terminal has no stream of errors");
        drop((inputs, outputs, connection));
        let mut told = Vec::new();
        server.read_to_end(&mut told).await.unwrap();
        let told = String::from_utf8_lossy(&told);
        let at: Vec<_> = ["error", "stdin", "stdout", "resize"].map(|kind| told.find(kind)).into();
        assert!(at.is_sorted() && at.iter().all(Option::is_some) && !told.contains("stderr"), "{at:?}");
    }
}
