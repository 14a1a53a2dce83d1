//! Built-in admission: what the server adds to requests and what it refuses.
//!
//! Each plug-in is a file. Those that mutate run first, in upstream's order, then those that only look.

mod certificates;
pub mod events;
pub mod extension;
pub mod images;
mod ingress;
mod limits;
mod namespace;
pub mod notes;
mod owners;
mod placement;
mod pod;
mod pod_security;
mod quota;
mod rbac;
pub mod service;
mod storage;
pub mod topology;

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
    if operation == Operation::Create && call.server.plugins.has("NamespaceAutoProvision") {
        namespace::provide(call).await?;
    }
    let mut rounds = extension::Rounds::default();
    loop {
        builtin(call, operation, object, old)?;
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
fn builtin(call: &Call, operation: Operation, object: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
    let plugins = &call.server.plugins;
    if operation == Operation::Create && plugins.has("NamespaceLifecycle") {
        namespace::check(call, object)?;
    }
    if !call.info.subresource.is_empty() {
        return Ok(());
    }
    if is(call, "", "pods") {
        pods(call, operation == Operation::Create, object, old)?;
    }
    if is(call, "", "nodes") && operation == Operation::Create && plugins.has("TaintNodesByCondition") {
        policy::node_taints::taint(object);
    }
    if is(call, "", "persistentvolumeclaims") || is(call, "", "persistentvolumes") {
        storage::mutate(call, operation, object);
    }
    if is(call, "networking.k8s.io", "ingresses") && plugins.has("DefaultIngressClass") {
        ingress::mutate(call, operation, object);
    }
    if is(call, "certificates.k8s.io", "certificatesigningrequests") {
        certificates::mutate(call, operation, object);
    }
    Ok(())
}

/// In upstream's order.
fn pods(call: &Call, is_new: bool, object: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
    let has = |name: &str| call.server.plugins.has(name);
    let new_and = |name: &str| is_new && has(name);
    if new_and("LimitRanger") {
        limits::mutate(call, object);
    }
    if new_and("ServiceAccount") {
        pod::service_account(call, object)?;
    }
    if has("AlwaysPullImages") && old.is_none_or(|old| policy::pod_options::has_new_images(object, old)) {
        policy::pod_options::always_pull(object);
    }
    if new_and("PodNodeSelector") {
        placement::select(call, object)?;
    }
    if new_and("Priority") {
        pod::priority(call, object)?;
    }
    // Upstream: it looks at updates too, so that an apply does not take them away.
    if has("DefaultTolerationSeconds") {
        pod::tolerations(&call.server.config.limits, object);
    }
    if has("PodTolerationRestriction") {
        placement::tolerate(call, object, is_new)?;
    }
    if has("ExtendedResourceToleration") {
        policy::pod_options::tolerate_extended(object);
    }
    if new_and("RuntimeClass") {
        pod::runtime_class(call, object)?;
    }
    if is_new {
        let node = catalog::walk::text(object, "spec.nodeName").to_owned();
        topology::label(call, object, &node);
    }
    Ok(())
}

/// Lets every plug-in refuse.
pub async fn validate(call: &Call, operation: Operation, object: Option<&Value>, old: Option<&Value>) -> Result<(), ApiError> {
    let plugins = &call.server.plugins;
    if operation == Operation::Delete && plugins.has("NamespaceLifecycle") {
        namespace::check_deletion(call)?;
    }
    if plugins.has("NamespaceExists") && operation != Operation::Connect {
        namespace::check_exists(call)?;
    }
    if let Some(object) = object {
        match &*call.served.resource.group {
            "rbac.authorization.k8s.io" => rbac::check(call, object, old)?,
            "certificates.k8s.io" => certificates::validate(call, operation, object, old)?,
            _ => {}
        }
    }
    if plugins.has("NodeRestriction") {
        node_restriction(call, operation, object, old)?;
    }
    let written = object.filter(|_| operation != Operation::Delete);
    if let Some(object) = written {
        images::check(call, operation, object).await?;
        if plugins.has("PodSecurity") {
            pod_security::check(call, operation, object, old)?;
        }
        events::check(call, operation, object)?;
        if plugins.has("OwnerReferencesPermissionEnforcement") {
            owners::check(call, operation, object, old).await?;
        }
    }
    let written = written.filter(|_| call.info.subresource.is_empty());
    if let Some(object) = written {
        judge(call, operation, object, old)?;
    }
    extension::validate(call, operation, object, old).await?;
    // Upstream: quotas come last, so that nothing is charged for what somebody else refuses.
    if let Some(object) = written.filter(|_| plugins.has("ResourceQuota")) {
        quota::check(call, operation, object, old).await?;
    }
    if plugins.has("AlwaysDeny") && !call.notes.unasked {
        return Err(ApiError::forbidden(&call.resource(), &call.info.name, "admission control is denying all modifications"));
    }
    Ok(())
}

/// The plug-ins that look at a whole object.
fn judge(call: &Call, operation: Operation, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let plugins = &call.server.plugins;
    let refused = |why: &str| Err(ApiError::forbidden(&call.resource(), api::meta::name(object), why));
    if is(call, "", "services")
        && plugins.has("DenyServiceExternalIPs")
        && let Some(why) = policy::external_ips::refusal(object, old)
    {
        return refused(why);
    }
    if is(call, "", "pods") {
        judge_pod(call, operation, object, old)?;
    }
    if is(call, "", "persistentvolumeclaims")
        && plugins.has("PersistentVolumeClaimResize")
        && let Some(old) = old
    {
        storage::check_resize(call, object, old)?;
    }
    if plugins.has("LimitRanger") {
        limits::check(call, operation, object)?;
    }
    Ok(())
}

fn judge_pod(call: &Call, operation: Operation, pod: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let has = |name: &str| call.server.plugins.has(name);
    let refused = |why: String| Err(ApiError::forbidden(&call.resource(), api::meta::name(pod), why));
    if has("LimitPodHardAntiAffinityTopology")
        && let Some(why) = policy::pod_options::anti_affinity_fault(pod)
    {
        return refused(why.to_owned());
    }
    if has("AlwaysPullImages")
        && old.is_none_or(|old| policy::pod_options::has_new_images(pod, old))
    {
        let faults = policy::pod_options::pull_faults(pod);
        if !faults.is_empty() {
            return refused(api::field::aggregate(&faults));
        }
    }
    if operation == Operation::Create && has("PodNodeSelector") {
        placement::check_selector(call, pod)?;
    }
    if has("PodTolerationRestriction") {
        placement::check_tolerations(call, pod)?;
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
