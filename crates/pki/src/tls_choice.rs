//! Which versions of TLS and which ciphers a server takes, by the names that Go has for them.
// Upstream: component-base cli/flag/ciphersuites_flag.go

use rustls::crypto::CryptoProvider;
use rustls::{ProtocolVersion, SupportedCipherSuite, SupportedProtocolVersion};

/// What is offered; by default all there is, which is TLS 1.2 and 1.3 with ciphers that Go prefers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsChoice {
    only_13: bool,
    /// Of TLS 1.2, by rustls' names; empty: all. Those of TLS 1.3 are always on, as in Go.
    suites: Vec<String>,
}

static ONLY_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

/// Names that Go knows, and nobody here: no server offers them that can do better.
const GO_ONLY: [&str; 17] = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_FALLBACK_SCSV",
];

impl TlsChoice {
    /// Reads `VersionTLS12` and names of ciphers; empty ones for what is usual. Tells what was passed over besides.
    ///
    /// # Errors
    /// Names that Go has not, in upstream's words.
    pub fn read(version: &str, names: &[String]) -> Result<(Self, Vec<String>), String> {
        let only_13 = match version {
            // A client that can no more than 1.1 is refused whatever the least is.
            "" | "VersionTLS10" | "VersionTLS11" | "VersionTLS12" => false,
            "VersionTLS13" => true,
            other => return Err(format!("unknown tls version {other:?}")),
        };
        let (mut suites, mut passed) = (Vec::new(), Vec::new());
        for name in names {
            match known(name) {
                Some(suite) => suites.extend((suite.version().version == ProtocolVersion::TLSv1_2).then(|| own_name(&suite))),
                None if GO_ONLY.contains(&name.as_str()) => passed.push(name.clone()),
                None => return Err(format!("Cipher suite {name} not supported or doesn't exist")),
            }
        }
        // Nothing that is known of 1.2 leaves 1.3.
        let only_13 = only_13 || (!names.is_empty() && suites.is_empty());
        Ok((Self { only_13, suites }, passed))
    }

    pub(crate) fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        if self.only_13 { &ONLY_13 } else { rustls::DEFAULT_VERSIONS }
    }

    pub(crate) fn provider(&self) -> CryptoProvider {
        let mut provider = rustls::crypto::ring::default_provider();
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|suite| suite.version().version == ProtocolVersion::TLSv1_3 || self.suites.contains(&own_name(suite)));
        }
        provider
    }
}

fn own_name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite())
}

/// Go leaves the version out of names of 1.3, and knows two names for each cipher with ChaCha20.
fn known(name: &str) -> Option<SupportedCipherSuite> {
    let fits = |suite: &&SupportedCipherSuite| {
        let own = own_name(suite).replace("TLS13_", "TLS_");
        own == name || own.strip_suffix("_SHA256").is_some_and(|short| short.ends_with("CHACHA20_POLY1305") && short == name)
    };
    rustls::crypto::ring::default_provider().cipher_suites.iter().find(fits).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(version: &str, names: &[&str]) -> Result<(TlsChoice, Vec<String>), String> {
        TlsChoice::read(version, &names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn versions_and_ciphers_are_chosen_by_gos_names() {
        let (usual, _) = read("", &[]).unwrap();
        assert_eq!((usual.versions().len(), usual.provider().cipher_suites.len()), (2, 9));
        assert_eq!(read("VersionTLS13", &[]).unwrap().0.versions().len(), 1);
        let (one, passed) = read("VersionTLS12", &["TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_CBC_SHA"]).unwrap();
        assert_eq!((one.provider().cipher_suites.len(), passed), (4, vec!["TLS_RSA_WITH_AES_128_CBC_SHA".to_owned()]));
        assert_eq!(read("", &["TLS_RSA_WITH_AES_128_CBC_SHA"]).unwrap().0.versions().len(), 1);
        assert_eq!(read("VersionTLS14", &[]).unwrap_err(), "unknown tls version \"VersionTLS14\"");
        assert_eq!(read("", &["TLS_NONE"]).unwrap_err(), "Cipher suite TLS_NONE not supported or doesn't exist");
    }
}
