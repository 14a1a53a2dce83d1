//! Hostile and broken webhooks: each ends in an error, in time, with upstream's words.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use pki::{Authority, CertSlot, ClientAuth, Leaf};
use serde_json::json;
use store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{CallError, Hooks, Services, Target};

/// What a server does with each connection after the handshake.
#[derive(Clone, Copy)]
enum Manner {
    Answer(&'static str),
    Hang,
    Endless,
    HangUp,
}

struct Hook {
    target: Target,
    connections: Arc<AtomicUsize>,
    port: u16,
}

/// A TLS server on the loopback whose certificate names `name`.
async fn hook(manner: Manner, name: &str) -> Hook {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(folder.path(), "hook").unwrap();
    let leaf = Leaf { common_name: "hook".into(), dns_names: vec![name.into()], server: true, days: 1, ..Leaf::default() };
    let slot = CertSlot::new(&authority.issue(&leaf).unwrap()).unwrap();
    let tls = TlsAcceptor::from(pki::server_config(slot, ClientAuth::None).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = connections.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            seen.fetch_add(1, Ordering::SeqCst);
            let Ok(mut stream) = tls.accept(stream).await else { continue };
            tokio::spawn(async move {
                let mut buffer = [0u8; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                    match manner {
                        Manner::Answer(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                        Manner::Hang => std::future::pending().await,
                        Manner::HangUp => return,
                        Manner::Endless => {
                            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
                            let part = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                            while stream.write_all(part.as_bytes()).await.is_ok() {}
                            return;
                        }
                    }
                }
            });
        }
    });
    let config = json!({"url": format!("https://localhost:{port}/hook"), "caBundle": base64::prelude::BASE64_STANDARD.encode(authority.cert_pem())});
    Hook { target: Target::of(&config).unwrap(), connections, port }
}

async fn post(hook: &Hook, timeout: Duration) -> Result<Bytes, CallError> {
    Hooks::new(Services::new(&Store::in_memory())).post(&hook.target, Bytes::from_static(b"{}"), timeout).await
}

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn answers_come_back_and_connections_are_kept() {
    let hook = hook(Manner::Answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), "localhost").await;
    let hooks = Hooks::new(Services::new(&Store::in_memory()));
    for _ in 0..3 {
        let answer = hooks.post(&hook.target, Bytes::from_static(b"{}"), PATIENCE).await.unwrap();
        assert_eq!(&answer[..], b"ok");
    }
    assert_eq!(hook.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn redirects_are_told_and_not_followed() {
    let victim = hook(Manner::Answer("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret"), "localhost").await;
    let text = format!("HTTP/1.1 302 Found\r\nLocation: https://localhost:{}/\r\nContent-Length: 0\r\n\r\n", victim.port);
    let hook = hook(Manner::Answer(text.leak()), "localhost").await;
    let error = post(&hook, PATIENCE).await.unwrap_err();
    assert_eq!((error.code, error.message.as_str()), (302, "the server responded with the status code 302 but did not return more information"));
    assert_eq!(victim.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    let hook = hook(Manner::Endless, "localhost").await;
    let error = post(&hook, Duration::from_secs(60)).await.unwrap_err();
    assert!(error.message.ends_with("http: response body too large, limit is 16777216"), "{error}");
}

#[tokio::test]
async fn a_hanging_hook_ends_in_time() {
    let hook = hook(Manner::Hang, "localhost").await;
    let error = post(&hook, Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.message, format!("Post \"https://localhost:{}/hook?timeout=1s\": context deadline exceeded", hook.port));
}

#[tokio::test]
async fn faults_are_told_in_upstreams_words() {
    let gone = hook(Manner::HangUp, "localhost").await;
    assert_eq!(post(&gone, PATIENCE).await.unwrap_err().message, format!("Post \"https://localhost:{}/hook?timeout=10s\": EOF", gone.port));
    let broken = hook(Manner::Answer("HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\noops\n"), "localhost").await;
    assert_eq!(post(&broken, PATIENCE).await.unwrap_err(), CallError { code: 500, message: "an error on the server (\"oops\") has prevented the request from succeeding".into() });
    let other = hook(Manner::Hang, "other.example").await;
    assert!(post(&other, PATIENCE).await.unwrap_err().message.ends_with("tls: failed to verify certificate: x509: certificate is valid for other.example, not localhost"));
    let mut stranger = hook(Manner::Hang, "localhost").await;
    stranger.target.ca_bundle = other.target.ca_bundle.clone();
    assert!(post(&stranger, PATIENCE).await.unwrap_err().message.ends_with("tls: failed to verify certificate: x509: certificate signed by unknown authority"));
    stranger.target = Target::of(&json!({"url": "https://127.0.0.1:1/"})).unwrap();
    assert_eq!(post(&stranger, PATIENCE).await.unwrap_err().message, "Post \"https://127.0.0.1:1/?timeout=10s\": dial tcp 127.0.0.1:1: connect: connection refused");
}

#[tokio::test]
async fn a_service_without_endpoints_is_told() {
    let hooks = Hooks::new(Services::new(&Store::in_memory()));
    let target = Target::of(&json!({"service": {"namespace": "ns", "name": "hook"}})).unwrap();
    let error = hooks.post(&target, Bytes::new(), PATIENCE).await.unwrap_err();
    assert_eq!(error.message, "Post \"https://hook.ns.svc:443/?timeout=10s\": services \"hook\" not found");
}
