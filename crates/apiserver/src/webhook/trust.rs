//! Whom a call trusts.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// TLS settings that trust a bundle, or the machine's roots where it is empty.
pub fn client_config(ca_bundle: &[u8]) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let bundle = certificates(ca_bundle)?;
    let mut roots = RootCertStore::empty();
    for certificate in &bundle {
        // What is no authority may still be the very certificate that the server shows.
        let _ = roots.add(certificate.clone());
    }
    let inner = if roots.is_empty() { None } else { Some(WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().map_err(|e| e.to_string())?) };
    let verifier = Bundle { inner, bundle, provider: provider.clone() };
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(|e| e.to_string())?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

fn certificates(ca_bundle: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    if ca_bundle.is_empty() {
        return Ok(rustls_native_certs::load_native_certs().certs);
    }
    let found: Vec<_> = CertificateDer::pem_slice_iter(ca_bundle).filter_map(Result::ok).collect();
    if found.is_empty() { Err("unable to load root certificates: unable to parse bytes as PEM block".into()) } else { Ok(found) }
}

/// Trusts what the bundle's authorities signed, and the bundle's own certificates.
///
/// Upstream: Go takes a certificate of the bundle also where it is no authority, or where an authority shows its own.
#[derive(Debug)]
struct Bundle {
    inner: Option<Arc<WebPkiServerVerifier>>,
    bundle: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Bundle {
    fn verify_pinned(&self, shown: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), rustls::Error> {
        let parsed = ParsedCertificate::try_from(shown)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(shown).map_err(|_| CertificateError::BadEncoding)?;
        let (now_seconds, validity) = (i64::try_from(now.as_secs()).unwrap_or(i64::MAX), certificate.validity());
        if now_seconds < validity.not_before.timestamp() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now_seconds > validity.not_after.timestamp() {
            let not_after = UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(validity.not_after.timestamp()).unwrap_or_default()));
            return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
        }
        rustls::client::verify_server_name(&parsed, name)
    }
}

impl ServerCertVerifier for Bundle {
    fn verify_server_cert(&self, end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>], name: &ServerName<'_>, ocsp: &[u8], now: UnixTime) -> Result<ServerCertVerified, rustls::Error> {
        if self.bundle.iter().any(|c| c == end_entity) {
            return self.verify_pinned(end_entity, name, now).map(|()| ServerCertVerified::assertion());
        }
        match &self.inner {
            Some(inner) => inner.verify_server_cert(end_entity, intermediates, name, ocsp, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(&self, message: &[u8], cert: &CertificateDer<'_>, dss: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A failed handshake in Go's words.
pub fn words(error: &std::io::Error) -> String {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else { return super::answer::io_words(error) };
    match tls {
        rustls::Error::InvalidCertificate(why) => format!("tls: failed to verify certificate: x509: {}", certificate_words(why)),
        rustls::Error::InvalidMessage(_) => "http: server gave HTTP response to HTTPS client".into(),
        rustls::Error::AlertReceived(alert) => format!("remote error: tls: {alert:?}"),
        other => format!("tls: {other}"),
    }
}

fn certificate_words(why: &CertificateError) -> String {
    match why {
        // A bundle with an authority of the same name but another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => "certificate signed by unknown authority".into(),
        CertificateError::NotValidForNameContext { expected, presented } if presented.is_empty() => format!("certificate is not valid for any names, but wanted to match {}", expected.to_str()),
        CertificateError::NotValidForNameContext { expected, presented } => format!("certificate is valid for {}, not {}", names(presented).join(", "), expected.to_str()),
        CertificateError::ExpiredContext { time, not_after } => format!("certificate has expired or is not yet valid: current time {} is after {}", time_words(*time), time_words(*not_after)),
        CertificateError::NotValidYetContext { time, not_before } => format!("certificate has expired or is not yet valid: current time {} is before {}", time_words(*time), time_words(*not_before)),
        CertificateError::Expired | CertificateError::NotValidYet => "certificate has expired or is not yet valid".into(),
        other => other.to_string(),
    }
}

/// Names without the marks of the certificate library: `DnsName("a")` is `a`.
fn names(presented: &[String]) -> Vec<&str> {
    presented.iter().map(|name| name.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"')).map_or(name.as_str(), |(inner, _)| inner)).collect()
}

fn time_words(time: UnixTime) -> String {
    let at = i64::try_from(time.as_secs()).ok().and_then(|s| jiff::Timestamp::from_second(s).ok()).unwrap_or_default();
    api::time::rfc3339(at)
}
