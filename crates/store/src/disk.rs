//! The disk driver: a log, and snapshots that let the log be cut.
//!
//! Files: `log-<revision>` holds the changes after that revision, `snapshot-<revision>` everything at it. Two
//! generations are kept, so that history reaches back across a restart. Compaction starts a new log, writes the
//! snapshot aside while writes go on, then removes the generation before the last.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::files::{Growing, Listen};
use crate::frame::{self, Found};
use crate::log::{self, Named};
use crate::record::Event;
use crate::seal::{SealOptions, Sealer};
use crate::snapshot;
use crate::state::{FIRST_REVISION, Shared, State, TableId};

/// How the disk driver works.
#[derive(Debug, Clone)]
pub struct DiskOptions {
    /// The log is cut once it is larger than this and than twice what is live.
    pub compact_bytes: u64,
    /// History kept per table for watchers that resume.
    pub history_bytes: usize,
    /// Tables whose values are encrypted on disk.
    pub seal: Option<SealOptions>,
    /// Hears of every step on the files.
    pub listen: Listen,
}

impl Default for DiskOptions {
    fn default() -> Self {
        Self { compact_bytes: 32 << 20, history_bytes: crate::DEFAULT_HISTORY_BYTES, seal: None, listen: Listen::default() }
    }
}

/// Why a store could not be opened. Nothing on disk was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path}: another process has this store open; stop it first, or give this one a --data-dir of its own")]
    Locked { path: PathBuf },
    #[error(
        "{path}: damaged at byte {offset}: {why}. Nothing was changed. Put back a copy of the folder, or move this file away to go on with what the others hold (everything after revision {revision} is then lost)"
    )]
    Damaged { path: PathBuf, offset: u64, why: String, revision: u64 },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError + '_ {
    move |source| OpenError::Io { path: path.to_owned(), source }
}

/// The files of one store, in the hands of the write thread.
pub(crate) struct Disk {
    folder: PathBuf,
    options: DiskOptions,
    log: Growing,
    log_len: u64,
    /// Length of the last snapshot: a measure of what is live.
    live: u64,
    buffer: Vec<u8>,
    compacting: Arc<AtomicBool>,
    compaction: Option<JoinHandle<()>>,
    failed: Option<String>,
    _lock: File,
}

fn numbered(folder: &Path, prefix: &str) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if let Some(number) = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_prefix(prefix)).and_then(|n| n.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

fn log_path(folder: &Path, revision: u64) -> PathBuf {
    folder.join(format!("log-{revision:020}"))
}

fn snapshot_path(folder: &Path, revision: u64) -> PathBuf {
    folder.join(format!("snapshot-{revision:020}"))
}

pub(crate) fn open(folder: &Path, options: DiskOptions) -> Result<(Arc<Shared>, Disk), OpenError> {
    fs::create_dir_all(folder).map_err(at(folder))?;
    let lock_path = folder.join("lock");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(at(&lock_path))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Err(OpenError::Locked { path: folder.to_owned() }),
        Err(fs::TryLockError::Error(source)) => return Err(OpenError::Io { path: lock_path, source }),
    }
    let sealer = options.seal.clone().map(Sealer::new).transpose().map_err(at(folder))?.map(Arc::new);
    let (shared, mut state, live) = load_snapshot(folder, &options, sealer)?;
    let logs = numbered(folder, "log-").map_err(at(folder))?;
    let mut events = Vec::new();
    let mut last = None;
    for (i, (number, path)) in logs.iter().enumerate() {
        // A log whose successor begins no later than the state holds nothing new.
        if logs.get(i + 1).is_some_and(|(next, _)| *next <= state.revision) {
            continue;
        }
        if *number > state.revision {
            let why = format!("it begins after revision {number}, the files before it end at {}: a file between is missing", state.revision);
            return Err(OpenError::Damaged { path: path.clone(), offset: 0, why, revision: state.revision });
        }
        let good = replay(path, i + 1 == logs.len(), &shared, &mut state, &mut events)?;
        last = Some((path.clone(), good));
        if events.len() > 4096 {
            shared.publish(state.clone(), std::mem::take(&mut events));
        }
    }
    let revision = state.revision;
    shared.publish(state, events);
    let log = continued(folder, last.as_ref().map(|(path, len)| (path.as_path(), *len)), revision, &options.listen)?;
    let log_len = last.map_or(0, |(_, len)| len);
    tracing::info!(folder = %folder.display(), revision, "store opened");
    let disk = Disk {
        folder: folder.to_owned(),
        options,
        log,
        log_len,
        live,
        buffer: Vec::new(),
        compacting: Arc::default(),
        compaction: None,
        failed: None,
        _lock: lock,
    };
    Ok((shared, disk))
}

