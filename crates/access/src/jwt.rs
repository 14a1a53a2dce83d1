//! JSON web tokens of others: read, and verified against a set of keys.
//!
//! Never looks at what claims mean. Keeps true: only asymmetric algorithms count, the key decides which of them fit, and all
//! inputs are bounded.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::DecodingKey;
use p521::ecdsa::signature::Verifier as _;
use serde_json::{Map, Value};

/// Longest token that is read.
const MAX_TOKEN: usize = 128 << 10;
/// Keys of one issuer that are kept.
const MAX_KEYS: usize = 256;
/// Sizes of an RSA modulus in bytes. Upstream: Go refuses keys of less than 1024 bits.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 128..=1024;

/// How a token may be signed. Upstream: apiserver `plugin/pkg/authenticator/token/oidc/oidc.go`, `allowedSigningAlgs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
    Es512,
    Ps256,
    Ps384,
    Ps512,
}

impl Algorithm {
    pub const ALL: [(&'static str, Self); 9] = [
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("ES512", Self::Es512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
    ];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|(_, a)| *a)
    }

    fn kind(self) -> Kind {
        match self {
            Self::Es256 => Kind::P256,
            Self::Es384 => Kind::P384,
            Self::Es512 => Kind::P521,
            _ => Kind::Rsa,
        }
    }

    /// None for what the library does not know.
    fn of_library(self) -> Option<jsonwebtoken::Algorithm> {
        use jsonwebtoken::Algorithm as Of;
        Some(match self {
            Self::Rs256 => Of::RS256,
            Self::Rs384 => Of::RS384,
            Self::Rs512 => Of::RS512,
            Self::Es256 => Of::ES256,
            Self::Es384 => Of::ES384,
            Self::Ps256 => Of::PS256,
            Self::Ps384 => Of::PS384,
            Self::Ps512 => Of::PS512,
            Self::Es512 => return None,
        })
    }
}

