//! WebSocket clients of the newer protocols, for runtimes that speak SPDY: `v5.channel.k8s.io`, where a client can end a
//! container's input, and SPDY within a WebSocket for forwarded ports.
//!
//! Upstream: apiserver `pkg/util/proxy/streamtranslator.go`, `streamtunnel.go`, `websocket.go`.

use std::time::Duration;

use api::ApiError;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use spdy::{Opener, Reader, Said, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::Mutex;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::Call;
use crate::handler::{BodyError, Incoming};
use crate::respond::{self, Body};

pub const V5: &str = "v5.channel.k8s.io";
pub const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
/// Channels of the WebSocket protocol.
const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
const RESIZE: u8 = 4;
/// The client writes no more to the channel that follows.
const CLOSE: u8 = 255;
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

/// Answers the upgrade; what follows goes on beside.
fn accepted(call: &Call, protocol: &'static str) -> Result<Response<Body>, ApiError> {
    let key = call.headers.get("sec-websocket-key").ok_or_else(|| ApiError::bad_request("a WebSocket request needs Sec-WebSocket-Key"))?;
    let mut response = Response::new(respond::full(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert("sec-websocket-protocol", HeaderValue::from_static(protocol));
    if let Ok(accept) = derive_accept_key(key.as_bytes()).parse() {
        headers.insert("sec-websocket-accept", accept);
    }
    Ok(response)
}

async fn socket(client: hyper::upgrade::OnUpgrade) -> Option<Socket> {
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
    Some(WebSocketStream::from_raw_socket(TokioIo::new(client.await.ok()?), Role::Server, Some(config)).await)
}

/// Exec and attach.
pub fn streams(call: Call, mut request: Request<Incoming>, target: Target, wanted: Wanted) -> Result<Response<Body>, ApiError> {
    let response = accepted(&call, V5)?;
    let client = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Some(socket) = socket(client).await else { return };
        let (mut to_client, mut from_client) = socket.split();
        // Upstream: an empty message tells that the connection stands.
        let lowest = if wanted.stdout { STDOUT } else if wanted.stderr { STDERR } else { ERROR };
        if send(&mut to_client, lowest, &[]).await.is_err() {
            return;
        }
        let outcome = match connect(&call, &target, "v4.channel.k8s.io").await {
            Ok(backend) => run(backend, wanted, &mut to_client, &mut from_client).await,
            Err(why) => Err(why),
        };
        finish(outcome, to_client, from_client).await;
    });
    Ok(response)
}

async fn send(to: &mut SplitSink<Socket, Message>, channel: u8, bytes: &[u8]) -> Result<(), String> {
    let mut message = BytesMut::with_capacity(1 + bytes.len());
    message.put_u8(channel);
    message.put_slice(bytes);
    to.send(Message::Binary(message.freeze())).await.map_err(|e| e.to_string())
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

/// The streams of one connection, by their numbers there.
#[derive(Default)]
struct Streams {
    error: Stream,
    stdin: Option<Stream>,
    stdout: Option<Stream>,
    stderr: Option<Stream>,
    resize: Option<Stream>,
}

impl Streams {
    /// Opens all that are wanted, in upstream's order.
    fn open(wanted: Wanted) -> (Self, BytesMut) {
        let (mut opener, mut frames, mut streams) = (Opener::default(), BytesMut::new(), Self::default());
        let mut open = |kind: &str, frames: &mut BytesMut| {
            let (stream, frame) = opener.open(&[("streamtype", kind)]);
            frames.extend_from_slice(&frame);
            stream
        };
        streams.error = open("error", &mut frames);
        streams.stdin = wanted.stdin.then(|| open("stdin", &mut frames));
        streams.stdout = wanted.stdout.then(|| open("stdout", &mut frames));
        streams.stderr = (wanted.stderr && !wanted.tty).then(|| open("stderr", &mut frames));
        streams.resize = wanted.tty.then(|| open("resize", &mut frames));
        (streams, frames)
    }
}

async fn run(backend: Backend, wanted: Wanted, to_client: &mut SplitSink<Socket, Message>, from_client: &mut SplitStream<Socket>) -> Outcome {
    let (reader, mut writer) = tokio::io::split(backend);
    let (streams, frames) = Streams::open(wanted);
    writer.write_all(&frames).await.map_err(|e| e.to_string())?;
    let writer = Mutex::new(writer);
    tokio::select! {
        outcome = outputs(Reader::new(reader), &streams, &writer, to_client) => outcome,
        () = inputs(from_client, &streams, &writer) => Err("the client has gone".into()),
    }
}

/// What the client sends, until it goes. A client that only listens sends nothing.
async fn inputs(from_client: &mut SplitStream<Socket>, streams: &Streams, writer: &Mutex<WriteHalf<Backend>>) {
    while let Some(Ok(message)) = from_client.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            // Upstream takes either; the Python client sends what was given as text so.
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => return,
            _ => continue,
        };
        let Some((channel, rest)) = bytes.split_first() else { continue };
        let frame = match (*channel, rest.first()) {
            (STDIN, Some(_)) => streams.stdin.map(|stream| spdy::data(stream, rest, false)),
            (RESIZE, Some(_)) => streams.resize.map(|stream| spdy::data(stream, rest, false)),
            (CLOSE, Some(&STDIN)) => streams.stdin.map(|stream| spdy::data(stream, &[], true)),
            (CLOSE, Some(&RESIZE)) => streams.resize.map(|stream| spdy::data(stream, &[], true)),
            _ => None,
        };
        if let Some(frame) = frame {
            // The process may read no more; its end is told by the other side.
            let _ = writer.lock().await.write_all(&frame).await;
        }
    }
}

