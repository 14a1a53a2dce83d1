//! The connection: a kubeconfig and the flags that replace parts of it, and requests by path.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use serde_json::Value;
use tokio::sync::OnceCell;

use super::discovery::Discovery;
use crate::failure::{Failure, Outcome};
use crate::settings::Settings;
use crate::source::unreached;

/// The name under which fields are owned.
// Upstream: the base name of the program.
pub const FIELD_OWNER: &str = "helm";

/// A connection; copies share it, and what was discovered.
#[derive(Clone)]
pub struct Cluster {
    client: kube::Client,
    server: http::Uri,
    pub namespace: String,
    discovery: Arc<OnceCell<Discovery>>,
}

/// A request that was not answered with what was asked for.
#[derive(Debug, Clone)]
pub struct Denied {
    /// The HTTP status; zero where the server was not reached.
    pub code: u16,
    pub reason: String,
    pub message: String,
}

impl Denied {
    pub fn is_not_found(&self) -> bool {
        self.code == 404
    }

    pub fn is_conflict(&self) -> bool {
        self.code == 409
    }

    pub fn already_exists(&self) -> bool {
        self.reason == "AlreadyExists"
    }
}

impl From<Denied> for Failure {
    fn from(denied: Denied) -> Failure {
        Failure::new(denied.message)
    }
}

fn denied(error: kube::Error) -> Denied {
    match error {
        kube::Error::Api(status) => Denied { code: status.code, reason: status.reason.clone(), message: status.message.clone() },
        other => Denied { code: 0, reason: String::new(), message: chain(&other) },
    }
}

/// An error with all its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !out.contains(&text) {
            out = format!("{out}: {text}");
        }
        next = cause.source();
    }
    out
}

impl Cluster {
    /// Reads the kubeconfig; speaks to nobody yet.
    pub async fn connect(settings: &Settings) -> Outcome<Cluster> {
        let unreachable = |text: String| Failure::new(format!("kubernetes cluster unreachable: {text}"));
        let mut config = configuration(settings).await.map_err(unreachable)?;
        override_parts(&mut config, settings).map_err(unreachable)?;
        let server = config.cluster_url.clone();
        let namespace = settings.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        config.default_retry = true;
        let client = kube::Client::try_from(config).map_err(|e| unreachable(chain(&e)))?;
        Ok(Cluster { client, server, namespace, discovery: Arc::default() })
    }

    /// What kinds there are; asked for once.
    pub async fn discovery(&self) -> Outcome<&Discovery> {
        self.discovery.get_or_try_init(|| Discovery::read(self)).await.map_err(|e| Failure::new(format!("kubernetes cluster unreachable: {}", e.message)))
    }

    /// What kinds there are now, e.g. after definitions of new ones were made.
    pub fn forget_discovery(&mut self) {
        self.discovery = Arc::default();
    }

    pub async fn get(&self, path: &str) -> Result<Value, Denied> {
        self.send(Method::GET, path, "", None).await
    }

    pub async fn get_as(&self, path: &str, accept: &str) -> Result<Value, Denied> {
        let request = Request::get(path).header(http::header::ACCEPT, accept).body(Vec::new());
        self.client.request(request.map_err(malformed)?).await.map_err(denied)
    }

    /// The text of an answer, e.g. of a log.
    pub async fn get_text(&self, path: &str) -> Result<String, Denied> {
        self.client.request_text(Request::get(path).body(Vec::new()).map_err(malformed)?).await.map_err(denied)
    }

    pub async fn send(&self, method: Method, path: &str, content_type: &str, body: Option<&Value>) -> Result<Value, Denied> {
        let mut request = Request::builder().method(method).uri(path);
        if body.is_some() {
            request = request.header(http::header::CONTENT_TYPE, content_type);
        }
        let bytes = body.map(|b| b.to_string().into_bytes()).unwrap_or_default();
        self.client.request(request.body(bytes).map_err(malformed)?).await.map_err(denied)
    }

    /// The server's clock, to the second.
    pub async fn server_time(&self) -> Result<jiff::Timestamp, Denied> {
        let request = Request::get("/version").body(kube::client::Body::empty()).map_err(malformed)?;
        let response = self.client.send(request).await.map_err(denied)?;
        let date = response.headers().get(http::header::DATE).and_then(|d| d.to_str().ok()).and_then(|d| jiff::fmt::rfc2822::parse(d).ok());
        let _ = response.into_body().collect().await;
        Ok(date.map_or_else(jiff::Timestamp::now, |d| d.timestamp()))
    }

    /// The events of a watch, each as `{type, object}`.
    pub async fn watch(&self, path: &str) -> Result<impl futures::Stream<Item = Result<Value, Denied>> + use<>, Denied> {
        use futures::{AsyncBufReadExt as _, StreamExt as _};
        let reader = self.client.request_stream(Request::get(path).body(Vec::new()).map_err(malformed)?).await.map_err(denied)?;
        let lines = Box::pin(reader).lines();
        Ok(lines.map(|line| {
            let broken = |text: String| Denied { code: 0, reason: String::new(), message: text };
            serde_json::from_str(&line.map_err(|e| broken(e.to_string()))?).map_err(|e| broken(e.to_string()))
        }))
    }

