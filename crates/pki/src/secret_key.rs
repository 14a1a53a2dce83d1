//! Keys that somebody wrote down, to wrap data keys with.
//!
//! Never uses such a key as it is: one of its own purpose is derived from it (HKDF), so that any length serves.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};

use crate::Error;

/// A key by its name.
pub struct SecretKey {
    name: String,
    key: LessSafeKey,
}

impl SecretKey {
    /// `name` and secret together make the key; neither alone opens anything.
    pub fn new(name: &str, secret: &[u8]) -> Result<Self, Error> {
        let derived = Salt::new(HKDF_SHA256, b"knarr wraps data keys").extract(secret);
        let info = [name.as_bytes()];
        let okm = derived.expand(&info, &AES_256_GCM).map_err(Error::certificate)?;
        Ok(Self { name: name.to_owned(), key: LessSafeKey::new(UnboundKey::from(okm)) })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A nonce, then the ciphertext with its tag.
    pub fn wrap(&self, plain: &[u8]) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(Error::certificate)?;
        let mut sealed = plain.to_vec();
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(self.name.as_bytes()), &mut sealed).map_err(Error::certificate)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// None where this key did not wrap it.
    pub fn unwrap(&self, wrapped: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = wrapped.split_first_chunk::<NONCE_LEN>()?;
        let mut text = sealed.to_vec();
        let plain = self.key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(self.name.as_bytes()), &mut text).ok()?;
        Some(plain.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_itself_opens() {
        let key = SecretKey::new("aesgcm/a", &[1; 16]).unwrap();
        let wrapped = key.wrap(b"data key").unwrap();
        assert_eq!(key.unwrap(&wrapped).as_deref(), Some(&b"data key"[..]));
        assert_eq!(SecretKey::new("aesgcm/a", &[2; 16]).unwrap().unwrap(&wrapped), None);
        assert_eq!(SecretKey::new("aesgcm/b", &[1; 16]).unwrap().unwrap(&wrapped), None);
        assert_eq!(key.unwrap(&wrapped[1..]), None);
        assert_eq!(key.unwrap(b""), None);
    }
}
