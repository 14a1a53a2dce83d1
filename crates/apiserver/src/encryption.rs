//! Encryption at rest: which tables, and with whose keys.
//!
//! On by default for Secrets. Upstream leaves it off until an `EncryptionConfiguration` is written.

use std::io;
use std::path::Path;
use std::sync::Arc;

use pki::Keyring;
use store::{DataKey, SealOptions, WrapKeys};

const TABLES: [&str; 1] = ["/registry/secrets"];

/// Encryption with the keys of `encryption.json` beside the authority.
pub fn options(pki_dir: &Path) -> Result<SealOptions, pki::Error> {
    let keys = Arc::new(FileKeys(Keyring::load_or_create(pki_dir.join("encryption.json"))?));
    Ok(SealOptions { tables: TABLES.map(str::to_owned).into(), keys })
}

struct FileKeys(Keyring);

impl WrapKeys for FileKeys {
    fn wrap(&self, key: &DataKey) -> io::Result<Vec<u8>> {
        self.0.wrap(key).map_err(io::Error::other)
    }

    fn unwrap(&self, wrapped: &[u8]) -> io::Result<DataKey> {
        let lost = || {
            let why = format!("it holds values encrypted with a key that {} lacks: put the file back as it was", self.0.path().display());
            io::Error::new(io::ErrorKind::PermissionDenied, why)
        };
        self.0.unwrap(wrapped).and_then(|key| key.try_into().ok()).ok_or_else(lost)
    }
}
