//! TLS settings for servers and clients of the cluster, on rustls with ring.
//!
//! Never reads files. Keeps true: a certificate can be exchanged while the server runs ([`CertSlot`]).

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme};

use crate::{Error, Issued, TlsChoice};
use x509_parser::extensions::GeneralName;

/// The certificates a server shows, exchangeable at any time: one for all, and others for names that clients ask for.
#[derive(Debug)]
pub struct CertSlot {
    usual: ArcSwap<CertifiedKey>,
    named: ArcSwap<Vec<(Vec<String>, Arc<CertifiedKey>)>>,
}

impl CertSlot {
    pub fn new(issued: &Issued) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self { usual: ArcSwap::from_pointee(certified(issued)?), named: ArcSwap::default() }))
    }

    /// New connections see the new certificate; running ones keep theirs.
    pub fn replace(&self, issued: &Issued) -> Result<(), Error> {
        self.usual.store(Arc::new(certified(issued)?));
        Ok(())
    }

    /// Exchanges the usual certificate, where one is given, and all that are for names; a pair without names is for those that
    /// its certificate holds. Fails without a change.
    pub fn exchange(&self, usual: Option<Issued>, named: Vec<(Vec<String>, Issued)>) -> Result<(), Error> {
        let usual = usual.map(|issued| certified(&issued)).transpose()?;
        let named = named.into_iter().map(|(names, issued)| {
            let names = if names.is_empty() { names_of(&issued)? } else { names };
            Ok((names, Arc::new(certified(&issued)?)))
        });
        let named = named.collect::<Result<Vec<_>, Error>>()?;
        if let Some(usual) = usual {
            self.usual.store(Arc::new(usual));
        }
        self.named.store(Arc::new(named));
        Ok(())
    }
}

/// Names and addresses of a certificate.
fn names_of(issued: &Issued) -> Result<Vec<String>, Error> {
    let leaf = chain(&issued.cert_pem)?.into_iter().next().ok_or_else(|| Error::Tls("no certificate in the PEM text".into()))?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&leaf).map_err(Error::tls)?;
    let names = certificate.subject_alternative_name().map_err(Error::tls)?;
    let name = |name: &GeneralName<'_>| if let GeneralName::DNSName(name) = name { Some(name.to_ascii_lowercase()) } else { None };
    Ok(names.map(|found| found.value.general_names.iter().filter_map(name).collect()).unwrap_or_default())
}

/// Upstream: a star stands for one label. apiserver `pkg/server/options/serving.go`.
fn is_for(pattern: &str, name: &str) -> bool {
    pattern.eq_ignore_ascii_case(name) || pattern.strip_prefix("*.").is_some_and(|rest| name.split_once('.').is_some_and(|(_, end)| end.eq_ignore_ascii_case(rest)))
}

impl ResolvesServerCert for CertSlot {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = self.named.load();
        let asked = hello.server_name().and_then(|name| named.iter().find(|(names, _)| names.iter().any(|pattern| is_for(pattern, name))));
        Some(asked.map_or_else(|| self.usual.load_full(), |(_, key)| key.clone()))
    }
}

/// What a server asks of its clients.
#[derive(Debug, Clone, Copy)]
pub enum ClientAuth<'a> {
    None,
    /// A certificate is verified against these authorities when one is shown.
    Optional { ca_pem: &'a str },
    /// Any certificate is taken whose key the client holds; the caller asks the roots whom to believe. Clients are told of all roots.
    Shown { roots: &'a [&'a ClientRoots] },
}

/// Authorities of clients.
#[derive(Debug, Clone)]
pub struct ClientRoots(Arc<dyn ClientCertVerifier>);

impl ClientRoots {
    pub fn new(ca_pem: &str) -> Result<Self, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca_pem)?), provider).allow_unauthenticated().build().map_err(Error::tls)?;
        Ok(Self(verifier))
    }

    /// Whether these authorities stand behind a chain now.
    pub fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Error> {
        let Some((leaf, others)) = chain.split_first() else { return Err(Error::Tls("no certificate was shown".into())) };
        self.0.verify_client_cert(leaf, others, UnixTime::now()).map(|_| ()).map_err(Error::tls)
    }
}

