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
pub mod turns;

use api::ApiError;
use serde_json::Value;

use crate::rest::Call;
use turns::Step;

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
    let whole = Step::admit(call, operation.word()).begins();
    whole.ends(mutate_by_all(call, operation, object, old).await)
}

async fn mutate_by_all(call: &Call, operation: Operation, object: &mut Value, old: Option<&Value>) -> Result<Option<service::Reserved>, ApiError> {
    let step = Step::admit(call, operation.word());
    if operation == Operation::Create
        && let Some(turn) = step.of("NamespaceAutoProvision")
    {
        turn.ends(namespace::provide(call).await)?;
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
    let step = Step::admit(call, operation.word());
    let is_new = operation == Operation::Create;
    if is_new && let Some(turn) = step.of("NamespaceLifecycle") {
        turn.ends(namespace::check(call, object))?;
    }
    if !call.info.subresource.is_empty() {
        return Ok(());
    }
    if is(call, "", "pods") {
        pods(step, call, is_new, object, old)?;
    }
    if is(call, "", "nodes")
        && is_new
        && let Some(turn) = step.of("TaintNodesByCondition")
    {
        policy::node_taints::taint(object);
        turn.done();
    }
    if is(call, "", "persistentvolumeclaims") || is(call, "", "persistentvolumes") {
        storage::mutate(call, operation, object);
    }
    if is(call, "networking.k8s.io", "ingresses")
        && let Some(turn) = step.of("DefaultIngressClass")
    {
        ingress::mutate(call, operation, object);
        turn.done();
    }
    if is(call, "certificates.k8s.io", "certificatesigningrequests") {
        certificates::mutate(call, operation, object);
    }
    Ok(())
}

/// In upstream's order.
fn pods(step: Step<'_>, call: &Call, is_new: bool, object: &mut Value, old: Option<&Value>) -> Result<(), ApiError> {
    let new_and = |name: &'static str| if is_new { step.of(name) } else { None };
    if let Some(turn) = new_and("LimitRanger") {
        limits::mutate(call, object);
        turn.done();
    }
    if let Some(turn) = new_and("ServiceAccount") {
        turn.ends(pod::service_account(call, object))?;
    }
    if old.is_none_or(|old| policy::pod_options::has_new_images(object, old))
        && let Some(turn) = step.of("AlwaysPullImages")
    {
        policy::pod_options::always_pull(object);
        turn.done();
    }
    if let Some(turn) = new_and("PodNodeSelector") {
        turn.ends(placement::select(call, object))?;
    }
    if let Some(turn) = new_and("Priority") {
        turn.ends(pod::priority(call, object))?;
    }
    // Upstream: it looks at updates too, so that an apply does not take them away.
    if let Some(turn) = step.of("DefaultTolerationSeconds") {
        pod::tolerations(&call.server.config.limits, object);
        turn.done();
    }
    if let Some(turn) = step.of("PodTolerationRestriction") {
        turn.ends(placement::tolerate(call, object, is_new))?;
    }
    if let Some(turn) = step.of("ExtendedResourceToleration") {
        policy::pod_options::tolerate_extended(object);
        turn.done();
    }
    if let Some(turn) = new_and("RuntimeClass") {
        turn.ends(pod::runtime_class(call, object))?;
    }
    if is_new {
        let node = catalog::walk::text(object, "spec.nodeName").to_owned();
        topology::label(call, object, &node);
    }
    Ok(())
}

/// Lets every plug-in refuse.
pub async fn validate(call: &Call, operation: Operation, object: Option<&Value>, old: Option<&Value>) -> Result<(), ApiError> {
    let whole = Step::validate(call, operation.word()).begins();
    whole.ends(validate_by_all(call, operation, object, old).await)
}

async fn validate_by_all(call: &Call, operation: Operation, object: Option<&Value>, old: Option<&Value>) -> Result<(), ApiError> {
    let step = Step::validate(call, operation.word());
    if operation == Operation::Delete
        && let Some(turn) = step.of("NamespaceLifecycle")
    {
        turn.ends(namespace::check_deletion(call))?;
    }
    if operation != Operation::Connect
        && let Some(turn) = step.of("NamespaceExists")
    {
        turn.ends(namespace::check_exists(call))?;
    }
    if let Some(object) = object {
        match &*call.served.resource.group {
            "rbac.authorization.k8s.io" => rbac::check(call, object, old)?,
            "certificates.k8s.io" => certificates::validate(call, operation, object, old)?,
            _ => {}
        }
    }
    if let Some(turn) = step.of("NodeRestriction") {
        turn.ends(node_restriction(call, operation, object, old))?;
    }
    let written = object.filter(|_| operation != Operation::Delete);
    if let Some(object) = written {
        if let Some(turn) = step.of("ImagePolicyWebhook") {
            turn.ends(images::check(call, operation, object).await)?;
        }
        if let Some(turn) = step.of("PodSecurity") {
            turn.ends(pod_security::check(call, operation, object, old))?;
        }
        if let Some(turn) = step.of("EventRateLimit") {
            turn.ends(events::check(call, operation, object))?;
        }
        if let Some(turn) = step.of("OwnerReferencesPermissionEnforcement") {
            turn.ends(owners::check(call, operation, object, old).await)?;
        }
    }
    let written = written.filter(|_| call.info.subresource.is_empty());
    if let Some(object) = written {
        judge(step, call, operation, object, old)?;
    }
    extension::validate(call, operation, object, old).await?;
    // Upstream: quotas come last, so that nothing is charged for what somebody else refuses.
    if let (Some(object), Some(turn)) = (written, step.of("ResourceQuota")) {
        turn.ends(quota::check(call, operation, object, old).await)?;
    }
    if call.server.plugins.has("AlwaysDeny") && !call.notes.unasked {
        return Err(ApiError::forbidden(&call.resource(), &call.info.name, "admission control is denying all modifications"));
    }
    Ok(())
}

/// The plug-ins that look at a whole object.
fn judge(step: Step<'_>, call: &Call, operation: Operation, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
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
    if let Some(turn) = step.of("LimitRanger") {
        turn.ends(limits::check(call, operation, object))?;
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
