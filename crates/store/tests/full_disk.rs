//! A full disk: writes are refused with a clear error, nothing acknowledged is lost, and writes go on once there is room.

use std::process::Command;

use store::{DiskOptions, Expect, Index, Stamped, Store, Write, WriteError};

/// A file system of one mebibyte, gone with the test.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path()).status();
        mounted.is_ok_and(|s| s.success()).then_some(Self(folder))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

fn put(table: store::TableId, key: String) -> Write {
    let value = Stamped { bytes: format!("\"\"{}", "x".repeat(20_000)).into(), at: 1 };
    Write::Put { table, key: key.into(), value, index: Index::default(), expect: Expect::Absent }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let Some(small) = Small::mount() else {
        println!("skipped: mounting a small file system needs root");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ballast = small.0.path().join("ballast");
    std::fs::write(&ballast, vec![0; 500_000]).expect("there is room");
    let folder = small.0.path().join("store");
    let kept = runtime.block_on(async {
        let store = Store::open(&folder, DiskOptions::default()).expect("a new store");
        let table = store.table("t");
        let mut kept = Vec::new();
        let refused = loop {
            let key = format!("k{}", kept.len());
            match store.write(put(table, key.clone())).await {
                Ok(_) => kept.push(key),
                Err(error) => break error,
            }
        };
        assert!(matches!(&refused, WriteError::Disk(why) if why.contains("log-") && why.contains("free some space")), "{refused}");
        assert_eq!(store.view().table(table).len(), kept.len());
        std::fs::remove_file(&ballast).expect("the ballast goes");
        store.write(put(table, "after".into())).await.expect("there is room again");
        kept.push("after".into());
        kept
    });
    assert!(kept.len() > 5, "only {} writes fitted", kept.len());
    let store = Store::open(&folder, DiskOptions::default()).expect("the store opens");
    let table = store.table("t");
    let view = store.view();
    assert!(kept.iter().all(|key| view.get(table, key).is_some()));
}
