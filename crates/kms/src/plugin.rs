//! One plugin: a thread with its connection, calls handed over and waited for.
//!
//! Upstream: apiserver `pkg/storage/value/encrypt/envelope/kmsv2`.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_prost::ProstCodec;

use crate::messages::{DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse};

/// The service's name on the wire.
pub const SERVICE: &str = "v2.KeyManagementService";
/// Upstream: an encrypted key, and the name of the key that did it, are no longer than this.
const MAX_KEY: usize = 1 << 10;
/// Upstream: all annotations together.
const MAX_ANNOTATIONS: usize = 32 << 10;

/// Why a plugin did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("KMS plugin {name:?} at {socket}: {why}", socket = .socket.display())]
    Failed { name: String, socket: PathBuf, why: String },
    #[error("KMS plugin {0:?}: its thread did not start: {1}")]
    Thread(String, std::io::Error),
}

enum Job {
    Status(SyncSender<Result<StatusResponse, String>>),
    Encrypt(EncryptRequest, SyncSender<Result<EncryptResponse, String>>),
    Decrypt(DecryptRequest, SyncSender<Result<DecryptResponse, String>>),
}

/// A plugin at a socket.
pub struct Plugin {
    name: String,
    socket: PathBuf,
    jobs: mpsc::UnboundedSender<Job>,
}

impl Plugin {
    /// Does not connect yet; each call is given `limit`.
    pub fn new(name: &str, socket: &Path, limit: Duration) -> Result<Self, Error> {
        let (jobs, work) = mpsc::unbounded_channel();
        let at = socket.to_owned();
        let run = move || {
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                runtime.block_on(serve(at, limit, work));
            }
        };
        std::thread::Builder::new().name("kms".into()).spawn(run).map_err(|e| Error::Thread(name.to_owned(), e))?;
        Ok(Self { name: name.to_owned(), socket: socket.to_owned(), jobs })
    }

    /// Asks how it is; upstream's demands on the answer hold.
    pub fn status(&self) -> Result<StatusResponse, Error> {
        let status = self.ask(Job::Status)?;
        if !matches!(status.version.as_str(), "v2" | "v2beta1") {
            return Err(self.failed(format!("expected KMSv2 API version v2, got {}", status.version)));
        }
        if status.healthz != "ok" {
            return Err(self.failed(format!("expected KMSv2 healthz status ok, got {}", status.healthz)));
        }
        check_key_id(&status.key_id).map_err(|why| self.failed(why))?;
        Ok(status)
    }

    /// Encrypts a key.
    pub fn encrypt(&self, plaintext: &[u8]) -> Result<EncryptResponse, Error> {
        let request = EncryptRequest { plaintext: plaintext.to_vec(), uid: uuid::Uuid::new_v4().to_string() };
        let answer = self.ask(|reply| Job::Encrypt(request, reply))?;
        check(&answer).map_err(|why| self.failed(why))?;
        Ok(answer)
    }

    /// Decrypts a key.
    pub fn decrypt(&self, encrypted: EncryptResponse) -> Result<Vec<u8>, Error> {
        let EncryptResponse { ciphertext, key_id, annotations } = encrypted;
        let request = DecryptRequest { ciphertext, uid: uuid::Uuid::new_v4().to_string(), key_id, annotations };
        Ok(self.ask(|reply| Job::Decrypt(request, reply))?.plaintext)
    }

    fn ask<T>(&self, job: impl FnOnce(SyncSender<Result<T, String>>) -> Job) -> Result<T, Error> {
        let (reply, answer) = sync_channel(1);
        let gone = || self.failed("its thread has ended".to_owned());
        self.jobs.send(job(reply)).map_err(|_| gone())?;
        // The thread keeps the time.
        answer.recv().map_err(|_| gone())?.map_err(|why| self.failed(why))
    }

    fn failed(&self, why: String) -> Error {
        Error::Failed { name: self.name.clone(), socket: self.socket.clone(), why }
    }
}

