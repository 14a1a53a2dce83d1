//! How long admission and each of its plug-ins took.
//!
//! Upstream: apiserver `pkg/admission/metrics/metrics.go`.
// Differs: upstream counts every plug-in for every request of an operation that it handles; here those count whose turn it was.

use std::time::Instant;

use api::ApiError;
use prometheus::{HistogramOpts, HistogramVec, Registry};

use crate::metrics::registered;
use crate::rest::Call;

const SECONDS: [f64; 6] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5];

pub struct AdmissionCounts {
    steps: HistogramVec,
    plugins: HistogramVec,
}

impl AdmissionCounts {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let of = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<HistogramVec> {
            registered(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(SECONDS.into()), labels))
        };
        Ok(Self {
            steps: of("apiserver_admission_step_admission_duration_seconds", "[STABLE] Admission sub-step latency histogram in seconds, broken out for each operation and API resource and step type (validate or admit).", &["type", "operation", "rejected"])?,
            plugins: of("apiserver_admission_controller_admission_duration_seconds", "[STABLE] Admission controller latency histogram in seconds, identified by name and broken out for each operation and API resource and type (validate or admit).", &["name", "type", "operation", "rejected"])?,
        })
    }
}

/// One step of the admission of one request.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    call: &'a Call,
    kind: &'static str,
    operation: &'static str,
}

/// What is measured from here on.
pub struct Turn<'a> {
    step: Step<'a>,
    /// None for the whole step.
    plugin: Option<&'static str>,
    begin: Instant,
}

impl<'a> Step<'a> {
    pub fn admit(call: &'a Call, operation: &'static str) -> Self {
        Self { call, kind: "admit", operation }
    }

    pub fn validate(call: &'a Call, operation: &'static str) -> Self {
        Self { call, kind: "validate", operation }
    }

    pub fn begins(self) -> Turn<'a> {
        Turn { step: self, plugin: None, begin: Instant::now() }
    }

    /// A plug-in's turn; none where it is off.
    pub fn of(self, plugin: &'static str) -> Option<Turn<'a>> {
        self.call.server.plugins.has(plugin).then(|| Turn { step: self, plugin: Some(plugin), begin: Instant::now() })
    }
}

impl Turn<'_> {
    /// Counts what it came to.
    pub fn ends<T>(self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        let Self { step, plugin, begin } = self;
        let (counts, took) = (&step.call.server.metrics.admission, begin.elapsed().as_secs_f64());
        let (operation, rejected) = (step.operation, if result.is_err() { "true" } else { "false" });
        match plugin {
            Some(name) => counts.plugins.with_label_values(&[name, step.kind, operation, rejected]).observe(took),
            None => counts.steps.with_label_values(&[step.kind, operation, rejected]).observe(took),
        }
        result
    }

    /// Of one that refuses nothing.
    pub fn done(self) {
        let _ = self.ends(Ok(()));
    }
}
