//! Kills a process that writes with 16 writers, 200 times at random moments, and looks at what is left.
//!
//! After each kill: every acknowledged write is there, no revision went backwards, and a watch resumed from before the
//! kill sees each acknowledged change once and in order.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::Rng;
use store::{Change, DiskOptions, Expect, Index, Stamped, Store, Write};

const CHILD: &str = "KNARR_STORE_KILL_CHILD";
const KILLS: usize = 200;

fn options() -> DiskOptions {
    DiskOptions { compact_bytes: 300_000, history_bytes: 64 << 20, ..DiskOptions::default() }
}

/// The writer process: acknowledged writes go to standard output, one line each, before the next write of that key.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(folder.as_ref(), options()).expect("the store opens after a kill");
        let table = store.table("t");
        let writers: Vec<_> = (0..16).map(|w| tokio::spawn(write_for_ever(store.clone(), table, w))).collect();
        println!("open {}", store.revision());
        for writer in writers {
            let _ = writer.await;
        }
    });
}

async fn write_for_ever(store: Store, table: store::TableId, writer: usize) {
    for n in 0u64.. {
        let key: std::sync::Arc<str> = format!("w{writer}/k{}", n % 20).into();
        let value = || Stamped { bytes: format!("\"\"{}", "x".repeat(200)).into(), at: 1 };
        let put = |expect| Write::Put { table, key: key.clone(), value: value(), index: Index::default(), expect };
        let (sign, record) = match store.view().get(table, &key) {
            None => ('+', store.write(put(Expect::Absent)).await),
            Some(old) if n % 7 == 0 => ('-', store.write(Write::Delete { table, key: key.clone(), revision: old.revision }).await),
            Some(old) => ('+', store.write(put(Expect::Revision(old.revision))).await),
        };
        let line = format!("{sign} {} {key}\n", record.expect("nobody else writes this key").revision);
        std::io::stdout().lock().write_all(line.as_bytes()).expect("the parent reads");
    }
}

#[test]
fn two_hundred_kills() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acknowledged: BTreeMap<u64, (bool, String)> = BTreeMap::new();
    let mut newest = 0;
    let mut resumed = 0;
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().expect("own path"))
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the writer starts");
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        while !line.contains("open ") {
            line.clear();
            if out.read_line(&mut line).expect("readable") == 0 {
                let mut why = String::new();
                let _ = child.stderr.take().expect("piped").read_to_string(&mut why);
                panic!("the writer ended at kill {kill}: {why}");
            }
        }
        let opened: u64 = line.trim().rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a revision");
        assert!(opened >= newest, "revision went back from {newest} to {opened} at kill {kill}");
        let wait = Duration::from_micros(rand::rng().random_range(0..40_000));
        let reader = std::thread::spawn(move || out.lines().map_while(Result::ok).collect::<Vec<_>>());
        // The moment of the kill is the test's input, not a wait for something.
        std::thread::park_timeout(wait);
        child.kill().expect("it runs");
        child.wait().expect("it ran");
        let mut fresh = BTreeMap::new();
        for line in reader.join().expect("the reader ends") {
            let parts: Vec<&str> = line.split(' ').collect();
            if let [sign @ ("+" | "-"), revision, key] = parts[..] {
                fresh.insert(revision.parse::<u64>().expect("a number"), (sign == "+", key.to_owned()));
            }
        }
        resumed += check(folder.path(), newest.max(1), &acknowledged, &fresh);
        newest = fresh.keys().next_back().copied().unwrap_or(0).max(newest).max(opened);
        acknowledged.extend(fresh);
    }
    assert!(acknowledged.len() > KILLS, "only {} writes were acknowledged", acknowledged.len());
    assert!(resumed > KILLS / 2, "a watch resumed after only {resumed} of {KILLS} kills");
}

/// Opens the store and compares it with what was acknowledged; returns 1 where history reached back to `since`.
fn check(folder: &std::path::Path, since: u64, before: &BTreeMap<u64, (bool, String)>, fresh: &BTreeMap<u64, (bool, String)>) -> usize {
    let store = Store::open(folder, options()).expect("the store opens after a kill");
    let table = store.table("t");
    let mut last: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
    for (revision, (present, key)) in before.iter().chain(fresh) {
        last.insert(key, (*revision, *present));
    }
    let view = store.view();
    for (key, (revision, present)) in last {
        match view.get(table, key) {
            Some(found) => assert!(found.revision > revision || (found.revision == revision && present), "{key}: found {}, acknowledged {revision}", found.revision),
            // Gone although it was acknowledged as present: only a later deletion that was cut off from its answer explains it.
            None => assert!(!present || store.revision() > revision, "{key} is gone"),
        }
    }
    let Ok(mut watch) = store.watch(table, since) else { return 0 };
    let events = watch.ready(usize::MAX).expect("history was there");
    assert!(events.windows(2).all(|w| w[0].revision() < w[1].revision()), "out of order or twice");
    let seen: BTreeMap<u64, (bool, &str)> = events.iter().map(|e| (e.revision(), (e.change != Change::Deleted, &*e.record.key))).collect();
    for (revision, (present, key)) in fresh.range(since + 1..) {
        assert_eq!(seen.get(revision), Some(&(*present, key.as_str())), "the change at {revision} is missing");
    }
    1
}
