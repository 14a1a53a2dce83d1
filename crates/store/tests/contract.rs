//! The store's contract, the same for every driver.

mod members;

use std::sync::Arc;

use store::{Change, DiskOptions, Expect, Index, Portion, Record, Stamped, Store, TableId, Write, WriteError};

fn value(text: &str) -> Stamped {
    Stamped { bytes: format!("{{\"revision\":\"\",\"text\":\"{text}\"}}").into(), at: 13 }
}

fn put(table: TableId, key: &str, text: &str, expect: Expect) -> Write {
    Write::Put { table, key: key.into(), value: value(text), index: Index::default(), expect }
}

async fn create(store: &Store, table: TableId, key: &str) -> Arc<Record> {
    store.write(put(table, key, "new", Expect::Absent)).await.expect("the key is absent")
}

fn run(test: impl AsyncFn(Store)) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(test(Store::in_memory()));
    let folder = tempfile::tempdir().expect("a folder");
    let options = DiskOptions { compact_bytes: 2_000, ..DiskOptions::default() };
    runtime.block_on(test(Store::open(folder.path(), options).expect("a new store")));
    runtime.block_on(async {
        let members = members::Members::start(1, false);
        test(members.store().await).await;
    });
}

#[test]
fn compare_and_set() {
    run(async |store| {
        let pods = store.table("/registry/pods");
        let a = create(&store, pods, "ns/a").await;
        assert_eq!(&a.value[..], format!("{{\"revision\":\"{}\",\"text\":\"new\"}}", a.revision).as_bytes());
        assert!(matches!(store.write(put(pods, "ns/a", "x", Expect::Absent)).await, Err(WriteError::Exists(r)) if r.revision == a.revision));
        assert!(matches!(store.write(put(pods, "ns/b", "x", Expect::Revision(a.revision))).await, Err(WriteError::Missing)));
        let b = store.write(put(pods, "ns/a", "y", Expect::Revision(a.revision))).await.expect("the revision fits");
        assert!(b.revision > a.revision && b.created == a.created);
        assert!(matches!(store.write(put(pods, "ns/a", "z", Expect::Revision(a.revision))).await, Err(WriteError::Modified(_))));
        let gone = store.write(Write::Delete { table: pods, key: "ns/a".into(), revision: b.revision }).await.expect("the revision fits");
        assert!(gone.value.starts_with(format!("{{\"revision\":\"{}\"", gone.revision).as_bytes()));
        assert!(store.view().get(pods, "ns/a").is_none());
        assert_eq!(store.revision(), gone.revision);
    });
}

#[test]
fn watches_resume_and_old_views_come_back() {
    run(async |store| {
        let (pods, other) = (store.table("/registry/pods"), store.table("other"));
        let first = create(&store, pods, "a").await;
        let mut watch = store.watch(pods, 1).expect("history is whole");
        create(&store, other, "a").await;
        let second = store.write(put(pods, "a", "two", Expect::Revision(first.revision))).await.expect("fits");
        store.write(Write::Delete { table: pods, key: "a".into(), revision: second.revision }).await.expect("fits");
        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.extend(watch.next(2).await.expect("history is whole").iter().map(|e| (e.change, e.revision())));
        }
        assert_eq!(seen.iter().map(|s| s.0).collect::<Vec<_>>(), [Change::Created, Change::Updated, Change::Deleted]);
        assert!(seen.windows(2).all(|w| w[0].1 < w[1].1));
        let then = store.table_at(pods, first.revision).expect("history is whole");
        assert_eq!(then.get("a").expect("it was there").revision, first.revision);
        assert!(store.table_at(pods, 1).expect("history is whole").is_empty());
        store.compact(second.revision);
        assert!(store.watch(pods, first.revision).is_err() && store.watch(pods, second.revision).is_ok());
    });
}

