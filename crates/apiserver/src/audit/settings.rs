//! What the server is told of the record at its start: upstream's `--audit-*`.
//!
//! Upstream: apiserver `pkg/server/options/audit.go`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config_file::ConfigFile;

/// Where the record goes, and what goes into it.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// A `Policy` in YAML; without it changes and readers of Secrets are recorded, without contents.
    // Differs: upstream records nothing without one.
    pub policy: Option<PathBuf>,
    pub log: AuditLogConfig,
    pub webhook: Option<AuditWebhookConfig>,
}

/// The record as a file.
#[derive(Debug, Clone)]
pub struct AuditLogConfig {
    /// `-`: the standard output.
    pub path: PathBuf,
    /// A file is exchanged for a new one when it would become longer.
    pub max_bytes: u64,
    /// Old files that are kept; 0: all.
    pub max_files: usize,
    /// How many days old files are kept; 0: for ever.
    pub max_days: u32,
    pub compress: bool,
    /// A line of text for each event, not of JSON.
    pub legacy: bool,
    pub delivery: Delivery,
    /// None: what waits is written at once.
    pub batch: Option<Batch>,
}

/// The record as it is sent elsewhere.
#[derive(Debug, Clone)]
pub struct AuditWebhookConfig {
    /// A kubeconfig says how it is reached.
    pub kubeconfig: ConfigFile,
    /// Before the second try.
    pub backoff: Duration,
    pub delivery: Delivery,
    pub batch: Batch,
}

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// For nothing: events that find no room are dropped.
    Batch,
    /// For room in the buffer.
    Room,
    /// For its events' arrival.
    Blocking,
    /// The same; and a request whose begin cannot be recorded fails.
    Strict,
}

impl Mode {
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "batch" => Some(Self::Batch),
            "blocking" => Some(Self::Blocking),
            "blocking-strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Delivery {
    pub mode: Mode,
    /// Events that wait.
    pub buffer: usize,
    /// Longer events lose their contents, or are dropped; none: all go as they are.
    pub max_event: Option<usize>,
}

impl Delivery {
    /// Upstream: `defaultBatchBufferSize`.
    pub const BUFFER: usize = 10_000;

    pub const fn of(mode: Mode) -> Self {
        Self { mode, buffer: Self::BUFFER, max_event: None }
    }
}

/// What is sent together.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    pub events: usize,
    pub bytes: usize,
    /// How long a batch waits for more.
    pub wait: Duration,
    /// Batches a second, and how many at once after a pause.
    pub throttle: Option<(f64, u32)>,
}

impl Default for Batch {
    /// Upstream: `defaultWebhookBatchConfig`.
    fn default() -> Self {
        Self { events: 400, bytes: 10 << 20, wait: Duration::from_secs(30), throttle: Some((10.0, 15)) }
    }
}

impl AuditConfig {
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let log = AuditLogConfig { path: path.into(), max_bytes: 100 << 20, max_files: 10, max_days: 30, compress: false, legacy: false, delivery: Delivery::of(Mode::Room), batch: None };
        Self { policy: None, log, webhook: None }
    }
}
