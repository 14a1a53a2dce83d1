//! The etcd driver: etcd decides and keeps, this store mirrors it whole and serves reads from memory.
//!
//! Several servers may work on one etcd. A write is a transaction on the key's revision; it is answered once the mirror
//! has it. The mirror follows one watch over all keys, so it knows every revision there is: a read is fresh when the
//! mirror has reached the revision that etcd named after the read began. Values are JSON as upstream could read them;
//! the revision, which etcd alone knows, is put in when a value comes back.

mod keys;
mod mirror;
mod wire;
mod write;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tonic::Status;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::record::Stamped;
use crate::seal::SealOptions;
use crate::state::Shared;
pub use keys::Layout;
pub(crate) use write::EtcdWriter;

/// How long etcd may take to answer before a request fails.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a start waits for etcd.
const START_PATIENCE: Duration = Duration::from_secs(20);
const START_PAUSE: Duration = Duration::from_millis(200);
/// etcd ends connections that ping more often than every five seconds.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_PATIENCE: Duration = Duration::from_secs(5);
/// Reads that wait for one proof of freshness at once.
const FRESH_QUEUE: usize = 4096;

/// Certificates for a TLS connection to etcd, in PEM.
#[derive(Clone, Debug)]
pub struct EtcdTls {
    pub ca: Vec<u8>,
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
}

/// Turns what lies in etcd into the bytes that readers get, with the place of the revision; none for what it cannot read.
pub type ReadValue = fn(Bytes) -> Option<Stamped>;

/// How etcd is reached and what lies there.
#[derive(Clone)]
pub struct EtcdOptions {
    /// `https://host:2379`, one or more.
    pub endpoints: Vec<String>,
    pub tls: Option<EtcdTls>,
    pub layout: Layout,
    pub read: ReadValue,
    pub history_bytes: usize,
    pub seal: Option<SealOptions>,
}

/// Why a store over etcd did not come up.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    #[error("etcd endpoint {endpoint:?}: {why}")]
    Endpoint { endpoint: String, why: String },
    #[error("etcd at {endpoints}: {why}; check that it runs, that the certificates fit, and --etcd-servers")]
    Unreachable { endpoints: String, why: String },
    #[error("encryption keys: {0}")]
    Keys(std::io::Error),
}

/// What all parts of the driver share.
pub(crate) struct Remote {
    channel: Channel,
    options: EtcdOptions,
}

fn connect(options: &EtcdOptions) -> Result<Channel, EtcdError> {
    let endpoint = |text: &String| {
        let named = |why: &dyn std::fmt::Display| EtcdError::Endpoint { endpoint: text.clone(), why: why.to_string() };
        let mut endpoint = Endpoint::from_shared(text.clone()).map_err(|e| named(&e))?;
        if let Some(tls) = &options.tls {
            let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&tls.ca)).identity(Identity::from_pem(&tls.certificate, &tls.key));
            endpoint = endpoint.tls_config(config).map_err(|e| named(&e))?;
        }
        Ok(endpoint.connect_timeout(PATIENCE).http2_keep_alive_interval(PING_EVERY).keep_alive_timeout(PING_PATIENCE).keep_alive_while_idle(true).tcp_nodelay(true))
    };
    let endpoints: Vec<Endpoint> = options.endpoints.iter().map(endpoint).collect::<Result<_, EtcdError>>()?;
    Ok(Channel::balance_list(endpoints.into_iter()))
}

/// Connects, mirrors what is there, and follows.
pub(crate) async fn open(options: EtcdOptions) -> Result<(Arc<Shared>, EtcdWriter), EtcdError> {
    let remote = Arc::new(Remote { channel: connect(&options)?, options });
    let sealer = remote.options.seal.clone().map(crate::seal::Sealer::new).transpose().map_err(EtcdError::Keys)?.map(Arc::new);
    let everything = load_at_last(&remote).await.map_err(|status| EtcdError::Unreachable { endpoints: remote.options.endpoints.join(", "), why: told(&status) })?;
    let shared = Arc::new(Shared::new(everything.revision, remote.options.history_bytes, sealer));
    let state = mirror::state_of(&remote, &shared, everything);
    shared.publish(state, Vec::new());
    let following = tokio::spawn(mirror::follow(remote.clone(), shared.clone()));
    let (asks, waiting) = mpsc::channel(FRESH_QUEUE);
    let proving = tokio::spawn(prove(remote.clone(), waiting));
    Ok((shared.clone(), EtcdWriter::new(remote, shared, asks, vec![following, proving])))
}

/// The first load; machines that start together find etcd not there yet.
async fn load_at_last(remote: &Remote) -> Result<mirror::Everything, Status> {
    let ends = tokio::time::Instant::now() + START_PATIENCE;
    loop {
        match mirror::load(remote).await {
            Err(status) if tokio::time::Instant::now() < ends => {
                tracing::info!(why = told(&status), "etcd does not answer yet");
                tokio::time::sleep(START_PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// What went wrong, in one line.
pub(crate) fn told(status: &Status) -> String {
    format!("{} ({})", status.message(), status.code())
}

type Ask = oneshot::Sender<Result<u64, Status>>;

/// Asks etcd for its revision, once for all that wait at the moment: each answer was true after its question.
async fn prove(remote: Arc<Remote>, mut waiting: mpsc::Receiver<Ask>) {
    let mut group: Vec<Ask> = Vec::new();
    while waiting.recv_many(&mut group, FRESH_QUEUE).await > 0 {
        let answer = remote.bounded(wire::range(&remote.channel, wire::RangeRequest { key: vec![0], count_only: true, ..Default::default() })).await;
        let revision = answer.map(|a| a.header.map_or(0, |h| h.revision as u64));
        for ask in group.drain(..) {
            let _ = ask.send(revision.clone());
        }
    }
}

impl Remote {
    async fn bounded<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        tokio::time::timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("etcdserver: request timed out")))
    }
}
