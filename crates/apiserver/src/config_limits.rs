//! Times and counts that bound what is served.

use std::time::Duration;

/// Upstream's defaults.
#[derive(Debug, Clone)]
pub struct Limits {
    /// `--request-timeout`.
    pub request: Duration,
    /// `--min-request-timeout`: a watch without a timeout of its own lives so many seconds to twice as many.
    pub min_watch_seconds: u64,
    /// `--event-ttl`.
    pub event_ttl: Duration,
    /// `--default-not-ready-toleration-seconds`.
    pub not_ready_seconds: i64,
    /// `--default-unreachable-toleration-seconds`.
    pub unreachable_seconds: i64,
    /// `--http2-max-streams-per-connection`.
    // Differs: upstream 250 before 1.28, 100 since.
    pub streams: u32,
    /// `--strict-transport-security-directives`, as the header holds them.
    pub transport_security: Option<http::HeaderValue>,
}

impl Default for Limits {
    fn default() -> Self {
        let (request, event_ttl) = (Duration::from_secs(60), Duration::from_secs(3600));
        Self { request, min_watch_seconds: 1800, event_ttl, not_ready_seconds: 300, unreachable_seconds: 300, streams: 250, transport_security: None }
    }
}
