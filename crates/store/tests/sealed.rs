//! Sealed tables: nothing of their values reaches the disk in the clear, and what was written comes back.

use std::io;
use std::path::Path;
use std::sync::Arc;

use store::{DataKey, DiskOptions, Expect, Index, OpenError, SealOptions, Stamped, Store, WrapKeys, Write};

/// Keys by number; the last is in use. A toy cipher is enough: only what travels through it is under test.
struct Keys(Vec<u8>);

impl WrapKeys for Keys {
    fn wrap(&self, key: &DataKey) -> io::Result<Vec<u8>> {
        let used = *self.0.last().expect("a key");
        Ok(std::iter::once(used).chain(key.iter().map(|b| b ^ used)).collect())
    }

    fn unwrap(&self, wrapped: &[u8]) -> io::Result<DataKey> {
        let used = wrapped[0];
        if !self.0.contains(&used) {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "key lost"));
        }
        let plain: Vec<u8> = wrapped[1..].iter().map(|b| b ^ used).collect();
        plain.try_into().map_err(|_| io::ErrorKind::InvalidData.into())
    }
}

fn options(keys: &[u8], compact_bytes: u64) -> DiskOptions {
    let seal = SealOptions { tables: vec!["secrets".into()], keys: Arc::new(Keys(keys.to_vec())) };
    DiskOptions { compact_bytes, seal: Some(seal), ..DiskOptions::default() }
}

async fn put(store: &Store, table: &str, key: &str, text: &str) {
    let value = Stamped { bytes: format!("\"\"{text}").into(), at: 1 };
    let write = Write::Put { table: store.table(table), key: key.into(), value, index: Index::default(), expect: Expect::Absent };
    store.write(write).await.expect("the key is absent");
}

fn on_disk(folder: &Path, text: &str) -> bool {
    let files = std::fs::read_dir(folder).expect("the store's folder");
    files.map(|f| std::fs::read(f.expect("an entry").path()).expect("a file")).any(|bytes| bytes.windows(text.len()).any(|w| w == text.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_sealed_on_disk_and_come_back_after_a_rotation() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), options(&[7], u64::MAX)).expect("a new store");
    put(&store, "secrets", "a", "very-secret").await;
    put(&store, "configmaps", "a", "quite-open").await;
    drop(store);
    assert!(!on_disk(folder.path(), "very-secret") && on_disk(folder.path(), "quite-open"));

    // A new key, and a log that is cut at once: what is there is rewritten with it.
    let store = Store::open(folder.path(), options(&[7, 9], 1)).expect("both keys are there");
    let read = |store: &Store| store.view().get(store.table("secrets"), "a").map(|r| r.value.clone());
    assert!(read(&store).expect("the secret").ends_with(b"very-secret"));
    put(&store, "secrets", "b", "very-secret-too").await;
    drop(store);
    assert!(!on_disk(folder.path(), "very-secret"));
    let store = Store::open(folder.path(), options(&[7, 9], u64::MAX)).expect("both keys are there");
    assert!(read(&store).expect("the secret").ends_with(b"very-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_key_stops_the_start_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    put(&Store::open(folder.path(), options(&[7], u64::MAX)).expect("a new store"), "secrets", "a", "very-secret").await;
    assert!(matches!(Store::open(folder.path(), options(&[8], u64::MAX)), Err(OpenError::Io { .. })));
    assert!(matches!(Store::open(folder.path(), DiskOptions::default()), Err(OpenError::Io { .. })));
    let store = Store::open(folder.path(), options(&[7], u64::MAX)).expect("the key is back");
    assert!(store.view().get(store.table("secrets"), "a").is_some());
}
