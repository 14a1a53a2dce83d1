//! A container that ended for good does not run again.
//!
//! Upstream: `Validate*ContainerStateTransition` in `pkg/apis/core/validation/validation.go`,
//! `ContainerShouldRestart` in `pkg/api/v1/pod`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::walk;

/// Where states are told, and the containers they are of.
const LISTS: [(&str, &str); 3] = [("containerStatuses", "containers"), ("initContainerStatuses", "initContainers"), ("ephemeralContainerStatuses", "")];

/// `spec` is the pod's before the write.
pub fn check(errors: &mut FieldErrors, spec: &Value, status: &Value, before: &Value, path: &Path) {
    let all_may = restarts_all(spec);
    for (told, containers) in LISTS {
        if all_may && !containers.is_empty() {
            continue;
        }
        for (i, was) in walk::list(before, told).iter().enumerate() {
            let Some(code) = exit_code(was) else { continue };
            let now = walk::list(status, told).iter().find(|now| walk::text(now, "name") == walk::text(was, "name"));
            if now.is_some_and(|now| exit_code(now).is_none()) && !may_restart(spec, containers, walk::text(was, "name"), code) {
                errors.push(FieldError::forbidden(&path.child(told).index(i).child("state"), "may not be transitioned to non-terminated state"));
            }
        }
    }
}

/// With what a container ended, if it did.
fn exit_code(status: &Value) -> Option<i64> {
    let ended = walk::at(status, "state.terminated");
    ended.is_object().then(|| walk::int(ended, "exitCode"))
}

fn rules(container: &Value) -> &[Value] {
    walk::list(container, "restartPolicyRules")
}

/// Whether any container may have all others start again.
fn restarts_all(spec: &Value) -> bool {
    let all = ["containers", "initContainers"].into_iter().flat_map(|list| walk::list(spec, list));
    all.flat_map(rules).any(|rule| walk::text(rule, "action") == "RestartAllContainers")
}

fn may_restart(spec: &Value, containers: &str, name: &str, code: i64) -> bool {
    let Some(container) = walk::list(spec, containers).iter().find(|container| walk::text(container, "name") == name) else { return false };
    let own = walk::text(container, "restartPolicy");
    if !own.is_empty() && rules(container).iter().find(|rule| matches(rule, code)).is_some_and(|rule| walk::text(rule, "action") == "Restart") {
        return true;
    }
    match if own.is_empty() { walk::text(spec, "restartPolicy") } else { own } {
        "Never" => false,
        "OnFailure" => code != 0,
        _ => true,
    }
}

/// Whether a rule is about containers that end so.
fn matches(rule: &Value, code: i64) -> bool {
    let codes = walk::at(rule, "exitCodes");
    let is_named = walk::list(codes, "values").iter().any(|value| value.as_i64() == Some(code));
    match walk::text(codes, "operator") {
        "In" => is_named,
        "NotIn" => !is_named,
        _ => false,
    }
}
