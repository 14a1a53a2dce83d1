//! What is counted of those who judge.
//!
//! Upstream: apiserver `pkg/authorization/metrics`, `plugin/pkg/authorizer/webhook/metrics`.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

const BUCKETS: [f64; 15] = [0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 30.0];

/// Clones share the counters.
#[derive(Clone)]
pub struct Judged {
    decisions: IntCounterVec,
    asked: IntCounterVec,
    took: HistogramVec,
    passed_on_failure: IntCounterVec,
}

impl Judged {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
            let vec = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(vec.clone()))?;
            Ok(vec)
        };
        let took = HistogramVec::new(HistogramOpts::new("apiserver_authorization_webhook_duration_seconds", "Seconds until a webhook judged.").buckets(BUCKETS.into()), &["name", "result"])?;
        registry.register(Box::new(took.clone()))?;
        Ok(Self {
            decisions: counter("apiserver_authorization_decisions_total", "What was allowed and denied, by who judged.", &["type", "name", "decision"])?,
            asked: counter("apiserver_authorization_webhook_evaluations_total", "Calls of webhooks that judge, by their outcome.", &["name", "result"])?,
            passed_on_failure: counter("apiserver_authorization_webhook_evaluations_fail_open_total", "Failed calls of webhooks after which others were asked.", &["name", "result"])?,
            took,
        })
    }

    pub fn decided(&self, kind: &str, name: &str, allowed: bool) {
        self.decisions.with_label_values(&[kind, name, if allowed { "allowed" } else { "denied" }]).inc();
    }

    /// A webhook was called. Upstream: `success`, `timeout`, `error`.
    pub fn called(&self, name: &str, why: Option<&str>, took: Duration, passes_on: bool) {
        let result = match why {
            None => "success",
            Some(why) if why.contains("deadline exceeded") => "timeout",
            Some(_) => "error",
        };
        self.asked.with_label_values(&[name, result]).inc();
        self.took.with_label_values(&[name, result]).observe(took.as_secs_f64());
        if why.is_some() && passes_on {
            self.passed_on_failure.with_label_values(&[name, result]).inc();
        }
    }
}
