//! Private keys: made, written and read as Go's crypto/x509 does.

use gotemplate::{Failure, Functions, Signature, Type, Value};
use num_bigint_dig::prime::probably_prime;
use num_bigint_dig::{BigUint, ModInverse};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use rand::RngCore;
use rcgen::KeyPair;
use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rsa::traits::PublicKeyParts;

use crate::args::text;
use crate::encoding::{base64_decode, base64_encode};

/// What stands before the seed in the PKCS #8 form of an Ed25519 key.
const ED25519: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
/// Keys beyond it take longer to use than anyone waits.
const MAX_RSA_BITS: usize = 16_384;

pub fn register(f: &mut Functions) {
    f.add("genPrivateKey", Signature::fixed(&[Type::String]), |a| {
        let kind = text(a, 0).text().into_owned();
        Ok(Value::str(match kind.as_str() {
            "" | "rsa" => PrivateKey::rsa(4096)?.pem(),
            "dsa" => dsa(),
            "ecdsa" => PrivateKey::P256(p256::SecretKey::random(&mut Random)).pem(),
            "ed25519" => {
                let mut seed = [0; 32];
                rand::rng().fill_bytes(&mut seed);
                PrivateKey::Ed25519(seed).pem()
            }
            other => format!("Unknown type {other}"),
        }))
    });
}

/// The system's randomness for the crates of keys.
pub struct Random;

impl rsa::rand_core::RngCore for Random {
    fn next_u32(&mut self) -> u32 {
        rand::rng().next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        rand::rng().next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rsa::rand_core::Error> {
        rand::rng().fill_bytes(bytes);
        Ok(())
    }
}

impl rsa::rand_core::CryptoRng for Random {}

pub enum PrivateKey {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::SecretKey),
    Ed25519([u8; 32]),
}

impl PrivateKey {
    pub fn rsa(bits: usize) -> Result<PrivateKey, Failure> {
        let key = RsaPrivateKey::new(&mut Random, bits).map_err(|error| Failure::new(format!("failed to generate private key: {error}")))?;
        Ok(PrivateKey::Rsa(Box::new(key)))
    }

    /// The PEM that upstream writes: PKCS #1, SEC 1 or PKCS #8.
    pub fn pem(&self) -> String {
        match self {
            PrivateKey::Rsa(key) => armour("RSA PRIVATE KEY", key.to_pkcs1_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default()),
            PrivateKey::P256(key) => armour("EC PRIVATE KEY", sec1(key)),
            PrivateKey::Ed25519(seed) => armour("PRIVATE KEY", [&ED25519[..], seed].concat()),
        }
    }

    fn pkcs8(&self) -> Vec<u8> {
        match self {
            PrivateKey::Rsa(key) => key.to_pkcs8_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default(),
            PrivateKey::P256(key) => key.to_pkcs8_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default(),
            PrivateKey::Ed25519(seed) => [&ED25519[..], seed].concat(),
        }
    }

    /// The key as the maker of certificates takes it.
    pub fn pair(&self) -> Result<KeyPair, Failure> {
        let der = rustls_pki_types::PrivatePkcs8KeyDer::from(self.pkcs8());
        let algorithm = match self {
            PrivateKey::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
            PrivateKey::P256(_) => &rcgen::PKCS_ECDSA_P256_SHA256,
            PrivateKey::Ed25519(_) => &rcgen::PKCS_ED25519,
        };
        KeyPair::from_pkcs8_der_and_sign_algo(&der, algorithm).map_err(|error| Failure::new(format!("error creating certificate: {error}")))
    }

    /// `parsePrivateKeyPEM`
    pub fn parse(text: &str) -> Result<PrivateKey, Failure> {
        let Some((label, der)) = first_block(text) else { return Err("no PEM data in input".into()) };
        let fail = |what: &str, error: &dyn std::fmt::Display| Failure::new(format!("{what}: {error}"));
        if label == "PRIVATE KEY" {
            return parse_pkcs8(&der).ok_or_else(|| fail("decoding PEM as PKCS#8", &"x509: failed to parse private key"));
        }
        let Some(kind) = label.strip_suffix(" PRIVATE KEY") else {
            return Err(Failure::new(format!("no private key data in PEM block of type {label}")));
        };
        match kind {
            "RSA" => {
                let key = RsaPrivateKey::from_pkcs1_der(&der).map_err(|error| fail("parsing RSA private key from PEM", &error))?;
                checked(key).ok_or_else(|| fail("parsing RSA private key from PEM", &"key is too large"))
            }
            "EC" => p256::SecretKey::from_sec1_der(&der).map(PrivateKey::P256).map_err(|error| fail("parsing EC private key from PEM", &error)),
            _ => Err(Failure::new(format!("invalid private key type {label}"))),
        }
    }
}

