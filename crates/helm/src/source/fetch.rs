//! HTTP for charts and indexes: bounded bodies, credentials for the host they were meant for alone.
// Upstream: helm pkg/getter/httpgetter.go.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use reqwest::header::AUTHORIZATION;

use crate::failure::{Failure, Outcome, io};
use crate::flags::Read as _;
use crate::source::unreached;

/// No index and no chart is larger.
pub const MAX_BODY: u64 = 256 * 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(120);

/// How a server is spoken to.
#[derive(Debug, Clone, Default)]
pub struct Access {
    pub username: String,
    pub password: String,
    pub cert_file: Option<PathBuf>,
    pub key_file: Option<PathBuf>,
    pub ca_file: Option<PathBuf>,
    pub insecure: bool,
    pub plain_http: bool,
    /// Send the credentials to all hosts.
    pub pass_credentials: bool,
    /// The URL whose host the credentials are for.
    pub home: Option<String>,
}

impl Access {
    pub fn from_flags(m: &ArgMatches) -> Access {
        let path = |name: &str| m.value(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        Access {
            username: m.value("username").unwrap_or_default().to_string(),
            password: m.value("password").unwrap_or_default().to_string(),
            cert_file: path("cert-file"),
            key_file: path("key-file"),
            ca_file: path("ca-file"),
            insecure: m.on("insecure-skip-tls-verify") || m.on("insecure"),
            plain_http: m.on("plain-http"),
            pass_credentials: m.on("pass-credentials"),
            home: m.value("repo").filter(|r| !r.is_empty()).map(str::to_string),
        }
    }

    pub fn client(&self) -> Outcome<reqwest::Client> {
        let mut builder = reqwest::Client::builder().timeout(TIMEOUT).user_agent(concat!("Helm/4.3.1 knarr/", env!("CARGO_PKG_VERSION"))).danger_accept_invalid_certs(self.insecure);
        if let Some(path) = &self.ca_file {
            let pem = std::fs::read(path).map_err(|e| io("open", path, &e))?;
            for certificate in reqwest::Certificate::from_pem_bundle(&pem).map_err(|e| Failure::new(format!("can't create TLS config: {}: {e}", path.display())))? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        if let (Some(cert), Some(key)) = (&self.cert_file, &self.key_file) {
            let mut pem = std::fs::read(cert).map_err(|e| io("open", cert, &e))?;
            pem.extend(std::fs::read(key).map_err(|e| io("open", key, &e))?);
            builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(|e| Failure::new(format!("can't create TLS config: {e}")))?);
        }
        builder.build().map_err(|e| Failure::new(format!("HTTP client: {e}")))
    }

    fn may_see_credentials(&self, url: &reqwest::Url) -> bool {
        let home = self.home.as_ref().and_then(|h| reqwest::Url::parse(h).ok());
        self.pass_credentials || home.is_none_or(|h| (h.scheme(), h.host_str(), h.port_or_known_default()) == (url.scheme(), url.host_str(), url.port_or_known_default()))
    }
}

/// Fetches a URL.
pub async fn get(url: &str, access: &Access) -> Outcome<Vec<u8>> {
    let parsed = reqwest::Url::parse(url).map_err(|e| Failure::new(format!("{url}: {e}")))?;
    if parsed.scheme() == "oci" {
        return Err(Failure::new("failed to perform \"FetchReference\" on source: invalid reference"));
    }
    if !matches!(parsed.scheme(), "http" | "https") {
        return crate::plugins::fetch(url).unwrap_or_else(|| Err(Failure::new(format!("scheme {:?} not supported", parsed.scheme()))));
    }
    let mut request = access.client()?.get(parsed.clone());
    if !access.username.is_empty() && !access.password.is_empty() && access.may_see_credentials(&parsed) {
        request = request.basic_auth(&access.username, Some(&access.password));
    }
    let response = request.send().await.map_err(|e| Failure::new(format!("Get {url:?}: {}", unreached::of_url(&parsed, &e))))?;
    if response.status() != reqwest::StatusCode::OK {
        let reason = response.extensions().get::<hyper::ext::ReasonPhrase>().map(|r| String::from_utf8_lossy(r.as_bytes()).into_owned());
        let reason = reason.unwrap_or_else(|| response.status().canonical_reason().unwrap_or_default().to_string());
        return Err(Failure::new(format!("failed to fetch {url} : {} {reason}", response.status().as_u16())));
    }
    body(response, url).await
}

/// The body of a response, not more of it than there may be.
pub async fn body(mut response: reqwest::Response, url: &str) -> Outcome<Vec<u8>> {
    let mut out = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Failure::new(format!("Get {url:?}: {}", reason(&e))))? {
        out.extend_from_slice(&chunk);
        if out.len() as u64 > MAX_BODY {
            return Err(Failure::new(format!("{url}: the answer is larger than {MAX_BODY} bytes")));
        }
    }
    Ok(out)
}

/// The words for a request that failed on its way.
pub fn reason(e: &reqwest::Error) -> String {
    match e.url() {
        Some(url) => unreached::of_url(url, e),
        None => unreached::reason("", 0, e),
    }
}

/// A header of basic credentials.
pub fn basic(username: &str, password: &str) -> (reqwest::header::HeaderName, String) {
    use base64::Engine as _;
    (AUTHORIZATION, format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"))))
}
