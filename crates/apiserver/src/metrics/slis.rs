//! What `/metrics/slis` tells: how each health check went, whenever somebody asked.
//!
//! Upstream: component-base `metrics/prometheus/slis/metrics.go`.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry};

use super::registered;

pub struct Slis {
    registry: Registry,
    last: IntGaugeVec,
    all: IntCounterVec,
}

impl Slis {
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let last = registered(&registry, IntGaugeVec::new(Opts::new("kubernetes_healthcheck", "[STABLE] This metric records the result of a single healthcheck."), &["name", "type"]))?;
        let all = registered(&registry, IntCounterVec::new(Opts::new("kubernetes_healthchecks_total", "[STABLE] This metric records the results of all healthcheck."), &["name", "status", "type"]))?;
        Ok(Self { registry, last, all })
    }

    /// A check of one path (`livez`, `readyz`, `healthz`) went well or not.
    pub fn checked(&self, path: &str, name: &str, is_well: bool) {
        self.last.with_label_values(&[name, path]).set(is_well.into());
        self.all.with_label_values(&[name, if is_well { "success" } else { "error" }, path]).inc();
    }

    pub fn text(&self) -> Vec<u8> {
        super::text_of(&self.registry)
    }
}
