//! NamespaceLifecycle: nothing is created where there is no namespace or one that ends; some namespaces stay.
//! NamespaceAutoProvision makes namespaces that are not there, NamespaceExists looks at every write.

use api::{ApiError, GroupResource, Reason, meta};
use catalog::walk;
use serde_json::{Value, json};

use super::is;
use crate::bootstrap::call_about;
use crate::rest::{Call, create};

const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

pub fn check(call: &Call, created: &Value) -> Result<(), ApiError> {
    let namespace = call.namespace();
    if namespace.is_empty() || call.served.resource.group == "authorization.k8s.io" {
        return Ok(());
    }
    let Some(found) = call.server.parsed.get(&call.server.store, "/registry/namespaces", namespace) else {
        return Err(ApiError::not_found(&GroupResource::new("", "namespaces"), namespace));
    };
    if walk::text(&found, "status.phase") == "Terminating" || meta::is_deleting(&found) {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let message = format!("namespace {namespace} is being terminated");
        return Err(ApiError::forbidden(&call.resource(), meta::name(created), why).with_cause("NamespaceTerminating", &message, "metadata.namespace"));
    }
    Ok(())
}

pub fn check_deletion(call: &Call) -> Result<(), ApiError> {
    if is(call, "", "namespaces") && IMMORTAL.contains(&call.info.name.as_str()) {
        return Err(ApiError::forbidden(&call.resource(), &call.info.name, "this namespace may not be deleted"));
    }
    Ok(())
}

fn exists(call: &Call) -> bool {
    let namespace = call.namespace();
    let table = call.server.store.table("/registry/namespaces");
    namespace.is_empty() || call.server.store.view().get(table, namespace).is_some()
}

/// Upstream: `plugin/pkg/admission/namespace/exists`.
pub fn check_exists(call: &Call) -> Result<(), ApiError> {
    if exists(call) { Ok(()) } else { Err(ApiError::not_found(&GroupResource::new("", "namespaces"), call.namespace())) }
}

/// Makes the namespace of what is created. Upstream: `plugin/pkg/admission/namespace/autoprovision`.
pub async fn provide(call: &Call) -> Result<(), ApiError> {
    if exists(call) || call.dry_run()? {
        return Ok(());
    }
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": call.namespace()}});
    let making = call_about(&call.server, &namespace, "create")?;
    match Box::pin(create::create(&making, namespace)).await {
        Err(error) if error.reason != Reason::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