/// A token in its parts. Nothing of it is to be believed before it is verified.
#[derive(Debug)]
pub struct Token<'a> {
    pub claims: Map<String, Value>,
    algorithm: String,
    key_id: String,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Token<'a> {
    /// None where the text is no token in compact form.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_TOKEN {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.').filter(|(_, p)| !p.contains('.'))?;
        let part = |text: &str| -> Option<Map<String, Value>> { serde_json::from_slice(&BASE64.decode(text).ok()?).ok() };
        let header = part(header)?;
        // What must be understood is not.
        if header.contains_key("crit") {
            return None;
        }
        let text = |key: &str| header.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Some(Self { claims: part(payload)?, algorithm: text("alg"), key_id: text("kid"), signed, signature })
    }

    /// Who is said to have issued it. Upstream: Google's older name counts as its newer.
    pub fn issuer(&self) -> &str {
        match self.claims.get("iss").and_then(Value::as_str).unwrap_or_default() {
            "accounts.google.com" => "https://accounts.google.com",
            other => other,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    P521,
}

enum Public {
    Library(DecodingKey),
    P521(Box<p521::ecdsa::VerifyingKey>),
}

struct Key {
    id: String,
    kind: Kind,
    public: Public,
}

/// The public keys of an issuer.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

impl KeySet {
    /// Reads a JSON web key set; keys of unknown kinds are passed over.
    pub fn parse(document: &Value) -> Result<Self, String> {
        let keys = document["keys"].as_array().ok_or("the key set has no list \"keys\"")?;
        Ok(Self { keys: keys.iter().take(MAX_KEYS).filter_map(Key::parse).collect() })
    }

    /// Whether one of the keys signed the token. `Ok(false)`: none did, and newer keys might have.
    pub fn verify(&self, token: &Token<'_>, allowed: &[Algorithm]) -> Result<bool, String> {
        let algorithm = Algorithm::parse(&token.algorithm).filter(|a| allowed.contains(a));
        let algorithm = algorithm.ok_or_else(|| format!("oidc: id token signed with unsupported algorithm, got {:?}", token.algorithm))?;
        let mut fitting = self.keys.iter().filter(|k| k.kind == algorithm.kind() && (token.key_id.is_empty() || k.id == token.key_id));
        Ok(fitting.any(|key| key.signed(token, algorithm)))
    }
}

impl Key {
    fn parse(jwk: &Value) -> Option<Self> {
        let text = |key: &str| jwk[key].as_str();
        let bytes = |key: &str| BASE64.decode(text(key)?.trim_end_matches('=')).ok();
        let (kind, public) = match (text("kty")?, text("crv").unwrap_or_default()) {
            ("RSA", _) => {
                let (modulus, exponent) = (bytes("n")?, bytes("e")?);
                if !RSA_BYTES.contains(&modulus.len()) || exponent.len() > 8 {
                    return None;
                }
                (Kind::Rsa, Public::Library(DecodingKey::from_rsa_raw_components(&modulus, &exponent)))
            }
            ("EC", "P-521") => {
                let (x, y) = (padded(&bytes("x")?)?, padded(&bytes("y")?)?);
                let point = p521::EncodedPoint::from_affine_coordinates((&x[..]).into(), (&y[..]).into(), false);
                (Kind::P521, Public::P521(Box::new(p521::ecdsa::VerifyingKey::from_encoded_point(&point).ok()?)))
            }
            ("EC", curve) => {
                let kind = if curve == "P-256" { Kind::P256 } else if curve == "P-384" { Kind::P384 } else { return None };
                (kind, Public::Library(DecodingKey::from_ec_components(text("x")?, text("y")?).ok()?))
            }
            _ => return None,
        };
        Some(Self { id: text("kid").unwrap_or_default().to_owned(), kind, public })
    }

    fn signed(&self, token: &Token<'_>, algorithm: Algorithm) -> bool {
        match (&self.public, algorithm.of_library()) {
            (Public::Library(key), Some(algorithm)) => jsonwebtoken::crypto::verify(token.signature, token.signed.as_bytes(), key, algorithm).unwrap_or(false),
            (Public::P521(key), None) => {
                let signature = BASE64.decode(token.signature).ok().and_then(|s| p521::ecdsa::Signature::from_slice(&s).ok());
                signature.is_some_and(|s| key.verify(token.signed.as_bytes(), &s).is_ok())
            }
            _ => false,
        }
    }
}

/// A coordinate of P-521 at its full length.
fn padded(bytes: &[u8]) -> Option<[u8; 66]> {
    let mut full = [0; 66];
    full.get_mut(66usize.checked_sub(bytes.len())?..)?.copy_from_slice(bytes);
    Some(full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use p521::ecdsa::signature::Signer as _;
    use serde_json::json;

    fn encoded(value: &Value) -> String {
        BASE64.encode(value.to_string())
    }

    #[test]
    fn es512_is_verified_and_the_key_decides_the_algorithm() {
        let mut secret = [7; 66];
        secret[0] = 0;
        let secret = p521::ecdsa::SigningKey::from_slice(&secret).unwrap();
        let point = p521::ecdsa::VerifyingKey::from(&secret).to_encoded_point(false);
        let jwk = json!({"kty": "EC", "crv": "P-521", "kid": "a", "x": BASE64.encode(point.x().unwrap()), "y": BASE64.encode(point.y().unwrap())});
        let keys = KeySet::parse(&json!({"keys": [{"kty": "oct", "k": "AAAA"}, jwk]})).unwrap();
        let signed = format!("{}.{}", encoded(&json!({"alg": "ES512", "kid": "a"})), encoded(&json!({"iss": "x"})));
        let signature: p521::ecdsa::Signature = secret.sign(signed.as_bytes());
        let text = format!("{signed}.{}", BASE64.encode(signature.to_bytes()));
        let token = Token::parse(&text).unwrap();
        assert_eq!(token.issuer(), "x");
        assert_eq!(keys.verify(&token, &[Algorithm::Es512]), Ok(true));
        assert!(keys.verify(&token, &[Algorithm::Rs256]).is_err());
        assert_eq!(KeySet::default().verify(&token, &[Algorithm::Es512]), Ok(false));
        let forged = text.replacen(&encoded(&json!({"iss": "x"})), &encoded(&json!({"iss": "y"})), 1);
        assert_eq!(keys.verify(&Token::parse(&forged).unwrap(), &[Algorithm::Es512]), Ok(false));
    }

    #[test]
    fn what_is_no_signed_token_is_refused() {
        let payload = encoded(&json!({}));
        for header in [json!({"alg": "none"}), json!({"alg": "HS256"}), json!({})] {
            let text = format!("{}.{payload}.AAAA", encoded(&header));
            let token = Token::parse(&text).unwrap();
            assert!(KeySet::default().verify(&token, &Algorithm::ALL.map(|(_, a)| a)).is_err());
        }
        let critical = format!("{}.{payload}.AAAA", encoded(&json!({"alg": "RS256", "crit": ["exp"]})));
        for text in ["", "a.b.c", "a.b", "..", &format!("{payload}.{payload}.{payload}.x"), &"x".repeat(MAX_TOKEN + 1), &critical] {
            assert!(Token::parse(text).is_none(), "{text:.40}");
        }
    }
}
