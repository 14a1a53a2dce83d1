//! What admission has to say besides yes and no: warnings for the client, annotations for the audit log.

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

/// Collected while one request is served.
#[derive(Debug, Default)]
pub struct Notes {
    warnings: Mutex<Vec<String>>,
    annotations: Mutex<Vec<(String, String)>>,
    named: Mutex<Option<Named>>,
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
