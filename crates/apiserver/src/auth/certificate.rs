//! Client certificates: whom one names, and whether its holder may speak for others.
//!
//! A connection's certificate is looked at once. Keeps true: it counts only while it is valid.

use std::sync::Arc;

use access::RequestHeader;
use http::HeaderMap;
use jiff::Timestamp;
use parking_lot::Mutex;
use pki::ClientRoots;
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::user::User;

/// What became known of a certificate.
#[derive(Debug)]
pub struct Certificate {
    /// None where no authority of clients stands behind it.
    user: Option<User>,
    /// Its holder is a front proxy.
    is_front: bool,
    /// In seconds since 1970.
    ends: i64,
}

/// What a connection showed. It is looked at once for each change of whose certificates count.
pub struct Shown {
    chain: Vec<CertificateDer<'static>>,
    looked: Mutex<Option<Looked>>,
}

struct Looked {
    by: Arc<Certificates>,
    found: Arc<Certificate>,
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}

impl Shown {
    pub fn new(chain: &[CertificateDer<'_>]) -> Arc<Self> {
        Arc::new(Self { chain: chain.iter().map(|c| c.clone().into_owned()).collect(), looked: Mutex::default() })
    }

    /// Whom it speaks for in this request.
    pub fn user(&self, certificates: &Arc<Certificates>, headers: &HeaderMap) -> Option<User> {
        let mut looked = self.looked.lock();
        let found = match &*looked {
            Some(known) if Arc::ptr_eq(&known.by, certificates) => known.found.clone(),
            _ => {
                let found = certificates.look(&self.chain)?;
                *looked = Some(Looked { by: certificates.clone(), found: found.clone() });
                found
            }
        };
        drop(looked);
        certificates.user(&found, headers)
    }
}

/// Whose certificates count.
pub struct Certificates {
    clients: ClientRoots,
    clients_pem: String,
    fronts: ClientRoots,
    front: RequestHeader,
}

impl Certificates {
    pub fn new(clients_pem: String, front: RequestHeader) -> Result<Self, String> {
        front.check()?;
        let clients = ClientRoots::new(&clients_pem).map_err(|e| format!("--client-ca-file: {e}"))?;
        let fronts = ClientRoots::new(&front.client_ca).map_err(|e| format!("--requestheader-client-ca-file: {e}"))?;
        if front.allowed_names.is_empty() && overlap(&clients_pem, &front.client_ca) {
            return Err("--requestheader-client-ca-file and --client-ca-file contain overlapping certificates; --requestheader-allowed-names must be specified to ensure regular client certificates cannot set authenticating proxy headers for arbitrary users".into());
        }
        Ok(Self { clients, clients_pem, fronts, front })
    }

    /// All authorities that a client may have its certificate from.
    pub fn roots(&self) -> [&ClientRoots; 2] {
        [&self.clients, &self.fronts]
    }

    /// Looks at what a client showed.
    pub fn look(&self, chain: &[CertificateDer<'_>]) -> Option<Arc<Certificate>> {
        let leaf = chain.first()?;
        let named = pki::peer_identity(leaf).ok();
        let is_front = self.fronts.verify(chain).is_ok() && named.as_ref().is_some_and(|(name, _)| self.front.allows(name));
        let user = named.filter(|_| self.clients.verify(chain).is_ok()).map(|(name, groups)| {
            let mut user = User { name, groups, ..User::default() };
            // Upstream: `pkg/authentication/request/x509/x509.go`, `CommonNameUserConversion`.
            let digest: String = Sha256::digest(leaf).iter().map(|b| format!("{b:02x}")).collect();
            user.extra.insert("authentication.kubernetes.io/credential-id".into(), vec![format!("X509SHA256={digest}")]);
            user.is_authenticated();
            user
        });
        Some(Arc::new(Certificate { user, is_front, ends: pki::expires(leaf).unwrap_or_default() }))
    }

    /// Whom a certificate speaks for in this request. Upstream: front proxies are asked before the certificate's own name.
    pub fn user(&self, certificate: &Certificate, headers: &HeaderMap) -> Option<User> {
        if certificate.ends < Timestamp::now().as_second() {
            return None;
        }
        let named = certificate.is_front.then(|| self.front.user(headers)).flatten();
        named.or_else(|| certificate.user.clone())
    }

    /// What other servers must know to believe the same.
    pub fn published(&self) -> Value {
        self.front.published(&self.clients_pem)
    }
}

fn overlap(one: &str, other: &str) -> bool {
    let blocks = |pem: &str| -> Vec<String> { pem.split("-----END CERTIFICATE-----").filter_map(|part| part.split_once("-----BEGIN CERTIFICATE-----")).map(|(_, body)| body.split_whitespace().collect()).collect() };
    let others = blocks(other);
    blocks(one).iter().any(|block| others.contains(block))
}
