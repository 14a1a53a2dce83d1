//! PodSecurity: asks the rules at the levels that the pod's namespace enforces, records and warns of.
//!
//! Upstream: `k8s.io/pod-security-admission/admission/admission.go`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::{ApiError, meta};
use catalog::walk;
use policy::pod_security::{Belongs, Existing, LevelVersion, PREFIX, Policy, detailed, exempt_warning, needs_look, violations};
use serde_json::Value;
use store::Record;

use super::Operation;
use crate::object;
use crate::rest::Call;

/// Upstream: `defaultNamespacePodCheckTimeout`.
const LOOK: Duration = Duration::from_secs(1);
/// Subresources of pods that change nothing that is looked at.
const IGNORED: [&str; 8] = ["exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"];

/// Where the template of the pods stands that an object makes.
fn template(call: &Call) -> Option<&'static str> {
    let resource = &call.served.resource;
    Some(match (&*resource.group, &*resource.plural) {
        ("", "podtemplates") => "template",
        ("", "replicationcontrollers") | ("apps", "replicasets" | "deployments" | "statefulsets" | "daemonsets") | ("batch", "jobs") => "spec.template",
        ("batch", "cronjobs") => "spec.jobTemplate.spec.template",
        _ => return None,
    })
}

/// Looks at a pod, at what makes pods, or at a namespace.
pub fn check(call: &Call, operation: Operation, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    if !matches!(operation, Operation::Create | Operation::Update) {
        return Ok(());
    }
    let subresource = call.info.subresource.as_str();
    if super::is(call, "", "namespaces") {
        return if subresource.is_empty() { check_namespace(call, object, old) } else { Ok(()) };
    }
    let is_pod = super::is(call, "", "pods");
    let pod = if is_pod { object } else { walk::at(object, template(call).unwrap_or("-")) };
    let is_looked_at = if is_pod { !IGNORED.contains(&subresource) } else { subresource.is_empty() && pod.is_object() };
    if !is_looked_at || (is_pod && old.is_some_and(|old| !is_significant(pod, old))) {
        return Ok(());
    }
    if let Some(why) = exempt(call, walk::at(pod, "spec")) {
        call.notes.annotate(&format!("{PREFIX}exempt"), why);
        return Ok(());
    }
    let Some(namespace) = call.server.parsed.get(&call.server.store, "/registry/namespaces", call.namespace()) else { return Ok(()) };
    let (policy, errors) = Policy::of(&namespace, &call.server.plugins.pod_security);
    if !errors.is_empty() {
        call.notes.annotate(&format!("{PREFIX}error"), &format!("Failed to parse policy: {}", api::field::aggregate(&errors)));
    }
    judge(call, &policy, pod, is_pod.then(|| meta::name(object)))
}

/// `enforced`: the name of a pod for which the level is not only told.
fn judge(call: &Call, policy: &Policy, pod: &Value, enforced: Option<&str>) -> Result<(), ApiError> {
    let broken = |of: LevelVersion| {
        let found = violations(of, pod);
        (!found.is_empty()).then(|| format!("violate PodSecurity {:?}: {}", of.to_string(), detailed(&found)))
    };
    let refused = enforced.and_then(|name| {
        call.notes.annotate(&format!("{PREFIX}enforce-policy"), &policy.enforce.to_string());
        let found = violations(policy.enforce, pod);
        let why = || format!("violates PodSecurity {:?}: {}", policy.enforce.to_string(), detailed(&found));
        (!found.is_empty()).then(|| ApiError::forbidden(&call.resource(), name, why()))
    });
    if let Some(violated) = broken(policy.audit) {
        call.notes.annotate(&format!("{PREFIX}audit-violations"), &format!("would {violated}"));
    }
    if let Some(error) = refused {
        return Err(error);
    }
    if let Some(violated) = broken(policy.warn) {
        call.notes.warn(format!("would {violated}"));
    }
    Ok(())
}

/// Labels must be right; a stricter level is tried on the pods that run already.
fn check_namespace(call: &Call, namespace: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let settings = &call.server.plugins.pod_security;
    let (policy, errors) = Policy::of(namespace, settings);
    let (before, errors_before) = old.map_or_else(|| (Policy::usual(settings), Vec::new()), |old| Policy::of(old, settings));
    if !errors.is_empty() && (old.is_none() || api::field::aggregate(&errors) != api::field::aggregate(&errors_before)) {
        return Err(ApiError::invalid("", "Namespace", meta::name(namespace), &errors));
    }
    let is_exempt = settings.exemptions.namespaces.iter().any(|one| one == meta::name(namespace));
    if is_exempt {
        let changed = old.is_none() || needs_look(policy.enforce, before.enforce);
        if let Some(warning) = exempt_warning(namespace, &policy, settings).filter(|_| changed) {
            call.notes.warn(warning);
        }
        return Ok(());
    }
    if old.is_some() && needs_look(policy.enforce, before.enforce) {
        let (begin, mut existing) = (Instant::now(), Existing::default());
        let pods = call.server.store.view().table(call.server.store.table("/registry/pods"));
        let within = format!("{}/", meta::name(namespace));
        for record in pods.scan(&within, "") {
            let belongs: Belongs = serde_json::from_slice(&record.value).unwrap_or_default();
            existing.add(record, belongs, settings);
        }
        let read = |record: &&Arc<Record>| object::parse(&record.value);
        existing.warnings(meta::name(namespace), policy.enforce, read, || begin.elapsed() > LOOK).into_iter().for_each(|warning| call.notes.warn(warning));
    }
    Ok(())
}

/// Upstream: `isSignificantPodUpdate`: of what an update may change, only images count, and containers that came.
fn is_significant(new: &Value, old: &Value) -> bool {
    let list = |of: &'static str| (walk::list(new, of), walk::list(old, of));
    let differ = |of: &'static str| {
        let (new, old) = list(of);
        new.len() != old.len() || new.iter().zip(old).any(|(new, old)| new["image"] != old["image"])
    };
    let (ephemeral, known) = list("spec.ephemeralContainers");
    let came = |container: &Value| known.iter().find(|old| old["name"] == container["name"]).is_none_or(|old| old["image"] != container["image"]);
    differ("spec.containers") || differ("spec.initContainers") || ephemeral.iter().any(came)
}

/// For whom nothing holds, and why.
fn exempt(call: &Call, spec: &Value) -> Option<&'static str> {
    let exemptions = &call.server.plugins.pod_security.exemptions;
    let has = |list: &[String], value: &str| !value.is_empty() && list.iter().any(|one| one == value);
    if has(&exemptions.namespaces, call.namespace()) {
        return Some("namespace");
    }
    if has(&exemptions.usernames, &call.user.name) {
        return Some("user");
    }
    has(&exemptions.runtime_classes, walk::text(spec, "runtimeClassName")).then_some("runtimeClass")
}
