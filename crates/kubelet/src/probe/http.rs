//! One HTTP GET of a container: for probes and hooks.
//!
//! Never verifies a certificate (a container's is its own affair) and never follows a redirect to another host; bodies are cut at 10 KiB.
//! Upstream: pkg/probe/http/http.go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::HTTPGetAction;
use tokio::net::TcpStream;

const BODY_BYTES: usize = 10 * 1024;
const REDIRECTS: usize = 10;

#[derive(Clone, Debug)]
pub struct Request {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    pub path: String,
    pub headers: Vec<(String, String)>,
}

#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
    /// A redirect led to another host: it was not followed.
    pub redirected_away: bool,
}

impl Request {
    pub fn of(get: &HTTPGetAction, host: &str, port: u16) -> Self {
        let path = get.path.clone().unwrap_or_default();
        let headers = get.http_headers.iter().flatten().map(|h| (h.name.clone(), h.value.clone())).collect();
        Self { tls: get.scheme.as_deref() == Some("HTTPS"), host: host.to_owned(), port, path: if path.starts_with('/') { path } else { format!("/{path}") }, headers }
    }

    #[must_use]
    pub fn plain(&self) -> Self {
        Self { tls: false, ..self.clone() }
    }

    fn authority(&self) -> String {
        if self.host.contains(':') { format!("[{}]:{}", self.host, self.port) } else { format!("{}:{}", self.host, self.port) }
    }

    pub fn url(&self) -> String {
        format!("{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.path)
    }
}

/// The error is in the words of upstream's client.
pub async fn get(request: &Request, time: Duration) -> Result<Answer, String> {
    match tokio::time::timeout(time, follow(request)).await {
        Ok(answer) => answer.map_err(|e| format!("Get {:?}: {e}", request.url())),
        Err(_) => Err(format!("Get {:?}: context deadline exceeded (Client.Timeout exceeded while awaiting headers)", request.url())),
    }
}

async fn follow(request: &Request) -> Result<Answer, String> {
    let mut at = request.clone();
    for _ in 0..REDIRECTS {
        let (answer, location) = once(&at).await?;
        let Some(location) = location.filter(|_| matches!(answer.status, 301 | 302 | 303 | 307 | 308)) else { return Ok(answer) };
        match next_hop(&at, &location) {
            Some(next) => at = next,
            None => return Ok(Answer { redirected_away: true, ..answer }),
        }
    }
    Err(format!("stopped after {REDIRECTS} redirects"))
}

/// Where a redirect leads on the same host.
fn next_hop(from: &Request, location: &str) -> Option<Request> {
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(Request { path: location.to_owned(), ..from.clone() });
    }
    let uri: http::Uri = location.parse().ok()?;
    let tls = uri.scheme_str()? == "https";
    if uri.host()?.trim_matches(['[', ']']) != from.host {
        return None;
    }
    let path = uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    Some(Request { tls, port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }), path, ..from.clone() })
}

async fn once(request: &Request) -> Result<(Answer, Option<String>), String> {
    let stream = connect(&request.host, request.port).await?;
    if request.tls {
        let name = rustls::pki_types::ServerName::try_from(request.host.clone()).map_err(|e| e.to_string())?;
        let stream = tokio_rustls::TlsConnector::from(unverified()).connect(name, stream).await.map_err(|e| e.to_string())?;
        exchange(TokioIo::new(stream), request).await
    } else {
        exchange(TokioIo::new(stream), request).await
    }
}

/// `dial tcp 10.1.2.3:80: connect: connection refused`, as upstream says it.
pub async fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let shown = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let address: Option<SocketAddr> = host.parse().ok().map(|ip: std::net::IpAddr| SocketAddr::new(ip, port));
    let connected = match address {
        Some(address) => TcpStream::connect(address).await,
        None => TcpStream::connect((host, port)).await,
    };
    connected.map_err(|e| {
        let why = match e.kind() {
            std::io::ErrorKind::ConnectionRefused => "connect: connection refused".to_owned(),
            std::io::ErrorKind::HostUnreachable => "connect: no route to host".to_owned(),
            std::io::ErrorKind::NetworkUnreachable => "connect: network is unreachable".to_owned(),
            _ => e.to_string(),
        };
        format!("dial tcp {shown}: {why}")
    })
}

async fn exchange<I>(io: I, request: &Request) -> Result<(Answer, Option<String>), String>
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.map_err(|e| e.to_string())?;
    // The connection ends with this request, whatever becomes of it.
    let driver = AbortOnDrop(tokio::spawn(async move { drop(connection.await) }));
    let mut builder = http::Request::get(&request.path).header("Connection", "close");
    let has = |name: &str| request.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if !has("host") {
        builder = builder.header("Host", request.authority());
    }
    if !has("user-agent") {
        builder = builder.header("User-Agent", "kube-probe/1.37");
    }
    if !has("accept") {
        builder = builder.header("Accept", "*/*");
    }
    for (name, value) in request.headers.iter().filter(|(_, value)| !value.is_empty()) {
        builder = builder.header(name, value);
    }
    let message = builder.body(Empty::<Bytes>::new()).map_err(|e| e.to_string())?;
    let response = sender.send_request(message).await.map_err(|e| if e.is_incomplete_message() { "EOF".to_owned() } else { e.to_string() })?;
    let location = response.headers().get("location").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let status = response.status().as_u16();
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| e.to_string())?;
        if let Some(data) = frame.data_ref() {
            text.extend_from_slice(&data[..data.len().min(BODY_BYTES - text.len())]);
        }
        if text.len() >= BODY_BYTES {
            break;
        }
    }
    drop(driver);
    Ok((Answer { status, body: String::from_utf8_lossy(&text).into_owned(), redirected_away: false }, location))
}

pub struct AbortOnDrop(pub tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn unverified() -> Arc<rustls::ClientConfig> {
    static CONFIG: std::sync::OnceLock<Arc<rustls::ClientConfig>> = std::sync::OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let verifier = Arc::new(Unverified(provider.clone()));
            let builder = rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(rustls::ALL_VERSIONS);
            let builder = builder.expect("ring has every version's ciphers");
            Arc::new(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
        })
        .clone()
}

#[derive(Debug)]
struct Unverified(Arc<rustls::crypto::CryptoProvider>);

mod unverified_impl {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    impl ServerCertVerifier for super::Unverified {
        fn verify_server_cert(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: &ServerName<'_>, _: &[u8], _: UnixTime) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
            rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
        }

        fn verify_tls13_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
            rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}
