//! How the server shows that it may speak for users: the front proxy's authority and certificate.
//!
//! Upstream: `--requestheader-client-ca-file`, `--proxy-client-cert-file`; `pkg/controlplane/controller/clusterauthenticationtrust`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use access::RequestHeader;
use http::header::{HeaderName, HeaderValue};
use http::HeaderMap;
use parking_lot::Mutex;
use pki::{Authority, Issued, Leaf};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::registrations::Remote;
use crate::upstream;
use crate::user::User;
use crate::webhook;

const CLIENT: &str = "front-proxy-client";
/// Settings for so many bundles are kept.
const KEPT: usize = 64;

pub struct Front {
    authority_pem: String,
    issued: Issued,
    settings: Mutex<HashMap<Option<Vec<u8>>, Arc<ClientConfig>>>,
}

impl Front {
    pub fn load_or_create(folder: &Path) -> Result<Self, pki::Error> {
        let authority = Authority::load_or_create(folder, "front-proxy-ca")?;
        let leaf = Leaf { common_name: CLIENT.into(), client: true, days: 365, ..Leaf::default() };
        let issued = authority.load_or_issue(folder, CLIENT, &leaf)?;
        Ok(Self { authority_pem: authority.cert_pem().to_owned(), issued, settings: Mutex::default() })
    }

    /// TLS settings for a registered server; none of its certificate is checked where the registration says so.
    pub fn settings(&self, remote: &Remote) -> Result<Arc<ClientConfig>, String> {
        self.settings_for((!remote.insecure).then(|| remote.ca_bundle.clone()))
    }

    /// For a bundle, or for anybody.
    pub fn settings_for(&self, bundle: Option<Vec<u8>>) -> Result<Arc<ClientConfig>, String> {
        if let Some(known) = self.settings.lock().get(&bundle) {
            return Ok(known.clone());
        }
        let builder = match &bundle {
            Some(bundle) => webhook::client_config(bundle)?,
            None => upstream::trusts_anybody().map_err(|e| e.message)?,
        };
        let chain = CertificateDer::pem_slice_iter(self.issued.cert_pem.as_bytes()).collect::<Result<Vec<_>, _>>().map_err(|e| e.to_string())?;
        let key = PrivateKeyDer::from_pem_slice(self.issued.key_pem.as_bytes()).map_err(|e| e.to_string())?;
        let mut config = builder.with_client_auth_cert(chain, key).map_err(|e| e.to_string())?;
        // Upgrades need HTTP/1.1.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let config = Arc::new(config);
        let mut settings = self.settings.lock();
        if settings.len() >= KEPT {
            settings.clear();
        }
        settings.insert(bundle, config.clone());
        Ok(config)
    }

    /// How this server knows its own front proxies.
    pub fn request_header(&self) -> RequestHeader {
        RequestHeader::usual(&self.authority_pem, CLIENT)
    }
}

/// Names the user to a registered server; what the client said of itself there goes.
///
/// Upstream: client-go `transport.SetAuthProxyHeaders`.
pub fn name_user(headers: &mut HeaderMap, user: &User) {
    let claimed: Vec<HeaderName> = headers.keys().filter(|k| k.as_str().starts_with("x-remote-")).cloned().collect();
    for name in claimed {
        headers.remove(&name);
    }
    let mut put = |name: &str, value: &str| {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes())) {
            headers.append(name, value);
        }
    };
    put("x-remote-user", &user.name);
    if !user.uid.is_empty() {
        put("x-remote-uid", &user.uid);
    }
    for group in &user.groups {
        put("x-remote-group", group);
    }
    for (key, values) in &user.extra {
        for value in values {
            put(&format!("x-remote-extra-{}", escaped(key)), value);
        }
    }
}

/// Upstream: all that a header's name cannot hold is percent-encoded, and percent itself.
fn escaped(key: &str) -> String {
    let mut out = String::new();
    for byte in key.to_ascii_lowercase().bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_names_himself() {
        let mut headers = HeaderMap::new();
        headers.insert("x-remote-user", HeaderValue::from_static("admin"));
        headers.insert("x-remote-extra-scopes", HeaderValue::from_static("all"));
        let mut user = User::new("eva", &["dev"]);
        user.extra.insert("example.org/Team".into(), vec!["a".into()]);
        name_user(&mut headers, &user);
        let told: Vec<String> = headers.iter().map(|(k, v)| format!("{k}: {}", v.to_str().unwrap())).collect();
        assert_eq!(told, ["x-remote-user: eva", "x-remote-group: dev", "x-remote-group: system:authenticated", "x-remote-extra-example.org%2fteam: a"]);
    }
}
