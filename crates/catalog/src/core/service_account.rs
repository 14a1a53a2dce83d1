//! ServiceAccounts.

use serde_json::Value;

use crate::columns::{age, columns, name};
use crate::resource::{Resource, Subresource, Verbs};
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "ServiceAccount", "serviceaccounts", true)
        .short(&["sa"])
        .gives_deleted()
        .sub(Subresource::of_kind("token", "authentication.k8s.io/v1", "TokenRequest", Verbs::CREATE))
        .rules(|rules| rules.warn = warn)
        .columns(columns(&["Name", "Secrets", "Age"]), |object, now| vec![name(object), walk::list(object, "secrets").len().into(), age(object, now)])
}

const MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";

/// Whoever newly sets the annotation. Upstream: `pkg/registry/core/serviceaccount/strategy.go`.
fn warn(object: &Value, old: Option<&Value>) -> Vec<String> {
    let has = |object| api::meta::annotation(object, MOUNTABLE).is_some();
    if has(object) && !old.is_some_and(has) {
        return vec![format!("metadata.annotations[{MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets")];
    }
    Vec::new()
}
