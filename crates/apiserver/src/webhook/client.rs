//! The client that calls: one pool of connections per target and bundle.

use std::collections::HashMap;
use std::error::Error as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use access::remote::{Credentials, Users};
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use policy::plugins::WebhookKubeconfigs;
use tokio::time::Instant;

use super::answer::{CallError, io_words};
use super::connect::{ConnectError, Connector};
use super::resolve::Services;
use super::target::{ServicePort, Target};
use super::trust;
use crate::auth::outbound;
use crate::egress::Toward;

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
/// Where connections lead, whom they trust and for whom they are; paths share them.
type Key = (Caller, String, Option<ServicePort>, Vec<u8>);

/// On whose behalf a webhook is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Caller {
    Mutating,
    Validating,
    Conversion,
}

/// Calls webhooks.
pub struct Hooks {
    services: Services,
    pools: Mutex<HashMap<Key, (Instant, Pool)>>,
    /// What the two kinds of admission show of themselves.
    mutating: Users,
    validating: Users,
}

impl Hooks {
    pub fn new(services: Services) -> Self {
        Self { services, pools: Mutex::default(), mutating: Users::default(), validating: Users::default() }
    }

    /// The same, showing what kubeconfigs hold.
    pub fn showing(self, files: &WebhookKubeconfigs) -> Result<Self, String> {
        let read = |file: &Option<PathBuf>| {
            let Some(file) = file else { return Ok(Users::default()) };
            let told = |why: String| format!("--admission-control-config-file: kubeConfigFile {}: {why}", file.display());
            let text = std::fs::read_to_string(file).map_err(|e| told(e.to_string()))?;
            Users::read(&text, file.parent().unwrap_or(file)).map_err(told)
        };
        Ok(Self { mutating: read(&files.mutating)?, validating: read(&files.validating)?, ..self })
    }

    fn shown(&self, caller: Caller, target: &Target) -> Option<&Credentials> {
        let users = match caller {
            Caller::Mutating => &self.mutating,
            Caller::Validating => &self.validating,
            Caller::Conversion => return None,
        };
        users.of(target.authority.strip_suffix(":443").filter(|_| target.service.is_some()).unwrap_or(&target.authority))
    }

    /// Posts a JSON body and returns the answer's. `timeout` bounds all of it, from dialling to the last byte.
    pub async fn post(&self, target: &Target, body: Bytes, timeout: Duration) -> Result<Bytes, CallError> {
        self.post_as(Caller::Conversion, target, body, timeout).await
    }

    pub async fn post_as(&self, caller: Caller, target: &Target, body: Bytes, timeout: Duration) -> Result<Bytes, CallError> {
        // Upstream: told in whole seconds, rounded up.
        let url = target.url(timeout.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX));
        let pool = self.pool(caller, target).map_err(|why| CallError::transport(&url, why))?;
        let authorization = self.shown(caller, target).map_or(Ok(None), outbound::authorization).map_err(|why| CallError::transport(&url, why))?;
        let exchange = exchange(pool, &url, authorization, body);
        tokio::time::timeout(timeout, exchange).await.unwrap_or_else(|_| Err(CallError::transport(&url, "context deadline exceeded")))
    }

    fn pool(&self, caller: Caller, target: &Target) -> Result<Pool, String> {
        let key = (caller, target.authority.clone(), target.service.clone(), target.ca_bundle.clone());
        let mut pools = self.pools.lock();
        if let Some((used, pool)) = pools.get_mut(&key) {
            *used = Instant::now();
            return Ok(pool.clone());
        }
        let mut tls = outbound::showing(trust::client_config(&target.ca_bundle)?, self.shown(caller, target).unwrap_or(&Credentials::default()))?;
        // Upstream: HTTP/2 would send all calls to one backend.
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = Connector { services: self.services.clone(), service: target.service.clone(), outside: Toward::ControlPlane, tls: Arc::new(tls) };
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

async fn exchange(pool: Pool, url: &str, authorization: Option<String>, body: Bytes) -> Result<Bytes, CallError> {
    let mut request = Request::post(url).header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json, */*").header(USER_AGENT, "kube-apiserver-admission");
    if let Some(value) = authorization {
        let mut value = HeaderValue::from_str(&value).map_err(|_| CallError::transport(url, "the credential is no header's value"))?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
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
