//! Service-account tokens: JWTs signed by the cluster's own key (ES256), or by one that the configuration names.
//!
//! Never looks at what the claims mean beyond time. Keeps true: the first key signs, every key verifies, so a rotation puts a
//! new key first and old tokens live on.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Header, Validation, decode, decode_header, encode};
use rcgen::KeyPair;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::token_key::{self, TokenKey};
use crate::{Error, file};

/// Upstream: go-jose/v4/jwt DefaultLeeway, used by pkg/serviceaccount for exp, nbf and iat.
const LEEWAY_SECONDS: u64 = 60;
const KEYS_MAX: usize = 8;

pub struct TokenSigner {
    path: PathBuf,
    /// The cluster's own, the newest first.
    own: Vec<Own>,
    /// What the configuration names: who signs instead of the own keys, and who verifies besides.
    signing: Option<TokenKey>,
    further: Vec<TokenKey>,
}

struct Own {
    pem: String,
    key: TokenKey,
}

impl TokenSigner {
    /// Loads the PEM file of private keys, or makes one with a fresh key.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let Some(text) = file::read_if_present(&path)? else {
            let signer = Self { own: vec![Own::generate()?], path, signing: None, further: Vec::new() };
            signer.save()?;
            return Ok(signer);
        };
        let corrupt = |why: String| Error::Corrupt { path: path.clone(), why };
        let keys = PrivatePkcs8KeyDer::pem_slice_iter(text.as_bytes())
            .map(|der| KeyPair::try_from(&der.map_err(|e| corrupt(e.to_string()))?).map_err(|e| corrupt(e.to_string())))
            .map(|pair| Own::new(&pair?))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(corrupt("holds no private key".into()));
        }
        Ok(Self { path, own: keys, signing: None, further: Vec::new() })
    }

    /// Signs with the first key of a PEM file instead of the own one, and takes tokens of the keys of others: private keys,
    /// public keys and certificates in PEM.
    ///
    /// Upstream: client-go `util/keyutil/key.go`.
    pub fn configured(mut self, signing: Option<&str>, verifying: &[String]) -> Result<Self, Error> {
        self.signing = signing.map(token_key::private).transpose().map_err(Error::Token)?;
        for text in verifying {
            self.further.extend(token_key::public(text).map_err(Error::Token)?);
        }
        Ok(self)
    }

    /// All that verify, the one that signs first.
    fn keys(&self) -> impl Iterator<Item = &TokenKey> {
        let own = self.own.iter().map(|own| &own.key).filter(|_| self.signing.is_none());
        self.signing.iter().chain(own).chain(&self.further)
    }

    /// Puts a new key first. Tokens of the older keys still verify; the oldest go when there are too many.
    pub fn rotate(&mut self) -> Result<(), Error> {
        self.own.insert(0, Own::generate()?);
        self.own.truncate(KEYS_MAX);
        self.save()
    }

    pub fn sign(&self, claims: &Value) -> Result<String, Error> {
        let signs = self.keys().next().and_then(|key| Some((key, key.encoding.as_ref()?)));
        let (key, encoding) = signs.ok_or_else(|| Error::Token("no private key signs".into()))?;
        let header = Header { typ: None, kid: Some(key.id.clone()), ..Header::new(key.algorithm) };
        encode(&header, claims, encoding).map_err(|e| Error::Token(e.to_string()))
    }

    /// Checks signature and time (`exp`, `nbf`); everything else is the caller's to judge.
    pub fn verify(&self, token: &str) -> Result<Value, Error> {
        let header = decode_header(token).map_err(|e| Error::Token(e.to_string()))?;
        let mut rules = Validation::new(header.alg);
        rules.leeway = LEEWAY_SECONDS;
        rules.validate_exp = true;
        rules.validate_nbf = true;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        let mut refused = Error::Token("no key of this cluster signed it".into());
        for key in self.keys().filter(|key| key.algorithm == header.alg && header.kid.as_ref().is_none_or(|id| *id == key.id)) {
            match decode::<Value>(token, &key.decoding, &rules) {
                Ok(data) => return Ok(data.claims),
                Err(e) => refused = Error::Token(e.to_string()),
            }
        }
        Err(refused)
    }

    /// The public keys, as `/openid/v1/jwks` serves them.
    pub fn jwks(&self) -> Value {
        let mut seen = std::collections::BTreeSet::new();
        let keys: Vec<&Value> = self.keys().filter(|key| seen.insert(&key.id)).map(|key| &key.jwk).collect();
        json!({ "keys": keys })
    }

    /// How tokens are signed, sorted.
    pub fn algorithms(&self) -> Vec<String> {
        let names: std::collections::BTreeSet<String> = self.keys().map(|key| format!("{:?}", key.algorithm)).collect();
        names.into_iter().collect()
    }

    fn save(&self) -> Result<(), Error> {
        let text: String = self.own.iter().map(|own| own.pem.as_str()).collect();
        file::write_private(&self.path, text.as_bytes())
    }
}

impl Own {
    fn generate() -> Result<Self, Error> {
        Self::new(&KeyPair::generate().map_err(Error::certificate)?)
    }

    fn new(pair: &KeyPair) -> Result<Self, Error> {
        let pem = pair.serialize_pem();
        Ok(Self { key: token_key::private(&pem).map_err(Error::Token)?, pem })
    }
}

/// A signature of a text that travels without the text, keyed with a bootstrap token.
///
/// Upstream: `cluster-bootstrap/token/jws/jws.go`: HS256, its key filled up to 32 bytes.
pub fn detached_signature(content: &str, id: &str, secret: &str) -> String {
    let mut key = secret.as_bytes().to_vec();
    key.resize(key.len().max(32), 0);
    let header = URL_SAFE_NO_PAD.encode(json!({"alg": "HS256", "kid": id}).to_string());
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(content));
    let tag = ring::hmac::sign(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key), signed.as_bytes());
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_detached_signature_is_as_upstream_makes_it() {
        // Upstream: `cluster-bootstrap/token/jws/jws_test.go`.
        let made = detached_signature("Hello from the other side. I must have called a thousand times.", "joshua", "my voice is my passcode");
        assert_eq!(made, "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8");
    }

    #[test]
    fn tokens_survive_restart_and_rotation_but_not_their_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sa.key");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({"sub": "system:serviceaccount:a:b", "aud": ["x"], "exp": now + 600, "nbf": now});
        let old = TokenSigner::load_or_create(&path).unwrap().sign(&claims).unwrap();
        let mut signer = TokenSigner::load_or_create(&path).unwrap();
        signer.rotate().unwrap();
        let new = signer.sign(&claims).unwrap();
        let signer = TokenSigner::load_or_create(&path).unwrap();
        assert_eq!(signer.verify(&old).unwrap(), claims);
        assert_eq!(signer.verify(&new).unwrap(), claims);
        assert_eq!(signer.jwks()["keys"].as_array().unwrap().len(), 2);
        let ended = signer.sign(&json!({"exp": now - 120})).unwrap();
        let early = signer.sign(&json!({"nbf": now + 120})).unwrap();
        assert!(signer.verify(&ended).is_err() && signer.verify(&early).is_err());
        assert!(signer.verify(&signer.sign(&json!({"sub": "x"})).unwrap()).is_ok());
        let stranger = TokenSigner::load_or_create(dir.path().join("other.key")).unwrap();
        assert!(stranger.verify(&new).is_err());
        assert!(signer.verify("").is_err() && signer.verify("a.b.c").is_err());
    }
}
