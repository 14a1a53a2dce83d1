//! Provenance: a signed text that names a chart's archive by its digest.
// Upstream: helm pkg/provenance/sign.go.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use pgp::composed::{ArmorOptions, CleartextSignedMessage, PublicOrSecret, SignedPublicKey, SignedSecretKey};
use pgp::types::{KeyDetails as _, Password};
use serde_json::json;

use super::keybox;
use super::locate::digest;
use crate::failure::{Failure, Outcome, io};
use crate::flags::Read as _;

/// Who signed, and what.
pub struct Verified {
    pub signers: Vec<String>,
    pub fingerprint: String,
    pub file_hash: String,
}

/// The file of keys that a command works with.
pub fn keyring(m: &ArgMatches) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("GNUPGHOME").map_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".gnupg"), PathBuf::from)).join("pubring.gpg");
    m.value("keyring").filter(|k| !k.is_empty()).map_or_else(home, PathBuf::from)
}

/// The keys of a ring.
pub fn keys(path: &Path) -> Outcome<Vec<PublicOrSecret>> {
    let mut bytes = std::fs::read(path).map_err(|e| io("open", path, &e))?;
    if keybox::is_keybox(&bytes) {
        bytes = keybox::keys(&bytes);
    }
    if !bytes.starts_with(b"-----BEGIN") {
        bytes = keybox::without_trust(&bytes);
    }
    // The first byte of a ring is a packet's, whose highest bit is set.
    if bytes.first().is_some_and(|b| b & 0x80 == 0) && !bytes.starts_with(b"-----BEGIN") {
        return Err(Failure::new("openpgp: invalid data: tag byte does not have MSB set"));
    }
    let fail = |e: pgp::errors::Error| Failure::new(format!("failed to load keyring {}: {e}", path.display()));
    let (found, _) = PublicOrSecret::from_reader_many(bytes.as_slice()).map_err(fail)?;
    Ok(found.filter_map(Result::ok).collect())
}

/// Verifies an archive beside its provenance.
pub fn verify_file(path: &Path, ring: &Path) -> Outcome<Verified> {
    let facts = std::fs::metadata(path).map_err(|e| io("stat", path, &e))?;
    if facts.is_dir() {
        return Err(Failure::new("unpacked charts cannot be verified"));
    }
    if !path.extension().is_some_and(|e| e == "tgz" || e == "gz") {
        return Err(Failure::new("chart must be a tgz file"));
    }
    let beside = PathBuf::from(format!("{}.prov", path.display()));
    let signed = std::fs::read(&beside).map_err(|_| Failure::new(format!("could not load provenance file {}: stat {}: no such file or directory", beside.display(), beside.display())))?;
    let bytes = std::fs::read(path).map_err(|e| io("open", path, &e))?;
    verify(&bytes, &path.file_name().unwrap_or_default().to_string_lossy(), &signed, ring)
}

/// Verifies that one of the ring's keys signed that the file has these bytes.
pub fn verify(bytes: &[u8], name: &str, signed: &[u8], ring: &Path) -> Outcome<Verified> {
    let text = String::from_utf8_lossy(signed);
    let (message, _) = CleartextSignedMessage::from_string(&text).map_err(|_| Failure::new("signature block not found"))?;
    let public: Vec<SignedPublicKey> = keys(ring)?.into_iter().map(|k| match k {
        PublicOrSecret::Public(key) => key,
        PublicOrSecret::Secret(key) => SignedPublicKey::from(key),
    }).collect();
    let signer = public.iter().find(|key| is_signed_by(&message, key)).ok_or_else(|| Failure::new("openpgp: signature made by unknown entity"))?;
    let plain = message.signed_text().replace("\r\n", "\n");
    let sums = plain.split_once("\n...\n").map(|(_, sums)| sums).ok_or_else(|| Failure::new("message block must have at least two parts"))?;
    let sums = goyaml::from_yaml(sums).map_err(|e| Failure::new(e.to_string()))?;
    let own = format!("sha256:{}", digest(bytes));
    match sums["files"][name].as_str() {
        None => return Err(Failure::new(format!("provenance does not contain a SHA for a file named {name:?}"))),
        Some(sum) if sum != own => return Err(Failure::new(format!("sha256 sum does not match for {name}: {sum:?} != {own:?}"))),
        Some(_) => {}
    }
    let signers = signer.details.users.iter().map(|u| String::from_utf8_lossy(u.id.id()).into_owned()).collect();
    Ok(Verified { signers, fingerprint: format!("{:X}", signer.primary_key.fingerprint()), file_hash: own })
}

fn is_signed_by(message: &CleartextSignedMessage, key: &SignedPublicKey) -> bool {
    key.verify_bindings().is_ok() && (message.verify(&key.primary_key).is_ok() || key.public_subkeys.iter().any(|sub| message.verify(&sub.key).is_ok()))
}

/// Signs an archive with the key whose user name holds `id`; gives the provenance.
pub fn sign(bytes: &[u8], name: &str, metadata: &serde_json::Value, ring: &Path, id: &str, passphrase: impl FnOnce() -> Outcome<String>) -> Outcome<String> {
    let named = |key: &SignedSecretKey| key.details.users.iter().any(|u| String::from_utf8_lossy(u.id.id()).contains(id));
    let mut fitting: Vec<SignedSecretKey> = Vec::new();
    let mut public_only = false;
    for key in keys(ring)? {
        match key {
            PublicOrSecret::Secret(key) if named(&key) => fitting.push(key),
            PublicOrSecret::Secret(_) => {}
            PublicOrSecret::Public(_) => public_only = true,
        }
    }
    if fitting.len() > 1 {
        return Err(Failure::new(format!("more than one key contain the id {id:?}")));
    }
    let missing = if public_only { "provided key is not a private key. Try providing a keyring with secret keys" } else { "private key not found" };
    let key = fitting.pop().ok_or_else(|| Failure::new(missing))?;
    let sums = goyaml::to_yaml(&json!({ "files": { name: format!("sha256:{}", digest(bytes)) } }));
    let text = format!("{}\n...\n{sums}", goyaml::to_yaml(metadata));
    let fail = |e: pgp::errors::Error| Failure::new(format!("failed to either sign or armor message block: {e}"));
    let signed = CleartextSignedMessage::sign(rand08::thread_rng(), &text, &key.primary_key, &Password::from(passphrase()?.as_str())).map_err(fail)?;
    signed.to_armored_string(ArmorOptions::default()).map_err(fail)
}