fn checked(key: RsaPrivateKey) -> Option<PrivateKey> {
    (key.n().bits() <= MAX_RSA_BITS).then(|| PrivateKey::Rsa(Box::new(key)))
}

fn parse_pkcs8(der: &[u8]) -> Option<PrivateKey> {
    if let Some(seed) = der.strip_prefix(&ED25519[..]) {
        return seed.try_into().ok().map(PrivateKey::Ed25519);
    }
    if let Ok(key) = RsaPrivateKey::from_pkcs8_der(der) {
        return checked(key);
    }
    p256::SecretKey::from_pkcs8_der(der).ok().map(PrivateKey::P256)
}

/// PEM with lines of 64 characters.
pub fn armour(label: &str, der: Vec<u8>) -> String {
    let encoded = String::from_utf8_lossy(&base64_encode(&der)).into_owned();
    let lines: Vec<&str> = (0..encoded.len()).step_by(64).map(|at| &encoded[at..encoded.len().min(at + 64)]).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Label and content of the first PEM block.
pub fn first_block(text: &str) -> Option<(String, Vec<u8>)> {
    let (_, after) = text.split_once("-----BEGIN ")?;
    let (label, after) = after.split_once("-----")?;
    let (body, _) = after.split_once(&format!("-----END {label}-----"))?;
    // Headers end with an empty line.
    let body = match body.contains(':') {
        true => body.split_once("\n\n").map_or(body, |(_, rest)| rest),
        false => body,
    };
    let packed: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    Some((label.to_owned(), base64_decode(packed.as_bytes()).ok()?))
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..0x80 => out.push(u8::try_from(length).unwrap_or(0)),
        0x80..0x100 => out.extend_from_slice(&[0x81, u8::try_from(length).unwrap_or(0)]),
        _ => out.extend_from_slice(&[0x82, u8::try_from(length >> 8).unwrap_or(0xff), u8::try_from(length & 0xff).unwrap_or(0)]),
    }
    out.extend_from_slice(content);
    out
}

fn der_integer(value: &BigUint) -> Vec<u8> {
    let mut bytes = value.to_bytes_be();
    if bytes.first().is_some_and(|b| *b >= 0x80) {
        bytes.insert(0, 0);
    }
    der(2, &bytes)
}

/// Upstream: x509.MarshalECPrivateKey: version, key, curve, public key.
fn sec1(key: &p256::SecretKey) -> Vec<u8> {
    let point = key.public_key().to_encoded_point(false);
    let curve = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let public = der(3, &[&[0u8][..], point.as_bytes()].concat());
    let content = [der(2, &[1]), der(4, &key.to_bytes()), der(0xa0, &curve), der(0xa1, &public)].concat();
    der(0x30, &content)
}

fn random_bits(bits: usize) -> BigUint {
    let mut bytes = vec![0; bits / 8];
    rand::rng().fill_bytes(&mut bytes);
    bytes[0] |= 0x80;
    BigUint::from_bytes_be(&bytes)
}

/// A DSA key of 2048 and 256 bits.
fn dsa() -> String {
    let one = BigUint::from(1u8);
    let two = BigUint::from(2u8);
    let (p, q) = loop {
        let q = random_bits(256) | &one;
        if !probably_prime(&q, 20) {
            continue;
        }
        let found = (0..4 * 2048).find_map(|_| {
            let x = random_bits(2048);
            let rest = &x % (&q * &two);
            let p = (x + &one) - rest;
            (p.bits() == 2048 && probably_prime(&p, 20)).then_some(p)
        });
        if let Some(p) = found {
            break (p, q);
        }
    };
    let exponent = (&p - &one) / &q;
    let g = (2u32..).map(|h| BigUint::from(h).modpow(&exponent, &p)).find(|g| *g != one).unwrap_or(two);
    let x = random_bits(512) % (&q - &one) + &one;
    let y = g.modpow(&x, &p);
    debug_assert!(y.clone().mod_inverse(&p).is_some());
    let content: Vec<u8> = [BigUint::from(0u8), p, q, g, y, x].iter().flat_map(der_integer).collect();
    armour("DSA PRIVATE KEY", der(0x30, &content))
}