#[test]
fn a_watcher_takes_a_portion_at_a_time() {
    run(async |store| {
        let table = store.table("/registry/pods");
        let mut watch = store.watch(table, store.revision()).expect("history is whole");
        for i in 0..6 {
            create(&store, table, &format!("k{i}")).await;
        }
        let newest = store.revision();
        let mut sizes = Vec::new();
        while watch.cursor() < newest {
            sizes.push(watch.next_portion(Portion { events: 2, bytes: usize::MAX }).await.expect("history is whole").len());
        }
        assert!(sizes.iter().all(|n| (1..=2).contains(n)) && sizes.iter().sum::<usize>() == 6, "{sizes:?}");
        let mut again = store.watch(table, newest - 6).expect("history is whole");
        assert_eq!(again.next_portion(Portion { events: 9, bytes: 1 }).await.expect("history is whole").len(), 1, "one that is larger than the portion still comes");
    });
}

#[test]
fn writers_and_watchers_outlive_the_runtime_of_the_first() {
    let store = Store::in_memory();
    let table = store.table("/registry/pods");
    let first = tokio::runtime::Runtime::new().expect("a runtime");
    first.block_on(async {
        let mut watch = store.watch(table, 1).expect("history is whole");
        create(&store, table, "a").await;
        assert_eq!(watch.next(9).await.expect("history is whole").len(), 1);
    });
    drop(first);
    tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let mut watch = store.watch(table, 1).expect("history is whole");
        create(&store, table, "b").await;
        let mut seen = 0;
        while seen < 2 {
            seen += watch.next(9).await.expect("history is whole").len();
        }
    });
}

#[test]
fn many_writers_never_lose_an_update() {
    run(async |store| {
        let table = store.table("/registry/counters");
        create(&store, table, "n").await;
        let writers = (0..16).map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..50 {
                    loop {
                        let now = store.view().get(table, "n").expect("it is there");
                        if store.write(put(table, "n", "more", Expect::Revision(now.revision))).await.is_ok() {
                            break;
                        }
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("no writer panics");
        }
        assert_eq!(store.revision(), 1 + 1 + 16 * 50);
    });
}

#[test]
fn damage_is_told_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = Store::open(folder.path(), DiskOptions::default()).expect("a new store");
    let table = store.table("/registry/t");
    runtime.block_on(async {
        for i in 0..10 {
            create(&store, table, &format!("k{i}")).await;
        }
    });
    assert!(matches!(Store::open(folder.path(), DiskOptions::default()), Err(store::OpenError::Locked { .. })));
    drop(store);
    let log = std::fs::read_dir(folder.path()).expect("readable").map(|e| e.expect("entry").path()).find(|p| p.to_string_lossy().contains("log-")).expect("a log");
    let mut bytes = std::fs::read(&log).expect("readable");
    bytes[40] ^= 0x55;
    std::fs::write(&log, &bytes).expect("writable");
    let opened = (0..200).find_map(|_| match Store::open(folder.path(), DiskOptions::default()) {
        Err(store::OpenError::Locked { .. }) => {
            std::thread::yield_now();
            None
        }
        other => Some(other.err()),
    });
    let error = opened.flatten().expect("damage is found").to_string();
    assert!(error.contains("damaged at byte") && error.contains("log-"), "{error}");
    assert_eq!(std::fs::read(&log).expect("readable"), bytes);
}

/// A watch begun at the revision of any event sees exactly what follows it, whatever is written meanwhile.
#[test]
fn watches_begun_at_every_revision_agree() {
    run(async |store| {
        let table = store.table("/registry/t");
        let other = store.table("/registry/other");
        let start = store.revision();
        let writer = |table: TableId, keys: usize| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..600usize {
                    let key = format!("k{}", n % keys);
                    let now = store.view().get(table, &key);
                    let write = match now {
                        None => put(table, &key, "new", Expect::Absent),
                        Some(now) if n % 5 == 0 => Write::Delete { table, key: key.as_str().into(), revision: now.revision },
                        Some(now) => put(table, &key, "changed", Expect::Revision(now.revision)),
                    };
                    store.write(write).await.expect("nobody else writes this table");
                }
            })
        };
        let writers = [writer(table, 7), writer(other, 3)];
        let mut watches = vec![store.watch(table, start).expect("history is whole")];
        for _ in 0..100 {
            let first = watches[0].next(1).await.expect("history is whole")[0].revision();
            for watch in &mut watches[1..] {
                assert_eq!(watch.next(1).await.expect("history is whole")[0].revision(), first);
            }
            watches.push(store.watch(table, first).expect("history is whole"));
        }
        for writer in writers {
            writer.await.expect("no writer panics");
        }
    });
}