/// Believes that a client holds the key of what it shows, and nothing else.
#[derive(Debug)]
struct Shown {
    hints: Vec<DistinguishedName>,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Shown {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
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

/// TLS 1.2 and 1.3 with HTTP/2 before HTTP/1.1.
pub fn server_config(slot: Arc<CertSlot>, auth: ClientAuth<'_>) -> Result<Arc<ServerConfig>, Error> {
    server_config_of(slot, auth, &TlsChoice::default()).map(Arc::new)
}

/// The same with a choice of versions and ciphers.
pub fn server_config_of(slot: Arc<CertSlot>, auth: ClientAuth<'_>, choice: &TlsChoice) -> Result<ServerConfig, Error> {
    let provider = Arc::new(choice.provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(choice.versions()).map_err(Error::tls)?;
    let builder = match auth {
        ClientAuth::None => builder.with_no_client_auth(),
        ClientAuth::Optional { ca_pem } => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca_pem)?), provider)
                .allow_unauthenticated()
                .build()
                .map_err(Error::tls)?;
            builder.with_client_cert_verifier(verifier)
        }
        ClientAuth::Shown { roots } => {
            let hints = roots.iter().flat_map(|r| r.0.root_hint_subjects().to_vec()).collect();
            builder.with_client_cert_verifier(Arc::new(Shown { hints, provider }))
        }
    };
    let mut config = builder.with_cert_resolver(slot);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// A client that trusts `ca_pem` only and shows `identity` when it has one. ALPN is left to the caller.
pub fn client_config(ca_pem: &str, identity: Option<&Issued>) -> Result<ClientConfig, Error> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::tls)?
        .with_root_certificates(roots(ca_pem)?);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(issued) => builder.with_client_auth_cert(chain(&issued.cert_pem)?, key(&issued.key_pem)?).map_err(Error::tls),
    }
}

/// A certificate with its chain, and its key, out of PEM.
pub fn identity_of_pem(certificate: &[u8], key_pem: &[u8]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let text = |bytes| std::str::from_utf8(bytes).map_err(Error::tls);
    Ok((chain(text(certificate)?)?, key(text(key_pem)?)?))
}

fn certified(issued: &Issued) -> Result<CertifiedKey, Error> {
    let signer = rustls::crypto::ring::sign::any_supported_type(&key(&issued.key_pem)?).map_err(Error::tls)?;
    let certified = CertifiedKey::new(chain(&issued.cert_pem)?, signer);
    certified.keys_match().map_err(Error::tls)?;
    Ok(certified)
}

fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>().map_err(Error::tls)?;
    if chain.is_empty() {
        return Err(Error::Tls("no certificate in the PEM text".into()));
    }
    Ok(chain)
}

fn key(pem: &str) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(Error::tls)
}

fn roots(ca_pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(ca_pem)? {
        roots.add(certificate).map_err(Error::tls)?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Authority, Leaf, peer_identity};

    /// Moves bytes between two connections in memory until both are done with the handshake.
    fn shake(client: &mut rustls::ClientConnection, server: &mut rustls::ServerConnection) -> Result<(), rustls::Error> {
        while client.is_handshaking() || server.is_handshaking() {
            let mut bytes = Vec::new();
            client.write_tls(&mut bytes).unwrap();
            server.read_tls(&mut bytes.as_slice()).unwrap();
            server.process_new_packets()?;
            let mut bytes = Vec::new();
            server.write_tls(&mut bytes).unwrap();
            client.read_tls(&mut bytes.as_slice()).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }

    #[test]
    fn clients_are_known_by_certificate_and_strangers_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let ours = Authority::load_or_create(dir.path(), "ours").unwrap();
        let theirs = Authority::load_or_create(dir.path(), "theirs").unwrap();
        let server = Leaf { common_name: "api".into(), dns_names: vec!["localhost".into()], server: true, ..Leaf::default() };
        let person = Leaf { common_name: "eva".into(), organizations: vec!["system:masters".into()], client: true, ..Leaf::default() };
        let slot = CertSlot::new(&ours.issue(&server).unwrap()).unwrap();
        let config = server_config(slot, ClientAuth::Optional { ca_pem: ours.cert_pem() }).unwrap();
        for (identity, expected) in [
            (None, Ok(None)),
            (Some(ours.issue(&person).unwrap()), Ok(Some(("eva".to_owned(), vec!["system:masters".to_owned()])))),
            (Some(theirs.issue(&person).unwrap()), Err(())),
        ] {
            let client = client_config(ours.cert_pem(), identity.as_ref()).unwrap();
            let mut client = rustls::ClientConnection::new(Arc::new(client), "localhost".try_into().unwrap()).unwrap();
            let mut server = rustls::ServerConnection::new(config.clone()).unwrap();
            let seen = shake(&mut client, &mut server).map_err(|_| ());
            let seen = seen.map(|()| server.peer_certificates().map(|c| peer_identity(&c[0]).unwrap()));
            assert_eq!(seen, expected);
        }
    }
}
