//! How requests are taken in, how many at once, and how the server ends.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

pub use pki::TlsChoice;
use regex::Regex;

use crate::config_runtime::RuntimeConfig;

/// Upstream's defaults.
#[derive(Debug, Clone)]
pub struct Serving {
    /// `--bind-address`.
    pub bind: Option<IpAddr>,
    /// `--external-hostname`: what clients are told the server's name is.
    pub external: Option<String>,
    /// `--disable-http2-serving` turns it off.
    pub http2: bool,
    /// `--tls-min-version`, `--tls-cipher-suites`.
    pub tls: TlsChoice,
    /// `--goaway-chance`: how likely a request over HTTP/2 moves its connection.
    pub goaway: f64,
    /// `--cors-allowed-origins`.
    pub origins: Vec<Regex>,
    pub inflight: Inflight,
    pub shutdown: Shutdown,
    /// `--service-node-port-range`.
    pub node_ports: RangeInclusive<i64>,
    /// `--runtime-config`.
    pub runtime: RuntimeConfig,
}

impl Default for Serving {
    fn default() -> Self {
        Self {
            bind: None,
            external: None,
            http2: true,
            tls: TlsChoice::default(),
            goaway: 0.0,
            origins: Vec::new(),
            inflight: Inflight::default(),
            shutdown: Shutdown::default(),
            node_ports: 30000..=32767,
            runtime: RuntimeConfig::default(),
        }
    }
}

/// Requests at once.
#[derive(Debug, Clone, Copy)]
pub struct Inflight {
    /// `--max-requests-inflight`; of requests that change nothing.
    pub reads: u32,
    /// `--max-mutating-requests-inflight`.
    pub writes: u32,
    /// `--enable-priority-and-fairness`: both together are the seats of all levels; else each is a bound, and 0 is none.
    pub fair: bool,
}

impl Default for Inflight {
    fn default() -> Self {
        Self { reads: 400, writes: 200, fair: true }
    }
}

/// How the server ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shutdown {
    /// `--shutdown-delay-duration`: it serves on so long while it says that it is not ready.
    pub delay: Duration,
    /// `--shutdown-send-retry-after`: then it refuses what comes with 429 until all is answered.
    pub retry_after: bool,
    /// `--shutdown-watch-termination-grace-period`: watches end one by one within this time.
    pub watch_grace: Duration,
}
