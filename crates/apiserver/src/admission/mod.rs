//! Built-in admission: what the server adds to requests and what it refuses.
//!
//! Each plug-in is a file. Those that mutate run first, in upstream's order, then those that only look.

mod certificates;
pub mod extension;
mod ingress;
mod limits;
mod namespace;
pub mod notes;
mod pod;
mod pod_security;
mod quota;
mod rbac;
pub mod service;
mod storage;

use api::ApiError;
use serde_json::Value;

use crate::rest::Call;

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    Delete,
    Connect,
}

/// Whether the request is about this resource itself.
pub fn is(call: &Call, group: &str, plural: &str) -> bool {
    call.served.resource.group == group && call.served.resource.plural == plural
}

/// Lets every plug-in fill or change the object. What it reserves is settled once the write is known.
pub async fn mutate(call: &Call, operation: Operation, object: &mut Value, old: Option<&Value>) -> Result<Option<service::Reserved>, ApiError> {
    let mut rounds = extension::Rounds::default();
    loop {
        builtin(call, operation, object)?;
        // Upstream: what an extension changed, all that mutates may look at once more.
        if !extension::admit(call, operation, object, old, &mut rounds).await? || !rounds.again() {
            break;
        }
    }
    if is(call, "", "services") && call.info.subresource.is_empty() {
        return service::mutate(call, object, old).await.map(Some);
    }
    Ok(None)
}

/// The plug-ins that mutate; each gives the same again when it is asked again.
fn builtin(call: &Call, operation: Operation, object: &mut Value) -> Result<(), ApiError> {
    if operation == Operation::Create {
        namespace::check(call, object)?;
    }
    if !call.info.subresource.is_empty() {
        return Ok(());
    }
    if is(call, "", "pods") {
        match operation {
            Operation::Create => {
                pod::mutate(call, object)?;
                limits::mutate(call, object);
            }
            // Upstream: DefaultTolerationSeconds looks at updates too, so that an apply does not take them away.
            _ => pod::tolerations(object),
        }
    }
    if is(call, "", "nodes") && operation == Operation::Create {
        policy::node_taints::taint(object);
    }
    if is(call, "", "persistentvolumeclaims") || is(call, "", "persistentvolumes") {
        storage::mutate(call, operation, object);
    }
    if is(call, "networking.k8s.io", "ingresses") {
        ingress::mutate(call, operation, object);
    }
    if is(call, "certificates.k8s.io", "certificatesigningrequests") {
        certificates::mutate(call, operation, object);
    }
    Ok(())
}

/// Lets every plug-in refuse.
pub async fn validate(call: &Call, operation: Operation, object: Option<&Value>, old: Option<&Value>) -> Result<(), ApiError> {
    if operation == Operation::Delete {
        namespace::check_deletion(call)?;
    }
    if call.served.resource.group == "rbac.authorization.k8s.io"
        && let Some(object) = object
    {
        rbac::check(call, object, old)?;
    }
    if call.served.resource.group == "certificates.k8s.io"
        && let Some(object) = object
    {
        certificates::validate(call, operation, object, old)?;
    }
    node_restriction(call, operation, object, old)?;
    if is(call, "", "pods")
        && matches!(call.info.subresource.as_str(), "" | "ephemeralcontainers")
        && let Some(pod) = object.filter(|_| operation != Operation::Delete)
    {
        pod_security::check(call, pod, old)?;
    }
    let written = object.filter(|_| operation != Operation::Delete && call.info.subresource.is_empty());
    if let Some(object) = written {
        if is(call, "", "services")
            && let Some(why) = policy::external_ips::refusal(object, old)
        {
            return Err(ApiError::forbidden(&call.resource(), api::meta::name(object), why));
        }
        if is(call, "", "persistentvolumeclaims")
            && let Some(old) = old
        {
            storage::check_resize(call, object, old)?;
        }
        limits::check(call, operation, object)?;
    }
    extension::validate(call, operation, object, old).await?;
    // Upstream: quotas come last, so that nothing is charged for what somebody else refuses.
    if let Some(object) = written {
        quota::check(call, operation, object, old).await?;
    }
    Ok(())
}

fn node_restriction(call: &Call, operation: Operation, new: Option<&Value>, old: Option<&Value>) -> Result<(), ApiError> {
    let Some(node) = policy::node_restriction::node_of(&call.user.name, &call.user.groups) else { return Ok(()) };
    if !call.served.resource.group.is_empty() {
        return Ok(());
    }
    let write = policy::node_restriction::Write {
        node,
        creates: operation == Operation::Create,
        plural: &call.served.resource.plural,
        subresource: &call.info.subresource,
        name: &call.info.name,
        new,
        old,
    };
    policy::node_restriction::refusal(&write).map_or(Ok(()), |why| Err(ApiError::forbidden(&call.resource(), &call.info.name, why)))
}
