//! Connections to kubelets, pods and registered servers, on behalf of clients.
//!
//! Redirects are never followed: an answer is passed on as it is (CVE-2018-1002102 and its kin). A connection carries one
//! request and ends with it, so nothing can follow a failed upgrade (CVE-2018-1002105).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::ApiError;
use http::{Request, Response};
use hyper::body::Incoming as Answer;
use hyper_util::rt::TokioIo;
use pki::{Authority, Leaf};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::egress::{BoxedLine, DialError, Egress, Toward};
use crate::handler::Incoming;

const CONNECT: Duration = Duration::from_secs(10);

/// How kubelets are reached: with the server's own client certificate, and theirs checked against the cluster's authority.
pub struct Kubelets {
    tls: TlsConnector,
    egress: Egress,
}

impl Kubelets {
    pub fn new(authority: &Authority, folder: &std::path::Path, egress: Egress) -> Result<Self, pki::Error> {
        let leaf = Leaf {
            common_name: "kube-apiserver-kubelet-client".into(),
            organizations: vec!["system:masters".into()],
            dns_names: Vec::new(),
            ips: Vec::new(),
            server: false,
            client: true,
            days: 365,
        };
        let issued = authority.load_or_issue(folder, "apiserver-kubelet-client", &leaf)?;
        let mut config = pki::client_config(authority.cert_pem(), Some(&issued))?;
        // Upgrades need HTTP/1.1.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), egress })
    }

    /// Sends a request to a kubelet.
    pub async fn send(&self, host: &str, port: u16, request: Request<Incoming>) -> Result<Response<Answer>, ApiError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| ApiError::internal(format!("the node's address {host:?} is neither a name nor an address")))?;
        let stream = connect(&self.egress, host, port).await?;
        let tls = tokio::time::timeout(CONNECT, self.tls.connect(name, stream)).await;
        match tls {
            Ok(Ok(stream)) => exchange(stream, request).await,
            Ok(Err(error)) => Err(unreachable(host, port, &error)),
            Err(_) => Err(unreachable(host, port, &"TLS handshake timeout")),
        }
    }
}

fn unreachable(host: &str, port: u16, why: &dyn std::fmt::Display) -> ApiError {
    ApiError::internal(format!("error dialing backend: dial tcp {host}:{port}: {why}"))
}

pub async fn connect(egress: &Egress, host: &str, port: u16) -> Result<BoxedLine, ApiError> {
    match tokio::time::timeout(CONNECT, egress.dial(Toward::Cluster, host, port)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(DialError::Direct(error))) => Err(unreachable(host, port, &error)),
        Ok(Err(DialError::Proxy(why))) => Err(ApiError::internal(format!("error dialing backend: {why}"))),
        Err(_) => Err(unreachable(host, port, &"i/o timeout")),
    }
}

/// Where a proxy may go: not to loopback, link-local, multicast or unspecified addresses, however they are written.
///
/// Upstream: `pkg/proxy/util/utils.go`, `IsProxyableHostname`; Go's `IsGlobalUnicast`.
pub async fn check_proxyable(host: &str) -> Result<(), ApiError> {
    let refused = || ApiError::bad_request("address not allowed");
    if let Ok(ip) = host.parse::<IpAddr>() {
        return if is_global_unicast(ip) { Ok(()) } else { Err(refused()) };
    }
    match tokio::time::timeout(CONNECT, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(mut found)) => if found.all(|a| is_global_unicast(a.ip())) { Ok(()) } else { Err(refused()) },
        Ok(Err(error)) => Err(ApiError::bad_request(format!("lookup {host}: {error}"))),
        Err(_) => Err(ApiError::bad_request(format!("lookup {host}: i/o timeout"))),
    }
}

fn is_global_unicast(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    let is_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(is_local || ip.is_unspecified() || ip.is_loopback() || ip.is_multicast())
}

/// One request over a fresh connection; the connection lives as long as the answer or its upgrade.
pub async fn exchange<IO>(stream: IO, request: Request<Incoming>) -> Result<Response<Answer>, ApiError>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let failed = |error: hyper::Error| ApiError::internal(format!("error dialing backend: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "a backend connection ended");
        }
    });
    sender.send_request(request).await.map_err(failed)
}

/// A TLS connection whose certificate nobody checks: what pods and services show behind a proxy path.
///
/// Upstream: the proxy of pods and services does not verify either; it adds no credentials of its own.
pub async fn unverified(egress: &Egress, host: &str, port: u16) -> Result<tokio_rustls::client::TlsStream<BoxedLine>, ApiError> {
    let stream = connect(egress, host, port).await?;
    let config = trusts_anybody()?.with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(|_| ApiError::internal(format!("{host:?} is neither a name nor an address")))?;
    match tokio::time::timeout(CONNECT, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(unreachable(host, port, &error)),
        Err(_) => Err(unreachable(host, port, &"TLS handshake timeout")),
    }
}

/// TLS settings that check nobody's certificate.
pub fn trusts_anybody() -> Result<rustls::ConfigBuilder<rustls::ClientConfig, rustls::client::WantsClientCert>, ApiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().map_err(ApiError::internal)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(Anything(provider))))
}

/// A plain connection; its failure in the words of Go's dialler.
pub async fn dial(egress: &Egress, host: &str, port: u16) -> Result<BoxedLine, String> {
    let prefix = "Internal error occurred: error dialing backend: ";
    connect(egress, host, port).await.map_err(|e| e.message.trim_start_matches(prefix).to_owned())
}

#[derive(Debug)]
struct Anything(Arc<rustls::crypto::CryptoProvider>);

impl rustls::client::danger::ServerCertVerifier for Anything {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &rustls::pki_types::CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
