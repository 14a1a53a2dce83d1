//! Calls to those who know identities and rights elsewhere: bounded in time and bytes, over TLS only.
//!
//! Never follows a redirect, and never sends a credential but the one it was given for the address it was given for.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use access::remote::{Credentials, Remote, Source};
use base64::Engine as _;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::egress::Toward;
use crate::upstream;
use crate::webhook::{self, Connector, Services};

/// The longest answer that is read.
const MAX_ANSWER: usize = 4 << 20;
const IDLE: Duration = Duration::from_secs(90);

/// A client with its own trust and, where one is given, its own identity.
pub struct Outbound {
    pool: Client<Connector, Full<Bytes>>,
}

impl Outbound {
    /// Trusts `ca` (PEM; empty: the machine's roots) and shows `identity` (certificate and key in PEM).
    pub fn new(services: Services, toward: Toward, ca: &[u8], identity: Option<(&[u8], &[u8])>) -> Result<Self, String> {
        Self::with(services, toward, webhook::client_config(ca)?, identity)
    }

    /// A client of what a kubeconfig names, its files read.
    pub fn of_kubeconfig(text: &str, folder: &Path, services: &Services) -> Result<Reached, String> {
        let remote = Remote::read(text, folder)?;
        let ca = remote.ca.as_ref().map(bytes).transpose()?.unwrap_or_default();
        let builder = if remote.insecure { upstream::trusts_anybody().map_err(|e| e.message)? } else { webhook::client_config(&ca)? };
        let shown = remote.shown.certificate.as_ref().map(|(certificate, key)| Ok::<_, String>((bytes(certificate)?, bytes(key)?))).transpose()?;
        let outbound = Self::with(services.clone(), Toward::ControlPlane, builder, shown.as_ref().map(|(certificate, key)| (certificate.as_slice(), key.as_slice())))?;
        Ok(Reached { outbound, remote, pause: Reached::PAUSE, insists: false })
    }

    fn with(services: Services, outside: Toward, builder: rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>, identity: Option<(&[u8], &[u8])>) -> Result<Self, String> {
        let mut tls = match identity {
            Some((certificate, key)) => {
                let (chain, key) = pki::identity_of_pem(certificate, key).map_err(|e| e.to_string())?;
                builder.with_client_auth_cert(chain, key).map_err(|e| e.to_string())?
            }
            None => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = Connector { services, service: None, outside, tls: Arc::new(tls) };
        Ok(Self { pool: Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(connector) })
    }

    pub async fn get(&self, url: &str, authorization: Option<&str>, limit: Duration) -> Result<Bytes, String> {
        self.call(Method::GET, url, authorization, Bytes::new(), limit).await.map_err(|failure| failure.why)
    }

    /// One exchange. An answer that is no success is an error.
    async fn call(&self, method: Method, url: &str, authorization: Option<&str>, body: Bytes, limit: Duration) -> Result<Bytes, CallFailure> {
        let unsent = |why: String| CallFailure { passes: why.contains("connection reset"), why: format!("{method} {url:?}: {why}") };
        if !url.starts_with("https://") {
            return Err(unsent("only https is called".into()));
        }
        let mut request = Request::builder().method(&method).uri(url).header(ACCEPT, "application/json, */*").header(USER_AGENT, "kube-apiserver");
        if let Some(value) = authorization {
            let mut value = HeaderValue::from_str(value).map_err(|_| unsent("the credential is no header's value".into()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(body)).map_err(|e| unsent(e.to_string()))?;
        let exchange = async {
            let answer = self.pool.request(request).await.map_err(|e| unsent(webhook::failure_words(&e)))?;
            let status = answer.status();
            let bytes = Limited::new(answer.into_body(), MAX_ANSWER).collect().await.map_err(|e| unsent(format!("the answer was not read: {e}")))?.to_bytes();
            if status.is_success() { Ok(bytes) } else { Err(CallFailure { passes: may_pass(status), ..unsent(format!("the answer is {status}")) }) }
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| Err(unsent("context deadline exceeded".into())))
    }
}

/// Upstream: apiserver `pkg/util/webhook/webhook.go`, `DefaultShouldRetry`.
fn may_pass(status: StatusCode) -> bool {
    matches!(status, StatusCode::INTERNAL_SERVER_ERROR | StatusCode::GATEWAY_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

fn bytes(source: &Source) -> Result<Vec<u8>, String> {
    match source {
        Source::Data(bytes) => Ok(bytes.clone()),
        Source::File(path) => std::fs::read(path).map_err(|e| format!("{}: {e}", path.display())),
    }
}

/// A call that brought nothing to use.
struct CallFailure {
    why: String,
    /// Another try may do better.
    passes: bool,
}

/// A webhook that a kubeconfig names.
pub struct Reached {
    outbound: Outbound,
    remote: Remote,
    /// Before the second try.
    pause: Duration,
    /// Whether every failure is worth another try.
    insists: bool,
}

impl Reached {
    /// One call's time. Upstream: the timeout of clients of webhooks.
    const LIMIT: Duration = Duration::from_secs(30);
    /// Upstream: `DefaultAuthWebhookRetryBackoff`: five tries, the pause half a second at first and longer by half each time.
    const TRIES: u32 = 5;
    const PAUSE: Duration = Duration::from_millis(500);

    /// With another pause before the second try.
    pub fn with_pause(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Tries again whatever went wrong.
    pub fn insisting(self) -> Self {
        Self { insists: true, ..self }
    }

    /// Posts JSON; tries again where that may help.
    pub async fn post(&self, body: Bytes) -> Result<Bytes, String> {
        self.post_within(body, Self::LIMIT).await
    }

    pub async fn post_within(&self, body: Bytes, limit: Duration) -> Result<Bytes, String> {
        let authorization = self.authorization()?;
        let mut pause = self.pause;
        for attempt in 1.. {
            match self.outbound.call(Method::POST, &self.remote.url, authorization.as_deref(), body.clone(), limit).await {
                Ok(answer) => return Ok(answer),
                Err(failure) if attempt >= Self::TRIES || !(failure.passes || self.insists) => return Err(failure.why),
                Err(_) => tokio::time::sleep(pause.mul_f64(1.0 + 0.2 * rand::random::<f64>())).await,
            }
            pause = pause.mul_f64(1.5);
        }
        Err("no try was made".into())
    }

    /// Tokens in files are read anew: they are exchanged while the server runs.
    fn authorization(&self) -> Result<Option<String>, String> {
        authorization(&self.remote.shown)
    }
}

/// What credentials say in a header, files read.
pub fn authorization(shown: &Credentials) -> Result<Option<String>, String> {
    if let Some(token) = &shown.token {
        let text = String::from_utf8(bytes(token)?).map_err(|_| "the token of the kubeconfig is no text")?;
        return Ok(Some(format!("Bearer {}", text.trim())));
    }
    Ok(shown.basic.as_ref().map(|(name, password)| format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(format!("{name}:{password}")))))
}

/// TLS settings that show a certificate, where there is one.
pub fn showing(builder: rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>, shown: &Credentials) -> Result<rustls::ClientConfig, String> {
    let Some((certificate, key)) = &shown.certificate else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = pki::identity_of_pem(&bytes(certificate)?, &bytes(key)?).map_err(|e| e.to_string())?;
    builder.with_client_auth_cert(chain, key).map_err(|e| e.to_string())
}
