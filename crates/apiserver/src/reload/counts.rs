//! What is counted of reloads.
//!
//! Upstream: apiserver `pkg/server/options/authenticationconfig/metrics` and its kin of authorization and encryption.

use jiff::Timestamp;
use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry};
use sha2::{Digest, Sha256};

use super::What;
use crate::metrics::registered;

struct Counts {
    total: IntCounterVec,
    last: GaugeVec,
    /// The file that is in use, by its digest.
    used: IntGaugeVec,
}

/// Of the three kinds of configuration that upstream counts.
pub struct Reloads {
    authentication: Counts,
    authorization: Counts,
    encryption: Counts,
    server: String,
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().fold("sha256:".to_owned(), |all, byte| format!("{all}{byte:02x}"))
}

impl Counts {
    fn new(registry: &Registry, kind: &str) -> prometheus::Result<Self> {
        let name = |end: &str| format!("apiserver_{kind}_config_controller_{end}");
        let labels = ["status", "apiserver_id_hash"];
        let stage = if kind == "encryption" { "[ALPHA]" } else { "[BETA]" };
        let total = registered(registry, IntCounterVec::new(Opts::new(name("automatic_reloads_total"), format!("{stage} Total number of automatic reloads of {kind} configuration split by status and apiserver identity.")), &labels))?;
        let last = registered(registry, GaugeVec::new(Opts::new(name("automatic_reload_last_timestamp_seconds"), format!("{stage} Timestamp of the last automatic reload of {kind} configuration split by status and apiserver identity.")), &labels))?;
        let used = registered(registry, IntGaugeVec::new(Opts::new(name("last_config_info"), format!("[ALPHA] Information about the last applied {kind} configuration with hash as label, split by apiserver identity.")), &["apiserver_id_hash", "hash"]))?;
        Ok(Self { total, last, used })
    }

    fn ended(&self, status: &str, server: &str) {
        self.total.with_label_values(&[status, server]).inc();
        self.last.with_label_values(&[status, server]).set(Timestamp::now().as_millisecond() as f64 / 1000.0);
    }

    fn uses(&self, server: &str, text: &str) {
        self.used.reset();
        self.used.with_label_values(&[server, &digest(text)]).set(1);
    }
}

impl Reloads {
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let of = |kind| Counts::new(registry, kind);
        Ok(Self { authentication: of("authentication")?, authorization: of("authorization")?, encryption: of("encryption")?, server: digest(&format!("apiserver-{}", host.trim())) })
    }

    fn of(&self, what: What) -> Option<&Counts> {
        match what {
            What::Authentication => Some(&self.authentication),
            What::Authorization => Some(&self.authorization),
            What::Encryption => Some(&self.encryption),
            What::ClientAuthority | What::FrontAuthority | What::Serving => None,
        }
    }

    pub fn in_use(&self, what: What, text: &str) {
        if let Some(counts) = self.of(what) {
            counts.uses(&self.server, text);
        }
    }

    pub fn succeeded(&self, what: What, text: &str) {
        if let Some(counts) = self.of(what) {
            counts.ended("success", &self.server);
            counts.uses(&self.server, text);
        }
    }

    pub fn failed(&self, what: What) {
        if let Some(counts) = self.of(what) {
            counts.ended("failure", &self.server);
        }
    }
}
