//! What admission has to say besides yes and no: warnings for the client, annotations for the audit log.

use std::time::Duration;

use api::meta;
use parking_lot::Mutex;
use serde_json::Value;

/// How an object of a request calls itself: the record says it where the address does not.
#[derive(Debug, Default)]
pub struct Named {
    pub name: String,
    pub namespace: String,
    pub uid: String,
    pub resource_version: String,
}

/// Upstream: webhooks that change are asked in turn, those that judge at once (`endpoints/request/webhook_duration.go`).
#[derive(Debug, Default)]
struct Waited {
    changing: Duration,
    judging: Duration,
}

/// Collected while one request is served.
#[derive(Debug, Default)]
pub struct Notes {
    warnings: Mutex<Vec<String>>,
    annotations: Mutex<Vec<(String, String)>>,
    named: Mutex<Option<Named>>,
    /// What webhooks took.
    waited: Mutex<Waited>,
    /// What the server writes at its own start asks no webhook: those that answer may not run yet.
    pub unasked: bool,
}

impl Notes {
    pub fn unasked() -> Self {
        Self { unasked: true, ..Self::default() }
    }

    /// Upstream: the same warning is told once.
    pub fn warn(&self, warning: impl Into<String>) {
        let (warning, mut all) = (warning.into(), self.warnings.lock());
        if !warning.is_empty() && !all.contains(&warning) {
            all.push(warning);
        }
    }

    /// A webhook took so long.
    pub fn waited(&self, took: Duration, changes: bool) {
        let mut waited = self.waited.lock();
        if changes {
            waited.changing += took;
        } else {
            waited.judging = waited.judging.max(took);
        }
    }

    /// How long the request waited for webhooks.
    pub fn all_waited(&self) -> Duration {
        let waited = self.waited.lock();
        waited.changing + waited.judging
    }

    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lock().clone()
    }

    /// An annotation of the audit event.
    pub fn annotate(&self, key: &str, value: &str) {
        self.annotations.lock().push((key.to_owned(), value.to_owned()));
    }

    /// The object of the request, as it was read.
    pub fn name(&self, object: &Value) {
        let text = |key| meta::text(object, key).to_owned();
        let named = Named { name: text("name"), namespace: text("namespace"), uid: text("uid"), resource_version: text("resourceVersion") };
        *self.named.lock() = Some(named);
    }

    pub fn named(&self) -> Option<Named> {
        self.named.lock().take()
    }

    pub fn annotations(&self) -> Vec<(String, String)> {
        self.annotations.lock().clone()
    }
}
