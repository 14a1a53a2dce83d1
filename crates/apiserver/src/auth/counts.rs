//! What is counted of those who judge.
//!
//! Upstream: apiserver `pkg/authorization/metrics`, `pkg/authorization/cel/metrics.go`, `plugin/pkg/authorizer/webhook/metrics`.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use crate::metrics::registered;

const BUCKETS: [f64; 15] = [0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 30.0];

const CONDITION_BUCKETS: [f64; 7] = [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25];

/// Clones share the counters.
#[derive(Clone)]
pub struct Judged {
    decisions: IntCounterVec,
    asked: IntCounterVec,
    took: HistogramVec,
    passed_on_failure: IntCounterVec,
    conditions: Conditions,
}

/// Of the conditions that say whether a webhook is asked.
#[derive(Clone)]
struct Conditions {
    errors: IntCounterVec,
    exclusions: IntCounterVec,
    took: HistogramVec,
}

impl Judged {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<IntCounterVec> {
            registered(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let took = registered(registry, HistogramVec::new(HistogramOpts::new("apiserver_authorization_webhook_duration_seconds", "[ALPHA] Request latency in seconds.").buckets(BUCKETS.into()), &["name", "result"]))?;
        let help = "[ALPHA] Authorization match condition evaluation time in seconds, split by authorizer type and name.";
        let condition_took = registered(registry, HistogramVec::new(HistogramOpts::new("apiserver_authorization_match_condition_evaluation_seconds", help).buckets(CONDITION_BUCKETS.into()), &["type", "name"]))?;
        let conditions = Conditions {
            errors: counter("apiserver_authorization_match_condition_evaluation_errors_total", "[ALPHA] Total number of errors when an authorization webhook encounters a match condition error split by authorizer type and name.", &["type", "name"])?,
            exclusions: counter("apiserver_authorization_match_condition_exclusions_total", "[ALPHA] Total number of exclusions when an authorization webhook is skipped because match conditions exclude it.", &["type", "name"])?,
            took: condition_took,
        };
        Ok(Self {
            decisions: counter("apiserver_authorization_decisions_total", "[ALPHA] Total number of terminal decisions made by an authorizer split by authorizer type, name, and decision.", &["type", "name", "decision"])?,
            asked: counter("apiserver_authorization_webhook_evaluations_total", "[ALPHA] Round-trips to authorization webhooks.", &["name", "result"])?,
            passed_on_failure: counter("apiserver_authorization_webhook_evaluations_fail_open_total", "[ALPHA] NoOpinion results due to webhook timeout or error.", &["name", "result"])?,
            took,
            conditions,
        })
    }

    pub fn decided(&self, kind: &str, name: &str, allowed: bool) {
        self.decisions.with_label_values(&[kind, name, if allowed { "allowed" } else { "denied" }]).inc();
    }

    /// A webhook's conditions were judged.
    pub fn judged_conditions(&self, name: &str, took: Duration, holds: &Result<bool, String>) {
        let labels = ["Webhook", name];
        self.conditions.took.with_label_values(&labels).observe(took.as_secs_f64());
        match holds {
            Ok(true) => {}
            Ok(false) => self.conditions.exclusions.with_label_values(&labels).inc(),
            Err(_) => self.conditions.errors.with_label_values(&labels).inc(),
        }
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
