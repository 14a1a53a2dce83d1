//! What is counted of webhooks and match conditions.
//!
//! Upstream: apiserver `pkg/admission/metrics/metrics.go`, `pkg/admission/plugin/webhook/matchconditions/matcher.go`.

use std::time::{Duration, Instant};

use policy::scope::{Conditions, Inputs};
use policy::validating::Refusal;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use super::Attributes;
use crate::metrics::registered;

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
            registered(registry, IntCounterVec::new(Opts::new(name, help), &LABELS))
        };
        let took = registered(registry, HistogramVec::new(HistogramOpts::new("apiserver_admission_match_condition_evaluation_seconds", "[ALPHA] Admission match condition evaluation time in seconds, identified by name and broken out for each kind containing matchConditions (webhook or policy), operation and type (validate or admit).").buckets(BUCKETS.into()), &LABELS))?;
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
        let took = registered(registry, HistogramVec::new(HistogramOpts::new("apiserver_admission_webhook_admission_duration_seconds", help).buckets(SECONDS.into()), &["name", "type", "operation", "rejected"]))?;
        let help = "[ALPHA] Admission webhook fail open count, identified by name and broken out for each admission type (validating or admit).";
        let failed_open = registered(registry, IntCounterVec::new(Opts::new("apiserver_admission_webhook_fail_open_count", help), &["name", "type"]))?;
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

/// What policies came to; clones share it.
///
/// Upstream: apiserver `pkg/admission/plugin/policy/validating/metrics` and `mutating/metrics`.
#[derive(Clone)]
pub struct PolicyCounts {
    judged: IntCounterVec,
    judged_in: HistogramVec,
    changed: IntCounterVec,
    changed_in: HistogramVec,
}

impl PolicyCounts {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        const SECONDS: [f64; 5] = [0.000_000_5, 0.001, 0.01, 0.1, 1.0];
        const JUDGED: [&str; 4] = ["policy", "policy_binding", "error_type", "enforcement_action"];
        let of = |kind: &str, labels: &[&str], (total, took): (&str, &str)| -> prometheus::Result<(IntCounterVec, HistogramVec)> {
            let count = registered(registry, IntCounterVec::new(Opts::new(format!("apiserver_{kind}_admission_policy_check_total"), total), labels))?;
            let seconds = registered(registry, HistogramVec::new(HistogramOpts::new(format!("apiserver_{kind}_admission_policy_check_duration_seconds"), took).buckets(SECONDS.into()), labels))?;
            Ok((count, seconds))
        };
        let (judged, judged_in) = of(
            "validating",
            &JUDGED,
            (
                "[BETA] Validation admission policy check total, labeled by policy and further identified by binding and enforcement action taken.",
                "[BETA] Validation admission latency for individual validation expressions in seconds, labeled by policy and further including binding and enforcement action taken.",
            ),
        )?;
        let (changed, changed_in) = of(
            "mutating",
            &JUDGED[..3],
            (
                "[ALPHA] Mutation admission policy check total, labeled by policy and further identified by binding.",
                "[ALPHA] Mutation admission latency for individual mutation expressions in seconds, labeled by policy and binding.",
            ),
        )?;
        Ok(Self { judged, judged_in, changed, changed_in })
    }

    /// An expression did not pass, and an action (`deny`, `warn`, `audit`) was taken.
    pub fn judged(&self, policy: &str, binding: &str, action: &str, refusal: &Refusal) {
        let labels = [policy, binding, error_type(&refusal.message), action];
        self.judged.with_label_values(&labels).inc();
        self.judged_in.with_label_values(&labels).observe(refusal.took.as_secs_f64());
    }

    /// A policy changed an object, or failed to.
    pub fn changed(&self, policy: &str, binding: &str, failure: Option<&str>, took: Duration) {
        let labels = [policy, binding, failure.map_or("no_error", error_type)];
        self.changed.with_label_values(&labels).inc();
        self.changed_in.with_label_values(&labels).observe(took.as_secs_f64());
    }
}

/// Upstream: told by the text of the failure (`policy/validating/errors.go`); what is merely false is `invalid_error` too.
fn error_type(message: &str) -> &'static str {
    if message.starts_with("compilation") {
        "compile_error"
    } else if message.starts_with("validation failed due to running out of cost budget") {
        "out_of_budget"
    } else {
        "invalid_error"
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