/// The log to go on with: the last one, cut to its good part, or a first one.
fn continued(folder: &Path, last: Option<(&Path, u64)>, revision: u64, listen: &Listen) -> Result<Growing, OpenError> {
    let new = log_path(folder, revision);
    let path = last.map_or(new.as_path(), |(path, _)| path);
    let log = match last {
        Some((path, len)) => Growing::go_on(path, len, listen),
        None => Growing::create_new(path, listen),
    };
    let log = log.map_err(at(path))?;
    log.sync_all().map_err(at(path))?;
    listen.sync_folder(folder).map_err(at(folder))?;
    Ok(log)
}

/// The older of the two kept snapshots, so that replay also rebuilds history; the newer one if that is damaged.
fn load_snapshot(folder: &Path, options: &DiskOptions, sealer: Option<Arc<Sealer>>) -> Result<(Arc<Shared>, State, u64), OpenError> {
    let shared_of = |revision| Arc::new(Shared::new(revision, options.history_bytes, sealer.clone()));
    let mut damage = None;
    for (number, path) in numbered(folder, "snapshot-").map_err(at(folder))? {
        match snapshot::read(&path, shared_of) {
            Ok((shared, state)) => {
                let live = fs::metadata(&path).map_err(at(&path))?.len();
                return Ok((shared, state, live));
            }
            Err(source) if source.kind() == io::ErrorKind::InvalidData || source.kind() == io::ErrorKind::UnexpectedEof => {
                tracing::warn!(path = %path.display(), error = %source, "passed over a damaged snapshot");
                damage = Some(OpenError::Damaged { path, offset: 0, why: source.to_string(), revision: number });
            }
            Err(source) => return Err(OpenError::Io { path, source }),
        }
    }
    let first_log = log_path(folder, FIRST_REVISION);
    match damage {
        Some(damage) if !first_log.exists() => Err(damage),
        _ => Ok((shared_of(FIRST_REVISION), State { revision: FIRST_REVISION, tables: Vec::new() }, 0)),
    }
}

/// Replays one log; returns the length of its good part.
fn replay(path: &Path, is_last: bool, shared: &Arc<Shared>, state: &mut State, events: &mut Vec<(TableId, Arc<Event>)>) -> Result<u64, OpenError> {
    let bytes = fs::read(path).map_err(at(path))?;
    let mut offset = 0;
    loop {
        let damaged = |why: String, revision: u64| OpenError::Damaged { path: path.to_owned(), offset: offset as u64, why, revision };
        match frame::read(&bytes, offset) {
            Found::Frame(payload, next) => {
                let before = state.revision;
                log::replay(shared, state, payload, events).map_err(|e| match e.kind() {
                    io::ErrorKind::PermissionDenied => OpenError::Io { path: path.to_owned(), source: e },
                    _ => damaged(e.to_string(), before),
                })?;
                offset = next;
            }
            Found::End => return Ok(offset as u64),
            Found::Torn if is_last => {
                tracing::warn!(path = %path.display(), offset, dropped = bytes.len() - offset, "cut off a write that was never acknowledged");
                return Ok(offset as u64);
            }
            Found::Torn => return Err(damaged("the file ends in the middle of a write".into(), state.revision)),
            Found::Damaged { next_good } => return Err(damaged(format!("the checksum is wrong, good data follows at byte {next_good}"), state.revision)),
        }
    }
}

impl Disk {
    fn start_log(&mut self, revision: u64) -> io::Result<()> {
        let path = log_path(&self.folder, revision);
        let log = Growing::create_new(&path, &self.options.listen)?;
        self.options.listen.sync_folder(&self.folder)?;
        (self.log, self.log_len) = (log, 0);
        Ok(())
    }

