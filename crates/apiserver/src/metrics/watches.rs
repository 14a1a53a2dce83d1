//! What is counted of what watches are told.
//!
//! Upstream: apiserver `pkg/endpoints/metrics/metrics.go`, `pkg/endpoints/handlers/watch.go` (`watchEventMetricsRecorder`).

use catalog::Resource;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, exponential_buckets};

use super::registered;

pub struct Watches {
    events: IntCounterVec,
    sizes: HistogramVec,
}

/// The counters of one watch.
pub struct Told {
    events: IntCounter,
    sizes: Histogram,
}

impl Watches {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        const LABELS: [&str; 3] = ["group", "version", "resource"];
        let events = registered(registry, IntCounterVec::new(Opts::new("apiserver_watch_events_total", "[ALPHA] Number of events sent in watch clients"), &LABELS))?;
        let sizes = registered(registry, HistogramVec::new(HistogramOpts::new("apiserver_watch_events_sizes", "[ALPHA] Watch event size distribution in bytes").buckets(exponential_buckets(1024.0, 2.0, 8)?), &LABELS))?;
        Ok(Self { events, sizes })
    }

    pub fn of(&self, resource: &Resource) -> Told {
        let labels = [&*resource.group, &*resource.version, &*resource.plural];
        Told { events: self.events.with_label_values(&labels), sizes: self.sizes.with_label_values(&labels) }
    }
}

impl Told {
    /// An event of so many bytes.
    pub fn event(&self, bytes: usize) {
        self.events.inc();
        self.sizes.observe(bytes as f64);
    }
}
