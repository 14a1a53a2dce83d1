//! Sealing: what lies on disk of chosen tables is encrypted; memory and readers see plain bytes.
//!
//! An envelope: each opening of the store makes a data key of its own, which a key of the owner wraps; the wrapped key
//! stands in every frame that holds sealed values, so each frame can be read by itself. AES-256-GCM with a counter as
//! nonce; table, key and revision are bound to the value, so that sealed values cannot change places. Rotation is a new
//! first key of the owner: what is written from then on uses it, and compaction rewrites the rest. The owner may have
//! a fresh data key made while the store is open.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use crate::frame::{self, Fields};

/// What sealed values that stand alone begin with. Upstream marks encrypted values as `k8s:enc:<provider>:<version>:`.
const ALONE: &[u8] = b"k8s:enc:knarr:v1:";

/// What follows the mark of a value sealed by itself.
#[must_use]
pub(crate) fn foreign(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(ALONE)
}

/// A data key.
pub type DataKey = [u8; 32];

/// Wraps data keys: a key file, or a key service.
pub trait WrapKeys: Send + Sync {
    /// Wraps a data key with the key in use; the answer tells which one that is.
    fn wrap(&self, key: &DataKey) -> io::Result<Vec<u8>>;
    /// Unwraps; fails with `PermissionDenied` where the key that wrapped is not at hand.
    fn unwrap(&self, wrapped: &[u8]) -> io::Result<DataKey>;
}

/// Which tables are sealed, and by whom.
#[derive(Clone)]
pub struct SealOptions {
    /// By name; with a slash at its end all that begin so.
    pub tables: Vec<String>,
    pub keys: Arc<dyn WrapKeys>,
}

impl std::fmt::Debug for SealOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealOptions").field("tables", &self.tables).finish_non_exhaustive()
    }
}

/// So many data keys of old are kept at hand.
const OPENED: usize = 1024;

/// What seals and opens values of one open store. What it seals with may be exchanged at any time.
pub(crate) struct Sealer {
    current: ArcSwap<Current>,
    opened: Mutex<HashMap<Vec<u8>, Arc<LessSafeKey>>>,
}

/// The data key in use, and what it is for.
pub(crate) struct Current {
    options: SealOptions,
    key: LessSafeKey,
    pub wrapped: Vec<u8>,
    used: AtomicU64,
}

fn aead_key(key: &DataKey) -> io::Result<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| io::Error::other("not a key for AES-256-GCM"))
}

fn nonce(count: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&count.to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl Current {
    fn new(options: SealOptions) -> io::Result<Self> {
        let mut data_key = [0; 32];
        SystemRandom::new().fill(&mut data_key).map_err(|_| io::Error::other("the system gave no random bytes"))?;
        let wrapped = options.keys.wrap(&data_key)?;
        Ok(Self { key: aead_key(&data_key)?, wrapped, options, used: AtomicU64::new(0) })
    }

    pub fn covers(&self, table: &str) -> bool {
        self.options.tables.iter().any(|t| t == table || (t.ends_with('/') && table.starts_with(t.as_str())))
    }

    /// The sealed form: the count that the nonce was made of, then ciphertext and tag.
    pub fn seal(&self, bound: &[u8], plain: &[u8]) -> io::Result<Vec<u8>> {
        let count = self.used.fetch_add(1, Ordering::Relaxed);
        let mut sealed = Vec::with_capacity(plain.len() + 24);
        sealed.extend_from_slice(plain);
        let tag = self.key.seal_in_place_separate_tag(nonce(count), Aad::from(bound), &mut sealed).map_err(|_| io::Error::other("a value could not be sealed"))?;
        sealed.extend_from_slice(tag.as_ref());
        sealed.extend_from_slice(&count.to_be_bytes());
        Ok(sealed)
    }

    /// A sealed value that carries its wrapped key with it, for stores whose entries stand alone.
    pub fn seal_alone(&self, table: &str, key: &str, plain: &[u8]) -> io::Result<Vec<u8>> {
        let sealed = self.seal(&bound_to(table, key, 0), plain)?;
        let mut out = ALONE.to_vec();
        frame::put_bytes(&mut out, &self.wrapped);
        out.extend_from_slice(&sealed);
        Ok(out)
    }

}

impl Sealer {
    pub fn new(options: SealOptions) -> io::Result<Self> {
        Ok(Self { current: ArcSwap::from_pointee(Current::new(options)?), opened: Mutex::default() })
    }

    /// What is sealed with now. Whoever writes several values that belong together takes it once.
    pub fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// Seals with a fresh data key from now on, as the options say. Fails without a change.
    pub fn renew(&self, options: SealOptions) -> io::Result<()> {
        self.current.store(Arc::new(Current::new(options)?));
        Ok(())
    }

    /// Opens what follows the mark of [`foreign`].
    pub fn open_alone(&self, table: &str, key: &str, sealed: &[u8]) -> io::Result<Vec<u8>> {
        let mut fields = Fields(sealed);
        let data_key = self.frame_key(fields.bytes()?)?;
        open(&data_key, &bound_to(table, key, 0), fields.0)
    }

    /// The data key of a frame; unwrapped once.
    pub fn frame_key(&self, wrapped: &[u8]) -> io::Result<Arc<LessSafeKey>> {
        if let Some(key) = self.opened.lock().get(wrapped) {
            return Ok(key.clone());
        }
        let key = Arc::new(aead_key(&self.current().options.keys.unwrap(wrapped)?)?);
        let mut opened = self.opened.lock();
        if opened.len() >= OPENED {
            opened.clear();
        }
        opened.insert(wrapped.to_owned(), key.clone());
        Ok(key)
    }
}

/// Opens what [`Sealer::seal`] made.
pub(crate) fn open(key: &LessSafeKey, bound: &[u8], sealed: &[u8]) -> io::Result<Vec<u8>> {
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "a sealed value does not open: it was changed, or moved from where it was written");
    let (text, count) = sealed.split_last_chunk::<8>().ok_or_else(bad)?;
    let mut text = text.to_vec();
    let len = key.open_in_place(nonce(u64::from_be_bytes(*count)), Aad::from(bound), &mut text).map_err(|_| bad())?.len();
    text.truncate(len);
    Ok(text)
}

/// What a sealed value is bound to.
pub(crate) fn bound_to(table: &str, key: &str, revision: u64) -> Vec<u8> {
    let mut bound = Vec::with_capacity(table.len() + key.len() + 9);
    bound.extend_from_slice(table.as_bytes());
    bound.push(0);
    bound.extend_from_slice(key.as_bytes());
    bound.extend_from_slice(&revision.to_be_bytes());
    bound
}