fn check_key_id(id: &str) -> Result<(), String> {
    match id.len() {
        0 => Err("keyID is empty".into()),
        size if size > MAX_KEY => Err(format!("keyID is {size} bytes, which exceeds the max size of {MAX_KEY}")),
        _ => Ok(()),
    }
}

fn check(answer: &EncryptResponse) -> Result<(), String> {
    check_key_id(&answer.key_id)?;
    match answer.ciphertext.len() {
        0 => return Err("encrypted DEK source is empty".into()),
        size if size > MAX_KEY => return Err(format!("encrypted DEK source is {size} bytes, which exceeds the max size of {MAX_KEY}")),
        _ => {}
    }
    let size: usize = answer.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    if size > MAX_ANNOTATIONS {
        return Err(format!("total size of annotations is {size}, which exceeds the max size of {MAX_ANNOTATIONS}"));
    }
    let fits = |key: &str| key.contains('.') && key.len() <= 253 && key.split('.').all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    match answer.annotations.keys().find(|key| !fits(key)) {
        Some(key) => Err(format!("annotation key {key:?} should be a domain with at least two segments separated by dots")),
        None => Ok(()),
    }
}

async fn serve(socket: PathBuf, limit: Duration, mut work: mpsc::UnboundedReceiver<Job>) {
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { tokio::net::UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://kms.invalid").connect_with_connector_lazy(connector);
    while let Some(job) = work.recv().await {
        let channel = channel.clone();
        tokio::spawn(async move {
            match job {
                Job::Status(reply) => drop(reply.send(call(channel, "/v2.KeyManagementService/Status", StatusRequest {}, limit).await)),
                Job::Encrypt(request, reply) => drop(reply.send(call(channel, "/v2.KeyManagementService/Encrypt", request, limit).await)),
                Job::Decrypt(request, reply) => drop(reply.send(call(channel, "/v2.KeyManagementService/Decrypt", request, limit).await)),
            }
        });
    }
}

async fn call<Req, Res>(channel: Channel, path: &'static str, request: Req, limit: Duration) -> Result<Res, String>
where
    Req: prost::Message + Send + Sync + 'static,
    Res: prost::Message + Default + Send + Sync + 'static,
{
    let exchange = async {
        let mut grpc = Grpc::new(channel);
        grpc.ready().await.map_err(|e| innermost(&e))?;
        let answer = grpc.unary(tonic::Request::new(request), http::uri::PathAndQuery::from_static(path), ProstCodec::default()).await;
        answer.map(tonic::Response::into_inner).map_err(|status| if status.message().is_empty() { innermost(&status) } else { status.message().to_owned() })
    };
    tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| Err(format!("it did not answer within {limit:?}")))
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        text = format!("{text}: {inner}");
        next = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_checked() {
        let good = EncryptResponse { ciphertext: vec![1], key_id: "k".into(), annotations: [("a.example".to_owned(), vec![1])].into() };
        assert_eq!(check(&good), Ok(()));
        for wrong in [
            EncryptResponse { ciphertext: vec![], ..good.clone() },
            EncryptResponse { ciphertext: vec![0; MAX_KEY + 1], ..good.clone() },
            EncryptResponse { key_id: String::new(), ..good.clone() },
            EncryptResponse { key_id: "k".repeat(MAX_KEY + 1), ..good.clone() },
            EncryptResponse { annotations: [("plain".to_owned(), vec![])].into(), ..good.clone() },
            EncryptResponse { annotations: [("a.example".to_owned(), vec![0; MAX_ANNOTATIONS])].into(), ..good },
        ] {
            assert!(check(&wrong).is_err());
        }
    }

    #[test]
    fn who_does_not_answer_is_told_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("kms.sock");
        let plugin = Plugin::new("a", &socket, Duration::from_millis(300)).unwrap();
        let absent = plugin.status().unwrap_err().to_string();
        assert!(absent.contains("KMS plugin \"a\" at ") && absent.contains("No such file"), "{absent}");
        let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let silent = plugin.encrypt(b"key").unwrap_err().to_string();
        assert!(silent.contains("did not answer within"), "{silent}");
    }
}