    /// Makes a group durable.
    pub fn append(&mut self, shared: &Shared, events: &[(TableId, Arc<Event>)]) -> io::Result<()> {
        if let Some(why) = &self.failed {
            return Err(io::Error::other(why.clone()));
        }
        self.buffer.clear();
        let start = frame::begin(&mut self.buffer);
        let mut named = Named::default();
        for (table, event) in events {
            log::put_event(&mut self.buffer, shared, &mut named, *table, event)?;
        }
        frame::end(&mut self.buffer, start);
        let written = self.log.append(&self.buffer);
        if self.buffer.capacity() > 8 << 20 {
            self.buffer = Vec::new();
        }
        if let Err(error) = written {
            return Err(self.take_back(error));
        }
        if let Err(error) = self.log.sync_data() {
            // What the kernel keeps after a failed fsync is unknown: nothing may be written on top of it.
            let why = format!("{}: fsync failed ({error}); the store takes no more writes until a restart", self.log.path().display());
            self.failed = Some(why.clone());
            return Err(io::Error::new(error.kind(), why));
        }
        self.log_len += self.buffer.len() as u64;
        Ok(())
    }

    /// Undoes a write that the disk took only in part, so that the next one can succeed once there is room.
    fn take_back(&mut self, error: io::Error) -> io::Error {
        let cut = self.log.cut(self.log_len);
        let hint = if error.kind() == io::ErrorKind::StorageFull { "; free some space, writes go on by themselves" } else { "" };
        let why = format!("{}: {error}{hint}", self.log.path().display());
        if let Err(cut) = cut {
            self.failed = Some(format!("{why}; cutting the log back failed too: {cut}"));
        }
        io::Error::new(error.kind(), why)
    }

    pub fn compact_if_due(&mut self, shared: &Arc<Shared>) {
        if self.log_len < self.options.compact_bytes.max(2 * self.live) || self.failed.is_some() || self.compacting.load(Ordering::Acquire) {
            return;
        }
        let state = shared.current();
        if let Err(error) = self.start_log(state.revision) {
            tracing::warn!(%error, "could not start a new log; the old one goes on");
            return;
        }
        self.live = state.tables.iter().flat_map(|t| t.iter()).map(|r| r.weight() as u64).sum();
        self.compacting.store(true, Ordering::Release);
        let (shared, folder, flag, listen) = (shared.clone(), self.folder.clone(), self.compacting.clone(), self.options.listen.clone());
        let work = move || {
            let path = snapshot_path(&folder, state.revision);
            match snapshot::write(&path, &shared, &state, &listen).and_then(|()| remove_old(&folder, &listen)) {
                Ok(()) => tracing::info!(revision = state.revision, "log compacted"),
                Err(error) => tracing::warn!(%error, path = %path.display(), "could not compact the log"),
            }
            flag.store(false, Ordering::Release);
        };
        match std::thread::Builder::new().name("store-compact".into()).spawn(work) {
            Ok(thread) => self.compaction = Some(thread),
            Err(error) => {
                tracing::warn!(%error, "could not start compaction");
                self.compacting.store(false, Ordering::Release);
            }
        }
    }
}

/// Whoever opens the folder next finds nobody at work in it.
impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(thread) = self.compaction.take() {
            let _ = thread.join();
        }
    }
}

/// Keeps the two newest snapshots and the logs from the older of them on.
fn remove_old(folder: &Path, listen: &Listen) -> io::Result<()> {
    let mut snapshots = numbered(folder, "snapshot-")?;
    let Some(newest) = snapshots.pop() else { return Ok(()) };
    let keep_from = snapshots.last().map_or(FIRST_REVISION, |(number, _)| *number).min(newest.0);
    snapshots.pop();
    let logs = numbered(folder, "log-")?;
    let old_logs = logs.windows(2).filter(|pair| pair[1].0 <= keep_from).map(|pair| &pair[0]);
    for (_, path) in &snapshots {
        listen.remove(path)?;
    }
    // An old snapshot that a power cut brings back would ask for the logs after it.
    listen.sync_folder(folder)?;
    for (_, path) in old_logs {
        listen.remove(path)?;
    }
    Ok(())
}
