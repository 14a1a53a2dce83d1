//! Keys of service-account tokens as files hold them: private keys, public keys and certificates in PEM, RSA or on a curve.
//!
//! Upstream: client-go `util/keyutil/key.go`; `pkg/serviceaccount/jwt.go` for the algorithms and the keys' ids.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use rsa::RsaPublicKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey, EncodeRsaPrivateKey};
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey};
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use x509_parser::pem::Pem;

/// Keys of one file that are read.
const MAX_KEYS: usize = 64;

/// A key that verifies, and signs where its private half is known.
pub struct TokenKey {
    pub id: String,
    pub algorithm: Algorithm,
    pub encoding: Option<EncodingKey>,
    pub decoding: DecodingKey,
    /// The public half as a JSON web key.
    pub jwk: Value,
}

/// The first private key of a file.
pub fn private(pem: &str) -> Result<TokenKey, String> {
    let signs = sections(pem).find_map(|s| key_of(&s).filter(|key| key.encoding.is_some()));
    signs.ok_or_else(|| "data does not contain a valid RSA or ECDSA private key".into())
}

/// The public keys of a file, those of private keys too.
pub fn public(pem: &str) -> Result<Vec<TokenKey>, String> {
    let keys: Vec<TokenKey> = sections(pem).filter_map(|s| key_of(&s)).map(|key| TokenKey { encoding: None, ..key }).collect();
    if keys.is_empty() { Err("data does not contain any valid RSA or ECDSA public keys".into()) } else { Ok(keys) }
}

fn sections(pem: &str) -> impl Iterator<Item = Pem> {
    Pem::iter_from_buffer(pem.as_bytes()).filter_map(Result::ok).take(MAX_KEYS)
}

fn key_of(section: &Pem) -> Option<TokenKey> {
    let der = &section.contents[..];
    match section.label.as_str() {
        "PRIVATE KEY" => match rsa::RsaPrivateKey::from_pkcs8_der(der) {
            Ok(key) => rsa_private(&key),
            Err(_) => p256::SecretKey::from_pkcs8_der(der).ok().and_then(|k| p256_private(&k)).or_else(|| p384_private(&p384::SecretKey::from_pkcs8_der(der).ok()?)),
        },
        "RSA PRIVATE KEY" => rsa_private(&rsa::RsaPrivateKey::from_pkcs1_der(der).ok()?),
        "EC PRIVATE KEY" => p256::SecretKey::from_sec1_der(der).ok().and_then(|k| p256_private(&k)).or_else(|| p384_private(&p384::SecretKey::from_sec1_der(der).ok()?)),
        "RSA PUBLIC KEY" => rsa_key(&RsaPublicKey::from_pkcs1_der(der).ok()?, None),
        "PUBLIC KEY" => of_public(der),
        "CERTIFICATE" => of_public(section.parse_x509().ok()?.public_key().raw),
        _ => None,
    }
}

fn of_public(der: &[u8]) -> Option<TokenKey> {
    if let Ok(key) = RsaPublicKey::from_public_key_der(der) {
        return rsa_key(&key, None);
    }
    match p256::PublicKey::from_public_key_der(der) {
        Ok(key) => p256_key(&key, None),
        Err(_) => p384_key(&p384::PublicKey::from_public_key_der(der).ok()?, None),
    }
}

fn rsa_private(key: &rsa::RsaPrivateKey) -> Option<TokenKey> {
    rsa_key(&key.to_public_key(), Some(EncodingKey::from_rsa_der(key.to_pkcs1_der().ok()?.as_bytes())))
}

fn p256_private(key: &p256::SecretKey) -> Option<TokenKey> {
    p256_key(&key.public_key(), Some(EncodingKey::from_ec_der(key.to_pkcs8_der().ok()?.as_bytes())))
}

fn p384_private(key: &p384::SecretKey) -> Option<TokenKey> {
    p384_key(&key.public_key(), Some(EncodingKey::from_ec_der(key.to_pkcs8_der().ok()?.as_bytes())))
}

fn rsa_key(key: &RsaPublicKey, encoding: Option<EncodingKey>) -> Option<TokenKey> {
    let (n, e) = (BASE64.encode(key.n().to_bytes_be()), BASE64.encode(key.e().to_bytes_be()));
    let id = id(key.to_public_key_der().ok()?.as_bytes());
    let jwk = json!({"use": "sig", "kty": "RSA", "kid": id, "alg": "RS256", "n": n, "e": e});
    Some(TokenKey { id, algorithm: Algorithm::RS256, encoding, decoding: DecodingKey::from_rsa_components(&n, &e).ok()?, jwk })
}

fn p256_key(key: &p256::PublicKey, encoding: Option<EncodingKey>) -> Option<TokenKey> {
    let point = key.to_encoded_point(false);
    curve_key(("P-256", Algorithm::ES256), (point.x()?, point.y()?), key.to_public_key_der().ok()?.as_bytes(), encoding)
}

fn p384_key(key: &p384::PublicKey, encoding: Option<EncodingKey>) -> Option<TokenKey> {
    let point = key.to_encoded_point(false);
    curve_key(("P-384", Algorithm::ES384), (point.x()?, point.y()?), key.to_public_key_der().ok()?.as_bytes(), encoding)
}

fn curve_key((curve, algorithm): (&str, Algorithm), (x, y): (&[u8], &[u8]), der: &[u8], encoding: Option<EncodingKey>) -> Option<TokenKey> {
    let (x, y, id) = (BASE64.encode(x), BASE64.encode(y), id(der));
    let jwk = json!({"use": "sig", "kty": "EC", "kid": id, "crv": curve, "alg": format!("{algorithm:?}"), "x": x, "y": y});
    Some(TokenKey { id, algorithm, encoding, decoding: DecodingKey::from_ec_components(&x, &y).ok()?, jwk })
}

/// Upstream: `keyIDFromPublicKey`, SHA-256 of the SubjectPublicKeyInfo.
fn id(der: &[u8]) -> String {
    BASE64.encode(Sha256::digest(der))
}
