//! The keys that wrap data keys of what is encrypted at rest: a file of mode 0600, the first key in use, older ones kept.
//!
//! Rotation puts a new key first. Never drops a key by itself: what an older key wrapped must stay readable until it is
//! rewritten.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::file::write_private;

/// Keys kept; a rotation beyond it is refused rather than a key lost.
const MAX_KEYS: usize = 64;

#[derive(Serialize, Deserialize, Default)]
struct Contents {
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    id: u32,
    secret: String,
}

/// Keys by their ids, the one in use first.
pub struct Keyring {
    path: PathBuf,
    keys: Vec<(u32, LessSafeKey)>,
}

impl Keyring {
    /// Reads the file, or makes it with one fresh key.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        if !path.exists() {
            write(path, &Contents { keys: vec![fresh(1)?] })?;
        }
        let contents = read(path)?;
        let corrupt = |why: &str| Error::Corrupt { path: path.to_owned(), why: why.to_owned() };
        let mut keys = Vec::new();
        for entry in &contents.keys {
            let secret = BASE64_STANDARD.decode(&entry.secret).map_err(|_| corrupt("a key is not base64"))?;
            let key = UnboundKey::new(&AES_256_GCM, &secret).map_err(|_| corrupt("a key does not have 32 bytes"))?;
            keys.push((entry.id, LessSafeKey::new(key)));
        }
        if keys.is_empty() {
            return Err(corrupt("it holds no key"));
        }
        Ok(Self { path: path.to_owned(), keys })
    }

    /// Puts a fresh key first. It is used from the next start on; returns its id.
    pub fn rotate(path: impl AsRef<Path>) -> Result<u32, Error> {
        let path = path.as_ref();
        let mut contents = if path.exists() { read(path)? } else { Contents::default() };
        if contents.keys.len() >= MAX_KEYS {
            return Err(Error::Corrupt { path: path.to_owned(), why: format!("it holds {MAX_KEYS} keys already: take out the oldest, which nothing uses any more after two compactions") });
        }
        let id = contents.keys.iter().map(|k| k.id).max().unwrap_or(0) + 1;
        contents.keys.insert(0, fresh(id)?);
        write(path, &contents)?;
        Ok(id)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Encrypts a data key: the id, a nonce, the ciphertext with its tag.
    pub fn wrap(&self, data_key: &[u8]) -> Result<Vec<u8>, Error> {
        let Some((id, key)) = self.keys.first() else { return Err(Error::certificate("no encryption key")) };
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(Error::certificate)?;
        let mut sealed = data_key.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(id.to_be_bytes()), &mut sealed).map_err(Error::certificate)?;
        Ok([&id.to_be_bytes()[..], &nonce, &sealed].concat())
    }

    /// Decrypts a data key. None where the key that wrapped it is not in the file, or the bytes are not what was wrapped.
    pub fn unwrap(&self, wrapped: &[u8]) -> Option<Vec<u8>> {
        let (id, rest) = wrapped.split_first_chunk::<4>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let wanted = u32::from_be_bytes(*id);
        let (_, key) = self.keys.iter().find(|(id, _)| *id == wanted)?;
        let mut text = sealed.to_vec();
        let plain = key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(*id), &mut text).ok()?;
        Some(plain.to_vec())
    }
}

fn fresh(id: u32) -> Result<Entry, Error> {
    let mut secret = [0; 32];
    SystemRandom::new().fill(&mut secret).map_err(Error::certificate)?;
    Ok(Entry { id, secret: BASE64_STANDARD.encode(secret) })
}

fn read(path: &Path) -> Result<Contents, Error> {
    let text = std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
    // The parser's own words could show a part of a key.
    serde_json::from_slice(&text).map_err(|e| Error::Corrupt { path: path.to_owned(), why: format!("not a list of keys (line {}, column {})", e.line(), e.column()) })
}

fn write(path: &Path, contents: &Contents) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(contents).map_err(Error::certificate)?;
    write_private(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_keys_stay_readable_after_a_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("encryption.json");
        let first = Keyring::load_or_create(&path).unwrap();
        let wrapped = first.wrap(b"data key").unwrap();
        assert_eq!(Keyring::rotate(&path).unwrap(), 2);
        let second = Keyring::load_or_create(&path).unwrap();
        assert_eq!(second.unwrap(&wrapped).as_deref(), Some(&b"data key"[..]));
        let newer = second.wrap(b"data key").unwrap();
        assert!(first.unwrap(&newer).is_none(), "a key that is not there opens nothing");
        let mut changed = newer.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert!(second.unwrap(&changed).is_none());
        std::fs::write(&path, b"{\"keys\": [").unwrap();
        assert!(matches!(Keyring::load_or_create(&path), Err(Error::Corrupt { .. })));
    }
}