/// What the container says, until all of it is told and its Status is known.
async fn outputs(mut reader: Reader<ReadHalf<Backend>>, streams: &Streams, writer: &Mutex<WriteHalf<Backend>>, to_client: &mut SplitSink<Socket, Message>) -> Outcome {
    let mut status = BytesMut::new();
    let mut open: Vec<Stream> = [Some(streams.error), streams.stdout, streams.stderr].into_iter().flatten().collect();
    while !open.is_empty() {
        let said = reader.next().await.map_err(|e| format!("error reading from error stream: {e}"))?;
        match said {
            Some(Said::Data(stream, bytes)) if Some(stream) == streams.stdout => send(to_client, STDOUT, &bytes).await?,
            Some(Said::Data(stream, bytes)) if Some(stream) == streams.stderr => send(to_client, STDERR, &bytes).await?,
            Some(Said::Data(stream, bytes)) if stream == streams.error => {
                if status.len() + bytes.len() > MAX_STATUS {
                    return Err("error stream protocol error: the status is too long".into());
                }
                status.extend_from_slice(&bytes);
            }
            Some(Said::End(stream) | Said::Reset(stream)) => open.retain(|s| *s != stream),
            Some(Said::Ping(answer)) => drop(writer.lock().await.write_all(&answer).await),
            Some(Said::Data(..)) => {}
            Some(Said::Away) | None => break,
        }
    }
    decode(&status)
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
    let response = accepted(&call, TUNNEL)?;
    // Upstream: the backend is asked before the client is answered.
    let backend = connect(&call, &target, "portforward.k8s.io").await.map_err(ApiError::internal)?;
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

    #[test]
    fn wanted_streams_are_opened() {
        let (streams, _) = Streams::open(Wanted { stdin: true, stdout: true, stderr: true, tty: true });
        assert_eq!((streams.error, streams.stdin, streams.stdout, streams.stderr, streams.resize), (1, Some(3), Some(5), None, Some(7)));
        let (streams, _) = Streams::open(Wanted { stdout: true, stderr: true, ..Wanted::default() });
        assert_eq!((streams.stdin, streams.stdout, streams.stderr, streams.resize), (None, Some(3), Some(5), None));
    }
}
