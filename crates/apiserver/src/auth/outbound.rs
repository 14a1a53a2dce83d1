//! Calls to those who know identities and rights elsewhere: bounded in time and bytes, over TLS only.
//!
//! Never follows a redirect, and never sends a credential but the one it was given for the address it was given for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

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
    pub fn new(services: Services, ca: &[u8], identity: Option<(&[u8], &[u8])>) -> Result<Self, String> {
        let builder = webhook::client_config(ca)?;
        let mut tls = match identity {
            Some((certificate, key)) => {
                let (chain, key) = pki::identity_of_pem(certificate, key).map_err(|e| e.to_string())?;
                builder.with_client_auth_cert(chain, key).map_err(|e| e.to_string())?
            }
            None => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let connector = Connector { services, service: None, tls: Arc::new(tls) };
        Ok(Self { pool: Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).build(connector) })
    }

    pub async fn get(&self, url: &str, authorization: Option<&str>, limit: Duration) -> Result<Bytes, String> {
        self.call(Method::GET, url, authorization, Bytes::new(), limit).await
    }

    /// One exchange. An answer that is no success is an error.
    async fn call(&self, method: Method, url: &str, authorization: Option<&str>, body: Bytes, limit: Duration) -> Result<Bytes, String> {
        let unsent = |why: String| format!("{method} {url:?}: {why}");
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
            if status.is_success() { Ok(bytes) } else { Err(unsent(format!("the answer is {status}"))) }
        };
        tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_| Err(unsent("context deadline exceeded".into())))
    }
}
