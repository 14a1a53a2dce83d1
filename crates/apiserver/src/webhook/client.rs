//! The client that calls: one pool of connections per target and bundle.

use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use store::Store;
use tokio::time::Instant;

use super::answer::{CallError, io_words};
use super::connect::{ConnectError, Connector};
use super::resolve::Services;
use super::target::{ServicePort, Target};
use super::trust;

/// Upstream: this many clients are kept.
const CLIENTS: usize = 200;
/// Upstream: Go's transports keep idle connections this long.
const IDLE: Duration = Duration::from_secs(90);
/// The largest answer that is read: a patch of a whole object in base64, or a list that was converted.
// Differs: upstream reads answers of any size.
const MAX_ANSWER: usize = 16 << 20;
/// Upstream: of an error's text so much is told.
const MAX_TEXT: usize = 2048;

type Pool = Client<Connector, Full<Bytes>>;
/// Where connections lead and whom they trust; paths share them.
type Key = (String, Option<ServicePort>, Vec<u8>);

/// Calls webhooks.
pub struct Hooks {
    services: Services,
    pools: Mutex<HashMap<Key, (Instant, Pool)>>,
}

impl Hooks {
    pub fn new(store: &Store) -> Self {
        Self { services: Services::new(store), pools: Mutex::default() }
    }

    /// Posts a JSON body and returns the answer's. `timeout` bounds all of it, from dialling to the last byte.
    pub async fn post(&self, target: &Target, body: Bytes, timeout: Duration) -> Result<Bytes, CallError> {
        // Upstream: told in whole seconds, rounded up.
        let url = target.url(timeout.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        let pool = self.pool(target).map_err(|why| CallError::transport(&url, why))?;
        let exchange = exchange(pool, &url, body);
        tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(CallError::transport(&url, "context deadline exceeded")))
    }

    fn pool(&self, target: &Target) -> Result<Pool, String> {
        let key = (target.authority.clone(), target.service.clone(), target.ca_bundle.clone());
        let mut pools = self.pools.lock();
        if let Some((used, pool)) = pools.get_mut(&key) {
            *used = Instant::now();
            return Ok(pool.clone());
        }
        let mut tls = trust::client_config(&target.ca_bundle)?.with_no_client_auth();
        // Upstream: HTTP/2 would send all calls to one backend.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = Connector { services: self.services.clone(), service: target.service.clone(), tls: Arc::new(tls) };
        let pool: Pool = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(connector);
        if pools.len() >= CLIENTS
            && let Some(oldest) = pools.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone())
        {
            pools.remove(&oldest);
        }
        pools.insert(key, (Instant::now(), pool.clone()));
        Ok(pool)
    }
}

async fn exchange(pool: Pool, url: &str, body: Bytes) -> Result<Bytes, CallError> {
    let request = Request::post(url).header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json, */*").header(USER_AGENT, "kube-apiserver-admission");
    let request = request.body(Full::new(body)).map_err(|e| CallError::transport(url, e))?;
    let answer = pool.request(request).await.map_err(|e| CallError::transport(url, words(&e)))?;
    let code = answer.status();
    let in_words = is_text(&answer);
    let bytes = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map(|b| b.to_bytes());
    if code.is_success() {
        return bytes.map_err(|e| CallError::transport(url, body_words(&*e)));
    }
    // A redirect is such an answer: it is told, never followed (CVE-2020-8561).
    let text = bytes.map(|b| String::from_utf8_lossy(&b[..b.len().min(MAX_TEXT)]).into_owned()).unwrap_or_default();
    Err(CallError::refused(code.as_u16(), in_words.then_some(text.as_str())))
}

fn is_text<B>(answer: &Response<B>) -> bool {
    let media = answer.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
    media.is_none_or(|m| m.starts_with("text/"))
}

/// The innermost reason that has words of its own.
pub fn words(error: &hyper_util::client::legacy::Error) -> String {
    let mut source = error.source();
    let mut last = error.to_string();
    while let Some(inner) = source {
        if let Some(connect) = inner.downcast_ref::<ConnectError>() {
            return connect.0.clone();
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            return io_words(io);
        }
        if inner.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
            return "EOF".into();
        }
        last = inner.to_string();
        source = inner.source();
    }
    last
}

fn body_words(error: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    if error.is::<http_body_util::LengthLimitError>() { format!("http: response body too large, limit is {MAX_ANSWER}") } else { "unexpected EOF".into() }
}
