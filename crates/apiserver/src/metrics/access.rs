//! What is counted of who asks and whether they may, of what is recorded of it, and of those who never got so far.
//!
//! Upstream: apiserver `pkg/endpoints/filters/metrics.go`, `pkg/audit/metrics.go`, `pkg/endpoints/metrics/metrics.go`.

use std::time::Instant;

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, exponential_buckets};

use super::registered;

pub struct Access {
    users: IntCounterVec,
    identified: IntCounterVec,
    identified_in: HistogramVec,
    decided: IntCounterVec,
    decided_in: HistogramVec,
    /// Counted by the audit log itself.
    pub recorded: IntCounter,
    levels: IntCounterVec,
    not_recorded: IntCounter,
    handshakes: IntCounter,
}

impl Access {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, label: &str| -> prometheus::Result<IntCounterVec> {
            registered(registry, IntCounterVec::new(Opts::new(name, help), &[label]))
        };
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            registered(registry, IntCounter::new(name, help))
        };
        let seconds = |name: &str, help: &str| -> prometheus::Result<HistogramVec> {
            registered(registry, HistogramVec::new(HistogramOpts::new(name, help).buckets(exponential_buckets(0.001, 2.0, 15)?), &["result"]))
        };
        Ok(Self {
            users: counters("authenticated_user_requests", "[ALPHA] Counter of authenticated requests broken out by username.", "username")?,
            identified: counters("authentication_attempts", "[ALPHA] Counter of authenticated attempts.", "result")?,
            identified_in: seconds("authentication_duration_seconds", "[ALPHA] Authentication duration in seconds broken out by result.")?,
            decided: counters("authorization_attempts_total", "[ALPHA] Counter of authorization attempts broken down by result. It can be either 'allowed', 'denied', 'no-opinion' or 'error'.", "result")?,
            decided_in: seconds("authorization_duration_seconds", "[ALPHA] Authorization duration in seconds broken out by result.")?,
            recorded: counter("apiserver_audit_event_total", "[ALPHA] Counter of audit events generated and sent to the audit backend.")?,
            levels: counters("apiserver_audit_level_total", "[ALPHA] Counter of policy levels for audit events (1 per request).", "level")?,
            not_recorded: counter("apiserver_audit_requests_rejected_total", "[ALPHA] Counter of apiserver requests rejected due to an error in audit logging backend.")?,
            handshakes: counter("apiserver_tls_handshake_errors_total", "[ALPHA] Number of requests dropped with 'TLS handshake error from' error")?,
        })
    }

    /// Who asks was found out, was nobody known, or could not be.
    pub fn identified(&self, outcome: Result<Option<&str>, ()>, begin: Instant) {
        let result = match outcome {
            Ok(Some(name)) => {
                self.users.with_label_values(&[kind_of_name(name)]).inc();
                "success"
            }
            Ok(None) => "failure",
            Err(()) => "error",
        };
        self.identified.with_label_values(&[result]).inc();
        self.identified_in.with_label_values(&[result]).observe(begin.elapsed().as_secs_f64());
    }

    /// It was decided whether they may: `allowed`, `denied`, `no-opinion` or `error`.
    pub fn decided(&self, result: &str, begin: Instant) {
        self.decided.with_label_values(&[result]).inc();
        self.decided_in.with_label_values(&[result]).observe(begin.elapsed().as_secs_f64());
    }

    /// A request is to be recorded so.
    pub fn level(&self, level: &str) {
        self.levels.with_label_values(&[level]).inc();
    }

    /// A request was refused since it could not be recorded.
    pub fn not_recorded(&self) {
        self.not_recorded.inc();
    }

    /// A connection ended before it was one.
    pub fn failed_handshake(&self) {
        self.handshakes.inc();
    }
}

/// Upstream: `compressUsername`; names themselves are nobody's business here.
fn kind_of_name(name: &str) -> &str {
    match name {
        "admin" | "client" | "kube_proxy" | "kubelet" | "system:serviceaccount:kube-system:default" => name,
        _ if name.contains('@') => "email_id",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_users_stay_out() {
        assert_eq!(["admin", "eva@example.com", "system:node:n"].map(kind_of_name), ["admin", "email_id", "other"]);
    }
}
