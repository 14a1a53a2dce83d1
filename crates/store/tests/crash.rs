//! Crashes at every write point of the disk driver, under load: the recorded history is linearizable, and the folder as
//! any crash may have left it opens to exactly what was there at its revision, with everything that was acknowledged.
//!
//! Three kinds of crash at each step on the files: the process is killed in the middle of it; the machine loses power and
//! keeps nothing that was not synced; it loses power and keeps some of that. A fourth test lets each step fail instead.

mod history;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use history::{Entry, Kept, Outcome, Recorder, Truth, traffic};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use store::{DiskOptions, Expect, Index, Listen, Stamped, Store, Write};

fn options(listen: Listen) -> DiskOptions {
    DiskOptions { compact_bytes: 6_000, history_bytes: 64 << 20, listen, ..DiskOptions::default() }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime")
}

/// What a file held, and what of it was synced.
#[derive(Clone, Default)]
struct Contents {
    written: Vec<u8>,
    durable: Vec<u8>,
}

/// A folder between what programs see and what a power cut leaves.
#[derive(Clone, Default)]
struct Folder {
    files: Vec<Contents>,
    names: BTreeMap<OsString, usize>,
    durable_names: BTreeMap<OsString, usize>,
}

fn name(path: &Path) -> OsString {
    path.file_name().expect("a file").to_owned()
}

impl Folder {
    fn file(&mut self, path: &Path) -> &mut Contents {
        let at = self.names[&name(path)];
        &mut self.files[at]
    }

    fn take(&mut self, step: &Kept) {
        match step {
            Kept::Create(path) => {
                self.files.push(Contents::default());
                self.names.insert(name(path), self.files.len() - 1);
            }
            Kept::Append(path, bytes) => self.file(path).written.extend_from_slice(bytes),
            Kept::Cut(path, len) => self.file(path).written.truncate(*len as usize),
            Kept::Sync(path) => {
                let file = self.file(path);
                file.durable = file.written.clone();
            }
            Kept::Rename(from, to) => {
                let file = self.names.remove(&name(from)).expect("it was there");
                self.names.insert(name(to), file);
            }
            Kept::Remove(path) => drop(self.names.remove(&name(path))),
            Kept::SyncFolder => self.durable_names = self.names.clone(),
        }
    }

    /// Killed in the middle of a step.
    fn killed(&self, step: &Kept) -> BTreeMap<OsString, Vec<u8>> {
        let mut now = self.clone();
        if let Kept::Append(path, bytes) = step {
            now.take(&Kept::Append(path.clone(), bytes[..bytes.len() / 2].to_vec()));
        }
        now.names.iter().map(|(name, at)| (name.clone(), now.files[*at].written.clone())).collect()
    }

    fn without_power(&self) -> BTreeMap<OsString, Vec<u8>> {
        self.durable_names.iter().map(|(name, at)| (name.clone(), self.files[*at].durable.clone())).collect()
    }

    /// Of each change that was not synced, all, some or nothing is there; what is missing in the middle reads as zeros.
    fn without_power_but(&self, dice: &mut StdRng) -> BTreeMap<OsString, Vec<u8>> {
        let mut left = BTreeMap::new();
        let names: std::collections::BTreeSet<_> = self.names.keys().chain(self.durable_names.keys()).collect();
        for name in names {
            let (now, before) = (self.names.get(name), self.durable_names.get(name));
            let Some(at) = (if dice.random() { now } else { before }) else { continue };
            let file = &self.files[*at];
            let mut bytes = file.durable.clone();
            if file.written.len() > bytes.len() {
                let kept = dice.random_range(bytes.len()..=file.written.len());
                bytes.extend_from_slice(&file.written[bytes.len()..kept]);
                if dice.random() {
                    bytes.resize(file.written.len(), 0);
                }
            }
            left.insert(name.clone(), bytes);
        }
        left
    }
}

