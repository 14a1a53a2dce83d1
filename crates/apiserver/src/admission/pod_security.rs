//! PodSecurity: asks the rules at the level that the pod's namespace enforces.

use api::{ApiError, meta};
use catalog::walk;
use serde_json::Value;

use crate::object;
use crate::rest::Call;

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

pub fn check(call: &Call, pod: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    if old.is_some_and(|old| old.get("spec") == pod.get("spec")) {
        return Ok(());
    }
    let table = call.server.store.table("/registry/namespaces");
    let Some(namespace) = call.server.store.view().get(table, call.namespace()).map(|r| object::parse(&r.value)) else { return Ok(()) };
    let Some(level) = meta::label(&namespace, ENFORCE) else { return Ok(()) };
    let version = meta::label(&namespace, "pod-security.kubernetes.io/enforce-version").unwrap_or("latest");
    let found = policy::pod_security::violations(level, walk::at(pod, "spec"));
    if found.is_empty() {
        return Ok(());
    }
    let why = format!("violates PodSecurity \"{level}:{version}\": {}", found.join(", "));
    Err(ApiError::forbidden(&call.resource(), meta::name(pod), why))
}
