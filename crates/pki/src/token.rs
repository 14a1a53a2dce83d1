//! Service-account tokens: ES256 JWTs signed by the cluster's own key.
//!
//! Never looks at what the claims mean beyond time. Keeps true: the first key of the file signs, every key of the file verifies,
//! so a rotation puts a new key first and old tokens live on.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use rcgen::{KeyPair, PublicKeyData};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{Error, file};

/// Upstream: go-jose/v4/jwt DefaultLeeway, used by pkg/serviceaccount for exp, nbf and iat.
const LEEWAY_SECONDS: u64 = 60;
const KEYS_MAX: usize = 8;

pub struct TokenSigner {
    path: PathBuf,
    keys: Vec<Key>,
}

struct Key {
    id: String,
    private_pem: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    x: String,
    y: String,
}

impl TokenSigner {
    /// Loads the PEM file of private keys, or makes one with a fresh key.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let Some(text) = file::read_if_present(&path)? else {
            let signer = Self { keys: vec![Key::generate()?], path };
            signer.save()?;
            return Ok(signer);
        };
        let corrupt = |why: String| Error::Corrupt { path: path.clone(), why };
        let keys = PrivatePkcs8KeyDer::pem_slice_iter(text.as_bytes())
            .map(|der| KeyPair::try_from(&der.map_err(|e| corrupt(e.to_string()))?).map_err(|e| corrupt(e.to_string())))
            .map(|pair| Key::new(&pair?))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() {
            return Err(corrupt("holds no private key".into()));
        }
        Ok(Self { path, keys })
    }

    /// Puts a new key first. Tokens of the older keys still verify; the oldest go when there are too many.
    pub fn rotate(&mut self) -> Result<(), Error> {
        self.keys.insert(0, Key::generate()?);
        self.keys.truncate(KEYS_MAX);
        self.save()
    }

    pub fn sign(&self, claims: &Value) -> Result<String, Error> {
        let key = &self.keys[0];
        let header = Header { typ: None, kid: Some(key.id.clone()), ..Header::new(Algorithm::ES256) };
        encode(&header, claims, &key.encoding).map_err(|e| Error::Token(e.to_string()))
    }

    /// Checks signature and time (`exp`, `nbf`); everything else is the caller's to judge.
    pub fn verify(&self, token: &str) -> Result<Value, Error> {
        let header = decode_header(token).map_err(|e| Error::Token(e.to_string()))?;
        let mut rules = Validation::new(Algorithm::ES256);
        rules.leeway = LEEWAY_SECONDS;
        rules.validate_exp = true;
        rules.validate_nbf = true;
        rules.validate_aud = false;
        rules.required_spec_claims.clear();
        let mut refused = Error::Token("no key of this cluster signed it".into());
        for key in self.keys.iter().filter(|key| header.kid.as_ref().is_none_or(|id| *id == key.id)) {
            match decode::<Value>(token, &key.decoding, &rules) {
                Ok(data) => return Ok(data.claims),
                Err(e) => refused = Error::Token(e.to_string()),
            }
        }
        Err(refused)
    }

    /// The public keys, as `/openid/v1/jwks` serves them.
    pub fn jwks(&self) -> Value {
        let keys: Vec<Value> = self
            .keys
            .iter()
            .map(|key| json!({"use": "sig", "kty": "EC", "kid": key.id, "crv": "P-256", "alg": "ES256", "x": key.x, "y": key.y}))
            .collect();
        json!({ "keys": keys })
    }

    fn save(&self) -> Result<(), Error> {
        let text: String = self.keys.iter().map(|key| key.private_pem.as_str()).collect();
        file::write_private(&self.path, text.as_bytes())
    }
}

impl Key {
    fn generate() -> Result<Self, Error> {
        Self::new(&KeyPair::generate().map_err(Error::certificate)?)
    }

    fn new(pair: &KeyPair) -> Result<Self, Error> {
        // An uncompressed P-256 point: 0x04, x, y.
        let [4, point @ ..] = pair.public_key_raw() else { return Err(Error::Token("not a P-256 key".into())) };
        let (Some(x), Some(y)) = (point.get(..32), point.get(32..64)) else { return Err(Error::Token("not a P-256 key".into())) };
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let private_pem = pair.serialize_pem();
        Ok(Self {
            // Upstream: pkg/serviceaccount/jwt.go keyIDFromPublicKey, SHA-256 of the SubjectPublicKeyInfo.
            id: URL_SAFE_NO_PAD.encode(Sha256::digest(pair.subject_public_key_info())),
            encoding: EncodingKey::from_ec_pem(private_pem.as_bytes()).map_err(|e| Error::Token(e.to_string()))?,
            decoding: DecodingKey::from_ec_components(&x, &y).map_err(|e| Error::Token(e.to_string()))?,
            private_pem,
            x,
            y,
        })
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