    /// Whether the server answers.
    pub async fn reachable(&self) -> Outcome<Value> {
        let request = Request::get("/version").body(Vec::new()).map_err(|e| Failure::new(e.to_string()))?;
        let told = match self.client.request(request).await {
            Ok(version) => return Ok(version),
            Err(e @ kube::Error::Api(_)) => denied(e).message,
            Err(e) => self.unreached(&e),
        };
        Err(Failure::new(format!("kubernetes cluster unreachable: {told}")))
    }

    /// Why the server was not reached, as Go's client says it.
    fn unreached(&self, error: &kube::Error) -> String {
        let (host, scheme) = (self.server.host().unwrap_or_default(), self.server.scheme_str().unwrap_or("https"));
        let port = self.server.port_u16().unwrap_or(if scheme == "http" { 80 } else { 443 });
        let base = self.server.to_string();
        format!("Get \"{}/version\": {}", base.trim_end_matches('/'), unreached::reason(host, port, error))
    }
}

fn malformed(e: http::Error) -> Denied {
    Denied { code: 0, reason: String::new(), message: e.to_string() }
}

/// The kubeconfig; where there is none, this pod's own, and else what a server without any is found at.
// Upstream: k8s.io/client-go tools/clientcmd: the loading rules and the defaults of its client.
async fn configuration(settings: &Settings) -> Result<kube::Config, String> {
    let kubeconfig = match &settings.kubeconfig {
        Some(path) if !path.exists() => return Err(format!("stat {}: no such file or directory", path.display())),
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let kubeconfig = match kubeconfig {
        Ok(kubeconfig) => Some(kubeconfig),
        Err(KubeconfigError::ReadConfig(e, _)) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(KubeconfigError::FindPath) => None,
        Err(e) => return Err(chain(&e)),
    };
    let has = |context: &str| kubeconfig.as_ref().is_some_and(|k| k.contexts.iter().any(|c| c.name == context));
    if let Some(context) = settings.kube.context.as_ref().filter(|c| !has(c)) {
        return Err(format!("context {context:?} does not exist"));
    }
    let Some(kubeconfig) = kubeconfig.filter(|k| !k.clusters.is_empty()) else {
        return Ok(kube::Config::incluster().unwrap_or_else(|_| kube::Config::new(http::Uri::from_static("http://localhost:8080"))));
    };
    let options = KubeConfigOptions { context: settings.kube.context.clone(), ..Default::default() };
    kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|e| chain(&e))
}

fn override_parts(config: &mut kube::Config, settings: &Settings) -> Result<(), String> {
    let kube = &settings.kube;
    if let Some(server) = &kube.api_server {
        let server = if server.contains("://") { server.clone() } else { format!("http://{server}") };
        check_port(&server)?;
        config.cluster_url = server.parse().map_err(|e| format!("parse {server:?}: {e}"))?;
    }
    if let Some(token) = &kube.token {
        config.auth_info.token = Some(token.clone().into());
        config.auth_info.client_certificate = None;
        config.auth_info.client_certificate_data = None;
        config.auth_info.exec = None;
    }
    if kube.as_user.is_some() {
        config.auth_info.impersonate = kube.as_user.clone();
    }
    if !kube.as_groups.is_empty() {
        config.auth_info.impersonate_groups = Some(kube.as_groups.clone());
    }
    if let Some(path) = &kube.ca_file {
        let text = std::fs::read(path).map_err(|e| format!("--kube-ca-file {}: {e}", path.display()))?;
        config.root_cert = Some(pem_blocks(&String::from_utf8_lossy(&text)));
    }
    if kube.insecure {
        config.accept_invalid_certs = true;
    }
    if kube.tls_server_name.is_some() {
        config.tls_server_name = kube.tls_server_name.clone();
    }
    config.connect_timeout = Some(Duration::from_secs(30));
    // Watches and hooks are bounded by their own timeouts.
    config.read_timeout = None;
    Ok(())
}

/// Refuses a port that is no number, as Go's `net/url` does.
fn check_port(server: &str) -> Result<(), String> {
    let authority = server.split_once("://").map_or(server, |(_, rest)| rest).split('/').next().unwrap_or_default();
    match authority.rsplit_once(':') {
        Some((_, port)) if !port.ends_with(']') && !port.bytes().all(|b| b.is_ascii_digit()) => Err(format!("parse {server:?}: invalid port {:?} after host", format!(":{port}"))),
        _ => Ok(()),
    }
}

fn pem_blocks(text: &str) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    text.split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .filter_map(|block| block.split("-----END").next())
        .filter_map(|body| base64::engine::general_purpose::STANDARD.decode(body.split_whitespace().collect::<String>()).ok())
        .collect()
}
