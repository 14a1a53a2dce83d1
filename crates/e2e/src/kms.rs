//! A KMS plugin of a test's own: gRPC by hand over a unix socket. Its secrets are bytes, which also name its keys.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};

use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message as _;

/// Ciphertext or plaintext; the further fields as `k8s.io/kms/apis/v2` numbers them in requests to decrypt.
#[derive(Clone, PartialEq, prost::Message)]
struct Decrypt {
    #[prost(bytes = "vec", tag = "1")]
    ciphertext: Vec<u8>,
    #[prost(string, tag = "3")]
    key_id: String,
    #[prost(map = "string, bytes", tag = "4")]
    annotations: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Encrypted {
    #[prost(bytes = "vec", tag = "1")]
    ciphertext: Vec<u8>,
    #[prost(string, tag = "2")]
    key_id: String,
    #[prost(map = "string, bytes", tag = "3")]
    annotations: HashMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(string, tag = "1")]
    version: String,
    #[prost(string, tag = "2")]
    healthz: String,
    #[prost(string, tag = "3")]
    key_id: String,
}

/// Serves until it is dropped.
pub struct KmsPlugin {
    /// Calls in the order they came.
    pub asked: Receiver<String>,
    _runtime: tokio::runtime::Runtime,
}

impl KmsPlugin {
    /// The last of the secrets encrypts.
    pub fn start(socket: &Path, secrets: &'static [u8]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let _entered = runtime.enter();
        let _ = std::fs::remove_file(socket);
        let listener = tokio::net::UnixListener::bind(socket).expect("a socket");
        let (told, asked) = channel();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let told = told.clone();
                let service = service_fn(move |request| answer(request, secrets, told.clone()));
                tokio::spawn(hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service));
            }
        });
        drop(_entered);
        Self { asked, _runtime: runtime }
    }
}

type Body = StreamBody<futures::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

async fn answer(request: Request<Incoming>, secrets: &[u8], told: Sender<String>) -> Result<Response<Body>, hyper::Error> {
    let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let bytes = request.into_body().collect().await?.to_bytes();
    let message = bytes.get(5..).unwrap_or_default();
    let _ = told.send(method.clone());
    let secret = secrets.last().copied().expect("a secret");
    let (message, status) = match method.as_str() {
        "Status" => (Status { version: "v2".into(), healthz: "ok".into(), key_id: secret.to_string() }.encode_to_vec(), "0"),
        "Encrypt" => {
            let plain = Decrypt::decode(message).unwrap_or_default().ciphertext;
            let annotations = [("local.example".to_owned(), b"kept".to_vec())].into();
            (Encrypted { ciphertext: turned(&plain, secret), key_id: secret.to_string(), annotations }.encode_to_vec(), "0")
        }
        _ => {
            let asked = Decrypt::decode(message).unwrap_or_default();
            let secret = secrets.iter().find(|s| s.to_string() == asked.key_id).copied();
            let is_whole = secret.is_some() && asked.annotations.get("local.example").is_some_and(|v| v == b"kept");
            (Decrypt { ciphertext: turned(&asked.ciphertext, secret.unwrap_or_default()), ..Decrypt::default() }.encode_to_vec(), if is_whole { "0" } else { "3" })
        }
    };
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).expect("small").to_be_bytes());
    framed.extend_from_slice(&message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().expect("a number"));
    let frames = vec![Ok(Frame::data(Bytes::from(framed))), Ok(Frame::trailers(trailers))];
    let response = Response::builder().header("content-type", "application/grpc").body(StreamBody::new(futures::stream::iter(frames)));
    Ok(response.expect("a response"))
}

fn turned(bytes: &[u8], secret: u8) -> Vec<u8> {
    bytes.iter().map(|b| b ^ secret).collect()
}
