//! The store: one global revision, compare-and-set writes, consistent snapshots, resumable watches.
//!
//! It promises what etcd promises: an acknowledged write is durable and visible; writes are strictly serialisable;
//! watches are ordered, unique, reliable and resumable, and end with [`Expired`] once history no longer reaches back.
//! It knows nothing of Kubernetes: keys and values are text and bytes.
//!
//! One write thread drains all waiting writes, makes them durable with one fsync, puts them where readers see them
//! and only then answers. Readers never take a lock that a writer holds for longer than a pointer swap.

mod answers;
mod chunks;
mod commit;
mod crier;
mod disk;
mod etcd;
mod files;
mod frame;
mod history;
mod log;
mod record;
mod seal;
mod snapshot;
mod state;

pub use chunks::Difference;
pub use commit::{Expect, Write, WriteError};
pub use disk::{DiskOptions, OpenError};
pub use etcd::{EtcdError, EtcdOptions, EtcdTls, Layout, ReadValue};
pub use files::{Listen, Step};
pub use history::{Expired, Portion, Watch};
pub use record::{Change, Event, Index, Record, Stamped};
pub use seal::{DataKey, SealOptions, WrapKeys};
pub use state::{Range, TableId, View};

use std::path::Path;
use std::sync::Arc;

/// How much a store holds back in memory for watchers that resume, per table.
pub const DEFAULT_HISTORY_BYTES: usize = 4 << 20;

/// A handle on a store; clones share it.
#[derive(Clone)]
pub struct Store {
    shared: Arc<state::Shared>,
    writer: Writer,
}

/// Who decides writes: a thread of this process, or etcd.
#[derive(Clone)]
enum Writer {
    Local(commit::Writer),
    Etcd(etcd::EtcdWriter),
}

impl Store {
    /// A store that forgets everything when the last handle is dropped.
    pub fn in_memory() -> Self {
        let shared = Arc::new(state::Shared::new(state::FIRST_REVISION, DEFAULT_HISTORY_BYTES, None));
        let writer = Writer::Local(commit::Writer::start(shared.clone(), None));
        Self { shared, writer }
    }

    /// Opens or creates the store of a folder. Only one process can have it open.
    pub fn open(folder: &Path, options: DiskOptions) -> Result<Self, OpenError> {
        let (shared, disk) = disk::open(folder, options)?;
        let writer = Writer::Local(commit::Writer::start(shared.clone(), Some(disk)));
        Ok(Self { shared, writer })
    }

    /// Mirrors what lies in etcd. Several processes may work on one etcd.
    pub async fn etcd(options: EtcdOptions) -> Result<Self, EtcdError> {
        let (shared, writer) = etcd::open(options).await?;
        Ok(Self { shared, writer: Writer::Etcd(writer) })
    }

    /// Seals what is written from now on with a fresh data key, as the options say. Fails without a change; a store that was
    /// opened without keys has none to exchange.
    pub fn renew_seal(&self, options: SealOptions) -> std::io::Result<()> {
        let sealer = self.shared.sealer().ok_or_else(|| std::io::Error::other("the store was opened without keys"))?;
        sealer.renew(options)
    }

    /// Whether other processes write here too: a read must then be preceded by [`Store::fresh`].
    pub fn is_shared(&self) -> bool {
        matches!(self.writer, Writer::Etcd(_))
    }

    /// Waits until readers here see every write that was acknowledged anywhere before this call.
    pub async fn fresh(&self) -> Result<(), WriteError> {
        match &self.writer {
            Writer::Local(_) => Ok(()),
            Writer::Etcd(etcd) => etcd.fresh().await,
        }
    }

    /// The table of that name, made on first use.
    pub fn table(&self, name: &str) -> TableId {
        self.shared.table(name)
    }

    /// Names of all tables that were ever used.
    pub fn table_names(&self) -> Vec<String> {
        self.shared.table_names()
    }

    /// The newest revision that readers see.
    pub fn revision(&self) -> u64 {
        self.shared.view().revision()
    }

    /// A consistent view of everything, now.
    pub fn view(&self) -> View {
        self.shared.view()
    }

    /// The view of one table as it was at an older revision, while history reaches back that far.
    pub fn table_at(&self, table: TableId, revision: u64) -> Result<Range, Expired> {
        self.shared.table_at(table, revision)
    }

    /// Applies one write; returns once it is durable and visible.
    pub async fn write(&self, write: Write) -> Result<Arc<Record>, WriteError> {
        match &self.writer {
            Writer::Local(local) => local.write(write).await,
            Writer::Etcd(etcd) => etcd.write(write).await,
        }
    }

    /// Watches one table: every change after `revision`, in order.
    pub fn watch(&self, table: TableId, revision: u64) -> Result<Watch, Expired> {
        self.shared.watch(table, revision)
    }

    /// Forgets history up to a revision, as a compaction from outside would.
    pub fn compact(&self, revision: u64) {
        self.shared.compact(revision);
    }

    /// Lets etcd forget it too; nothing to do for the other drivers.
    pub async fn compact_remote(&self, revision: u64) -> Result<(), WriteError> {
        match &self.writer {
            Writer::Local(_) => Ok(()),
            Writer::Etcd(etcd) => etcd.compact(revision).await,
        }
    }
}
