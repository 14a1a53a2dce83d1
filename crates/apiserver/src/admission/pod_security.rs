//! PodSecurity: asks the rules at the levels that the pod's namespace enforces, records and warns of.
//!
//! Upstream: `k8s.io/pod-security-admission/admission/admission.go`.

use api::{ApiError, meta};
use catalog::walk;
use policy::pod_security::violations;
use serde_json::Value;

use super::Operation;
use crate::object;
use crate::rest::Call;

const PREFIX: &str = "pod-security.kubernetes.io/";

/// Where the spec of the pods stands that an object makes.
fn template(call: &Call) -> Option<&'static str> {
    let resource = &call.served.resource;
    Some(match (&*resource.group, &*resource.plural) {
        ("", "podtemplates") => "template.spec",
        ("", "replicationcontrollers") | ("apps", "replicasets" | "deployments" | "statefulsets" | "daemonsets") | ("batch", "jobs") => "spec.template.spec",
        ("batch", "cronjobs") => "spec.jobTemplate.spec.template.spec",
        _ => return None,
    })
}

/// The level of a mode in a namespace, and as messages tell it.
fn level(call: &Call, namespace: &Value, mode: &str) -> (String, String) {
    let defaults = &call.server.plugins.pod_security.defaults;
    let said = |key: &str, usual: &str| meta::label(namespace, &format!("{PREFIX}{key}")).map(str::to_owned).or_else(|| defaults.get(key).cloned()).unwrap_or_else(|| usual.to_owned());
    let level = said(mode, "privileged");
    let shown = format!("{level}:{}", said(&format!("{mode}-version"), "latest"));
    (level, shown)
}

/// Looks at a pod, or at what makes pods.
pub fn check(call: &Call, operation: Operation, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let is_pod = super::is(call, "", "pods") && matches!(call.info.subresource.as_str(), "" | "ephemeralcontainers");
    let spec = if is_pod {
        walk::at(object, "spec")
    } else {
        match template(call).filter(|_| call.info.subresource.is_empty()) {
            Some(path) => walk::at(object, path),
            None => return Ok(()),
        }
    };
    if !matches!(operation, Operation::Create | Operation::Update) || (is_pod && old.is_some_and(|old| old.get("spec") == object.get("spec"))) {
        return Ok(());
    }
    let table = call.server.store.table("/registry/namespaces");
    let Some(namespace) = call.server.store.view().get(table, call.namespace()).map(|r| object::parse(&r.value)) else { return Ok(()) };
    if let Some(why) = exempt(call, spec) {
        call.notes.annotate(&format!("{PREFIX}exempt"), why);
        return Ok(());
    }
    if is_pod {
        let (enforced, shown) = level(call, &namespace, "enforce");
        call.notes.annotate(&format!("{PREFIX}enforce-policy"), &shown);
        let found = violations(&enforced, spec);
        if !found.is_empty() {
            return Err(ApiError::forbidden(&call.resource(), meta::name(object), format!("violates PodSecurity {shown:?}: {}", found.join(", "))));
        }
    }
    let would = |mode: &str| {
        let (level, shown) = level(call, &namespace, mode);
        let found = violations(&level, spec);
        (!found.is_empty()).then(|| format!("would violate PodSecurity {shown:?}: {}", found.join(", ")))
    };
    if let Some(violated) = would("audit") {
        call.notes.annotate(&format!("{PREFIX}audit-violations"), &violated);
    }
    if let Some(violated) = would("warn") {
        call.notes.warn(violated);
    }
    Ok(())
}

/// For whom nothing holds, and why.
fn exempt(call: &Call, spec: &Value) -> Option<&'static str> {
    let exemptions = &call.server.plugins.pod_security.exemptions;
    let has = |list: &[String], value: &str| list.iter().any(|one| one == value);
    if has(&exemptions.namespaces, call.namespace()) {
        return Some("namespace");
    }
    if has(&exemptions.usernames, &call.user.name) {
        return Some("user");
    }
    has(&exemptions.runtime_classes, walk::text(spec, "runtimeClassName")).then_some("runtimeClass")
}
