//! Whether a certificate and a private key in PEM belong together.
//!
//! Upstream: Go's `tls.X509KeyPair`, in whose words the fault is told.

use ring::signature::{Ed25519KeyPair, KeyPair};
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::ber::BerObject;
use x509_parser::der_parser::parse_der;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

const UNMATCHED: &str = "tls: private key does not match public key";
const ED25519: &str = "1.3.101.112";

/// What a private key says of its public one.
enum Key {
    /// The modulus.
    Rsa(Vec<u8>),
    /// The point, where the key tells it.
    // Differs: of a key that does not, upstream computes it; here the pair passes.
    Ec(Option<Vec<u8>>),
    Ed25519(Vec<u8>),
}

/// Why a pair is none.
pub fn fault(certificate: &[u8], key: &[u8]) -> Option<String> {
    check(certificate, key).err()
}

fn check(certificate: &[u8], key: &[u8]) -> Result<(), String> {
    let certificate = certificate_block(certificate)?;
    let key = key_block(key)?;
    let (_, certificate) = X509Certificate::from_der(&certificate).map_err(|_| "x509: malformed certificate".to_owned())?;
    let public = certificate.public_key();
    let matches = match (public.parsed(), public.algorithm.algorithm.to_id_string().as_str(), private_key(&key)?) {
        (Ok(PublicKey::RSA(public)), _, Key::Rsa(modulus)) => without_zeros(public.modulus) == without_zeros(&modulus),
        (Ok(PublicKey::EC(public)), _, Key::Ec(point)) => point.is_none_or(|point| point == public.data()),
        (_, ED25519, Key::Ed25519(point)) => point == *public.subject_public_key.data,
        (Ok(PublicKey::RSA(_) | PublicKey::EC(_)), _, _) | (_, ED25519, _) => return Err("tls: private key type does not match public key type".into()),
        _ => return Err("tls: unknown public key algorithm".into()),
    };
    if matches { Ok(()) } else { Err(UNMATCHED.into()) }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    &number[number.iter().take_while(|byte| **byte == 0).count()..]
}

/// The first block that `is_sought`, or the labels of those that were passed over.
fn block(pem: &[u8], is_sought: impl Fn(&str) -> bool) -> Result<Vec<u8>, Vec<String>> {
    let mut others = Vec::new();
    for block in Pem::iter_from_buffer(pem).map_while(Result::ok) {
        if is_sought(&block.label) {
            return Ok(block.contents);
        }
        others.push(block.label);
    }
    Err(others)
}

fn certificate_block(pem: &[u8]) -> Result<Vec<u8>, String> {
    block(pem, |label| label == "CERTIFICATE").map_err(|others| match &others[..] {
        [] => "tls: failed to find any PEM data in certificate input".to_owned(),
        [one] if one.ends_with("PRIVATE KEY") => "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched".to_owned(),
        others => format!("tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following types: [{}]", others.join(" ")),
    })
}

fn key_block(pem: &[u8]) -> Result<Vec<u8>, String> {
    block(pem, |label| label == "PRIVATE KEY" || label.ends_with(" PRIVATE KEY")).map_err(|others| match &others[..] {
        [] => "tls: failed to find any PEM data in key input".to_owned(),
        [one] if one == "CERTIFICATE" => "tls: found a certificate rather than a key in the PEM for the private key".to_owned(),
        others => format!("tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [{}]", others.join(" ")),
    })
}

/// A key in the form of PKCS#1, PKCS#8 or SEC 1.
fn private_key(der: &[u8]) -> Result<Key, String> {
    parse_der(der).ok().and_then(|(_, object)| plain(&object).or_else(|| wrapped(&object, der))).ok_or_else(|| "tls: failed to parse private key".to_owned())
}

/// PKCS#1 and SEC 1.
fn plain(object: &BerObject<'_>) -> Option<Key> {
    let parts = object.as_sequence().ok()?;
    if parts.len() >= 9 {
        return parts[1].as_slice().ok().map(|modulus| Key::Rsa(modulus.to_vec()));
    }
    let is_sec1 = parts.first()?.as_u32() == Ok(1) && parts.get(1)?.as_slice().is_ok();
    let point = parts.iter().skip(2).filter(|part| part.header.raw_tag() == Some(&[0xa1])).find_map(|part| {
        let (_, bits) = parse_der(part.as_slice().ok()?).ok()?;
        bits.as_bitstring().ok().map(|bits| bits.data.to_vec())
    });
    is_sec1.then_some(Key::Ec(point))
}

/// PKCS#8.
fn wrapped(object: &BerObject<'_>, der: &[u8]) -> Option<Key> {
    let parts = object.as_sequence().ok()?;
    let algorithm = parts.get(1)?.as_sequence().ok()?.first()?.as_oid().ok()?.to_id_string();
    if algorithm == ED25519 {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
        return Some(Key::Ed25519(pair.public_key().as_ref().to_vec()));
    }
    let (_, inner) = parse_der(parts.get(2)?.as_slice().ok()?).ok()?;
    plain(&inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate and its key, as openssl makes them.
    const PAIRS: [&str; 4] = [
        include_str!("../../cases/key_pairs/rsa.pem"),
        include_str!("../../cases/key_pairs/rsa_pkcs8.pem"),
        include_str!("../../cases/key_pairs/ec.pem"),
        include_str!("../../cases/key_pairs/ed25519.pem"),
    ];

    fn told(certificate: &str, key: &str) -> String {
        fault(certificate.as_bytes(), key.as_bytes()).unwrap_or_default()
    }

    #[test]
    fn pairs_pass_and_others_do_not() {
        for pair in PAIRS {
            assert_eq!(told(pair, pair), "");
        }
        assert_eq!(told(PAIRS[0], PAIRS[1]), UNMATCHED);
        assert_eq!(told(PAIRS[0], PAIRS[2]), "tls: private key type does not match public key type");
        assert_eq!(told(PAIRS[3], PAIRS[0]), "tls: private key type does not match public key type");
    }

    #[test]
    fn what_is_no_pair_at_all_is_told_apart() {
        let (certificate, key) = PAIRS[2].split_once("-----BEGIN EC").map(|(c, k)| (c, format!("-----BEGIN EC{k}"))).unwrap();
        assert_eq!(told("", ""), "tls: failed to find any PEM data in certificate input");
        assert_eq!(told(&key, certificate), "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched");
        assert_eq!(told(certificate, ""), "tls: failed to find any PEM data in key input");
        assert_eq!(told(certificate, certificate), "tls: found a certificate rather than a key in the PEM for the private key");
        let other = "-----BEGIN ODD-----\nAAAA\n-----END ODD-----\n";
        assert_eq!(told(certificate, other), "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [ODD]");
        assert_eq!(told(certificate, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "tls: failed to parse private key");
        assert_eq!(told("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key), "x509: malformed certificate");
    }
}