/// Writes a folder as a crash left it, opens it, compares, writes on, opens it again.
fn recovers(left: &BTreeMap<OsString, Vec<u8>>, truth: &Truth, acknowledged: u64, what: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in left {
        std::fs::write(folder.path().join(name), bytes).expect("it is written");
    }
    let store = Store::open(folder.path(), options(Listen::default())).unwrap_or_else(|e| panic!("{what}: {e}"));
    let (table, revision) = (store.table("t"), store.revision());
    assert!((acknowledged..=truth.newest()).contains(&revision), "{what}: {acknowledged} was acknowledged, {revision} is there");
    truth.is_in(&store, table, &what);
    let write = Write::Put { table, key: "after".into(), value: Stamped { bytes: "\"\"".into(), at: 1 }, index: Index::default(), expect: Expect::Absent };
    let after = runtime().block_on(store.write(write)).unwrap_or_else(|e| panic!("{what}: {e}")).revision;
    drop(store);
    let store = Store::open(folder.path(), options(Listen::default())).unwrap_or_else(|e| panic!("{what}, written on: {e}"));
    let found = store.view().get(store.table("t"), "after").map(|r| r.revision);
    assert_eq!((found, after), (Some(revision + 1), revision + 1), "{what}, written on");
}

/// Traffic on a fresh store: everything in order, and what happened.
fn record(recorder: &Recorder, listen: Listen, writers: usize, each: usize) -> (tempfile::TempDir, Truth) {
    let folder = tempfile::tempdir().expect("a folder");
    let truth = runtime().block_on(async {
        let store = Store::open(folder.path(), options(listen)).expect("a new store");
        let table = store.table("t");
        traffic(&store, table, recorder, writers, each).await;
        let events = store.watch(table, 1).expect("history is there").ready(usize::MAX).expect("it is there");
        Truth::of(events)
    });
    (folder, truth)
}

#[test]
fn every_write_point() {
    let recorder = Recorder::default();
    let (_folder, truth) = record(&recorder, recorder.listen(), 16, 100);
    let entries = recorder.entries();
    truth.explains(&entries);
    let mut folder = Folder::default();
    let mut dice = StdRng::seed_from_u64(7);
    let (mut acknowledged, mut points) = (1, 0);
    for entry in &entries {
        match entry {
            Entry::Step(step) => {
                points += 1;
                let what = |kind: &str| format!("{kind} at step {points}, {}", words(step));
                recovers(&folder.killed(step), &truth, acknowledged, &what("killed"));
                recovers(&folder.without_power(), &truth, acknowledged, &what("power lost"));
                for _ in 0..2 {
                    recovers(&folder.without_power_but(&mut dice), &truth, acknowledged, &what("power lost, some kept"));
                }
                folder.take(step);
            }
            Entry::Returned(_, Outcome::Wrote { revision, .. }) => acknowledged = acknowledged.max(*revision),
            Entry::Invoked(_) | Entry::Returned(..) => {}
        }
    }
    let renamed = entries.iter().filter(|e| matches!(e, Entry::Step(Kept::Rename(..)))).count();
    assert!(points > 60 && renamed > 0, "only {points} points, {renamed} compactions");
    println!("{points} write points, {renamed} compactions, {} revisions", truth.newest());
}

/// A step without its bytes.
fn words(step: &Kept) -> String {
    match step {
        Kept::Append(path, bytes) => format!("append of {} bytes to {path:?}", bytes.len()),
        other => format!("{other:?}"),
    }
}

#[test]
fn every_step_may_fail() {
    let mut failed = 0;
    for failing in 0.. {
        let recorder = Recorder::default();
        let folder = tempfile::tempdir().expect("a folder");
        let listen = recorder.listen_but(Some(failing));
        let Ok(store) = Store::open(folder.path(), options(listen)) else {
            assert!(failing < 4, "a store of its own does not open");
            continue;
        };
        let table = store.table("t");
        let truth = runtime().block_on(async {
            traffic(&store, table, &recorder, 4, 30).await;
            Truth::of(store.watch(table, 1).expect("history is there").ready(usize::MAX).expect("it is there"))
        });
        drop(store);
        let entries = recorder.entries();
        truth.explains(&entries);
        if entries.iter().filter(|e| matches!(e, Entry::Step(_))).count() <= failing {
            break;
        }
        failed += usize::from(entries.iter().any(|e| matches!(e, Entry::Returned(_, Outcome::Failed))));
        let store = Store::open(folder.path(), options(Listen::default())).unwrap_or_else(|e| panic!("after step {failing} failed: {e}"));
        // A write whose fsync failed was refused; whether it is there after the restart is the disk's secret.
        assert!(store.revision() >= truth.newest(), "after step {failing} failed: {} of {}", store.revision(), truth.newest());
        if store.revision() == truth.newest() {
            truth.is_in(&store, store.table("t"), &format!("after step {failing} failed"));
        }
    }
    assert!(failed > 10, "only {failed} failures reached a writer");
}
