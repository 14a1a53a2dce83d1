//! Upgraded connections: WebSockets where servers take them, SPDY/3.1 where they refuse.
//!
//! Keeps true: SPDY is tried only where the WebSocket's upgrade itself was refused, whatever the answer; a server out of reach stays so.
// Upstream: client-go transport/websocket/roundtripper.go, tools/remotecommand/fallback.go, tools/portforward/{fallback_dialer,tunneling_dialer}.go;
// apimachinery pkg/util/httpstream/spdy/roundtripper.go; kubectl pkg/cmd/util/helpers.go (FeatureGate).

use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use kube::client::Body;
use spdy::channels::{PORTS, TUNNEL, V4, V5};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use crate::client::Api;
use crate::failure::{Failure, Outcome, fail};

pub type Socket = WebSocketStream<TokioIo<Upgraded>>;

const VERSION: &str = "x-stream-protocol-version";
/// The longest refusal that is shown.
const MAX_REFUSAL: usize = 64 << 10;
const PINGS: Duration = Duration::from_secs(5);
const TUNNEL_PINGS: Duration = Duration::from_secs(10);

/// A container's streams, as the server speaks them.
pub enum Session {
    WebSocket(Box<Socket>),
    Spdy(spdy::Connection),
}

/// Why there is no WebSocket.
enum Refused {
    /// The server answered, but with no upgrade.
    Upgrade(Failure),
    Other(Failure),
}

/// Connects to a process of a container.
pub async fn session(api: &Api, path: &str) -> Outcome<Session> {
    if !is_disabled("KUBECTL_REMOTE_COMMAND_WEBSOCKETS") {
        match websocket(api, path, V5).await {
            Ok(socket) => return Ok(Session::WebSocket(Box::new(socket))),
            Err(refused) => falls_back(api, ("fallback.go:56", "\"RemoteCommand fallback\""), refused)?,
        }
    }
    by_spdy(api, path, &[V5, V4]).await.map(Session::Spdy)
}

/// Connects to the ports of a pod.
pub async fn ports(api: &Api, path: &str) -> Outcome<spdy::Connection> {
    if !is_disabled("KUBECTL_PORT_FORWARD_WEBSOCKETS") {
        match websocket(api, path, TUNNEL).await {
            Ok(socket) => return Ok(tunnel(socket)),
            Err(refused) => falls_back(api, ("fallback_dialer.go:86", "\"fallback to secondary dialer from primary dialer\""), refused)?,
        }
    }
    by_spdy(api, path, &[PORTS]).await
}

/// Whether SPDY may be tried; `-v=4` tells why.
fn falls_back(api: &Api, (place, what): (&str, &str), refused: Refused) -> Outcome {
    let why = match refused {
        Refused::Upgrade(why) => why,
        Refused::Other(failure) => return Err(failure),
    };
    if api.tells(4) {
        crate::call::log('I', place, &format!("{what} err=\"unable to upgrade streaming request: {}\"", why.message().escape_default()));
    }
    Ok(())
}

fn is_disabled(variable: &str) -> bool {
    std::env::var(variable).is_ok_and(|value| value.eq_ignore_ascii_case("false"))
}

fn build(builder: http::request::Builder) -> Outcome<Request<Vec<u8>>> {
    builder.body(Vec::new()).map_err(|e| Failure::Text(e.to_string()))
}

fn says(response: &Response<Body>, name: header::HeaderName, wanted: &str) -> bool {
    response.headers().get(name).and_then(|v| v.to_str().ok()).is_some_and(|v| v.to_lowercase().contains(wanted))
}

async fn websocket(api: &Api, path: &str, protocol: &str) -> Result<Socket, Refused> {
    let request = Request::builder().method(Method::GET).uri(path).header(header::CONNECTION, "Upgrade").header(header::UPGRADE, "websocket");
    let request = request.header(header::SEC_WEBSOCKET_VERSION, "13").header(header::SEC_WEBSOCKET_KEY, generate_key()).header(header::SEC_WEBSOCKET_PROTOCOL, protocol);
    let response = api.send_any(build(request).map_err(Refused::Other)?).await.map_err(Refused::Other)?;
    if response.status().as_u16() != 101 || !says(&response, header::UPGRADE, "websocket") {
        let bare = format!("websocket: bad handshake ({})", response.status());
        return Err(Refused::Upgrade(refusal(response, &bare).await));
    }
    if !says(&response, header::SEC_WEBSOCKET_PROTOCOL, &protocol.to_lowercase()) {
        return Err(Refused::Upgrade(Failure::Text(format!("invalid protocol, expected one of [{protocol:?}]"))));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(|e| Refused::Other(Failure::Text(e.to_string())))?;
    Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
}

async fn by_spdy(api: &Api, path: &str, protocols: &[&'static str]) -> Outcome<spdy::Connection> {
    let request = Request::builder().method(Method::POST).uri(path).header(header::CONNECTION, "Upgrade").header(header::UPGRADE, "SPDY/3.1");
    let request = protocols.iter().fold(request.header(header::CONTENT_LENGTH, "0"), |request, protocol| request.header(VERSION, *protocol));
    let response = api.send_any(build(request)?).await?;
    if response.status().as_u16() != 101 || !says(&response, header::CONNECTION, "upgrade") || !says(&response, header::UPGRADE, "spdy/3.1") {
        // Upstream: the words alone, without the Status.
        return Err(match refusal(response, "unable to upgrade connection").await {
            status @ Failure::Status(_) => Failure::Text(format!("unable to upgrade connection: {}", status.message())),
            other => other,
        });
    }
    let chosen = response.headers().get(VERSION).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    if !protocols.contains(&chosen.as_str()) {
        return fail(format!("unable to negotiate protocol: client supports {:?}, server returned {chosen:?}", protocols[0]));
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(|e| Failure::Text(e.to_string()))?;
    let (from, to) = tokio::io::split(TokioIo::new(upgraded));
    Ok(spdy::Connection::new(from, to, Some(PINGS)))
}

/// The server's Status, or the text that it gave instead.
async fn refusal(response: Response<Body>, bare: &str) -> Failure {
    let body = Limited::new(response.into_body(), MAX_REFUSAL).collect().await.map(|b| b.to_bytes()).unwrap_or_default();
    match serde_json::from_slice::<serde_json::Value>(&body) {
        Ok(status) if status["kind"] == "Status" => Failure::Status(Box::new(status)),
        _ => Failure::Text(format!("{bare}: {}", String::from_utf8_lossy(&body).trim())),
    }
}

/// SPDY in the messages of a WebSocket.
fn tunnel(socket: Socket) -> spdy::Connection {
    let (sink, messages) = socket.split();
    let parts = messages.take_while(|m| std::future::ready(!matches!(m, Ok(Message::Close(_))))).filter_map(|message| {
        std::future::ready(match message {
            Ok(Message::Binary(bytes)) => Some(Ok(bytes)),
            Ok(_) => None,
            Err(e) => Some(Err(io::Error::other(e))),
        })
    });
    let sink = sink.sink_map_err(io::Error::other).with(|bytes: Bytes| std::future::ready(Ok::<_, io::Error>(Message::Binary(bytes))));
    spdy::Connection::new(StreamReader::new(Box::pin(parts)), SinkWriter::new(CopyToBytes::new(Box::pin(sink))), Some(TUNNEL_PINGS))
}
