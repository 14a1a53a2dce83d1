//! What is counted of webhooks and match conditions.
//!
//! Upstream: apiserver `pkg/admission/metrics/metrics.go`, `pkg/admission/plugin/webhook/matchconditions/matcher.go`.

use std::time::{Duration, Instant};

use policy::scope::{Conditions, Inputs};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::Attributes;

const LABELS: [&str; 4] = ["name", "kind", "type", "operation"];
const BUCKETS: [f64; 7] = [0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25];

/// Whose conditions they are, as labels tell it.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    pub kind: &'static str,
    /// What admission it is part of.
    pub part: &'static str,
    pub name: &'a str,
}

impl<'a> Owner<'a> {
    /// Upstream: of policies that change objects too.
    pub fn policy(name: &'a str) -> Self {
        Self { kind: "policy", part: "validate", name }
    }
}

/// The counters; clones share them.
#[derive(Clone)]
pub struct ConditionCounts {
    errors: IntCounterVec,
    exclusions: IntCounterVec,
    took: HistogramVec,
}

impl ConditionCounts {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounterVec> {
            let vec = IntCounterVec::new(Opts::new(name, help), &LABELS)?;
            registry.register(Box::new(vec.clone()))?;
            Ok(vec)
        };
        let took = HistogramVec::new(HistogramOpts::new("apiserver_admission_match_condition_evaluation_seconds", "[ALPHA] Admission match condition evaluation time in seconds, identified by name and broken out for each kind containing matchConditions (webhook or policy), operation and type (validate or admit).").buckets(BUCKETS.into()), &LABELS)?;
        registry.register(Box::new(took.clone()))?;
        Ok(Self {
            errors: counter("apiserver_admission_match_condition_evaluation_errors_total", "[ALPHA] Admission match condition evaluation errors count, identified by name of resource containing the match condition and broken out for each kind containing matchConditions (webhook or policy), operation and admission type (validate or admit).")?,
            exclusions: counter("apiserver_admission_match_condition_exclusions_total", "[ALPHA] Admission match condition evaluation exclusions count, identified by name of resource containing the match condition and broken out for each kind containing matchConditions (webhook or policy), operation and admission type (validate or admit).")?,
            took,
        })
    }

    fn judged(&self, of: Owner<'_>, operation: &str, took: Duration, holds: &Result<bool, String>) {
        let labels = [of.name, of.kind, of.part, operation];
        self.took.with_label_values(&labels).observe(took.as_secs_f64());
        match holds {
            Ok(true) => {}
            Ok(false) => self.exclusions.with_label_values(&labels).inc(),
            Err(_) => self.errors.with_label_values(&labels).inc(),
        }
    }
}

/// How long webhooks took; clones share it.
#[derive(Clone)]
pub struct HookCounts {
    took: HistogramVec,
    failed_open: IntCounterVec,
}

impl HookCounts {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        const SECONDS: [f64; 8] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0];
        let help = "[STABLE] Admission webhook latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).";
        let took = HistogramVec::new(HistogramOpts::new("apiserver_admission_webhook_admission_duration_seconds", help).buckets(SECONDS.into()), &["name", "type", "operation", "rejected"])?;
        let help = "[ALPHA] Admission webhook fail open count, identified by name and broken out for each admission type (validating or admit).";
        let failed_open = IntCounterVec::new(Opts::new("apiserver_admission_webhook_fail_open_count", help), &["name", "type"])?;
        registry.register(Box::new(took.clone()))?;
        registry.register(Box::new(failed_open.clone()))?;
        Ok(Self { took, failed_open })
    }

    /// A webhook of one part of admission (`admit`, `validating`) was asked.
    pub fn asked(&self, name: &str, part: &str, operation: &str, took: Duration, rejected: bool) {
        self.took.with_label_values(&[name, part, operation, if rejected { "true" } else { "false" }]).observe(took.as_secs_f64());
    }

    pub fn failed_open(&self, name: &str, part: &str) {
        self.failed_open.with_label_values(&[name, part]).inc();
    }
}

impl Attributes<'_> {
    /// Whether match conditions hold; counted where there are any.
    pub fn hold(&self, conditions: &Conditions, of: Owner<'_>, inputs: Inputs<'_>) -> Result<bool, String> {
        if conditions.is_empty() {
            return Ok(true);
        }
        let begin = Instant::now();
        let holds = conditions.hold(inputs);
        self.call.server.metrics.conditions.judged(of, self.subject.operation, begin.elapsed(), &holds);
        holds
    }
}
