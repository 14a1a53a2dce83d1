//! Validation of ResourceQuotas: names and amounts, and scopes that go together with them.
//!
//! Upstream: `ValidateResourceQuota` in `pkg/apis/core/validation/validation.go`; which scope counts what:
//! `IsResourceQuotaScopeValidForResource` in `pkg/apis/core/helper/helpers.go`.

use std::collections::BTreeSet;

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::pod::resources::{is_standard_for_quota, resource_amount, resource_name};
use crate::{check, walk};

const SCOPES: [&str; 7] = ["BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating", "VolumeAttributesClass"];
const COMPUTE: [&str; 6] = ["cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
const NOT_COUNTED: &str = "unsupported scope applied to resource";
const EXISTS_ONLY: &str = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    amounts(&mut errors, walk::at(spec, "hard"), &path.child("hard"));
    scopes(&mut errors, spec, &path.child("scopes"));
    if walk::at(spec, "scopeSelector").is_object() {
        selector(&mut errors, spec, &path);
    }
    let set = |spec: &Value| walk::list(spec, "scopes").iter().filter_map(Value::as_str).map(str::to_owned).collect::<BTreeSet<_>>();
    if old.is_some_and(|old| set(walk::at(old, "spec")) != set(spec)) {
        errors.push(FieldError::invalid(&path.child("scopes"), walk::at(spec, "scopes").clone(), check::IMMUTABLE));
    }
    errors
}

pub fn validate_status(object: &Value, _: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for key in ["hard", "used"] {
        amounts(&mut errors, walk::at(walk::at(object, "status"), key), &Path::new("status").child(key));
    }
    errors
}

fn amounts(errors: &mut FieldErrors, list: &Value, path: &Path) {
    for (name, value) in list.as_object().into_iter().flatten() {
        let path = path.key(name);
        resource_name(errors, name, &path);
        if !name.contains('/') && !is_standard_for_quota(name) {
            errors.push(FieldError::invalid(&path, name.as_str(), "must be a standard resource for quota"));
        }
        resource_amount(errors, name, value, &path);
    }
}

/// How many of the quota's standard resources a scope has no say in.
fn uncounted(spec: &Value, scope: &str) -> usize {
    let counts = |name: &str| match scope {
        "Terminating" | "NotTerminating" | "NotBestEffort" | "PriorityClass" | "CrossNamespacePodAffinity" => name == "pods" || COMPUTE.contains(&name),
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
        _ => true,
    };
    walk::map(spec, "hard").into_iter().flatten().filter(|(name, _)| is_standard_for_quota(name) && !counts(name)).count()
}

fn contradict(scopes: &[&str]) -> usize {
    [["BestEffort", "NotBestEffort"], ["Terminating", "NotTerminating"]].iter().filter(|pair| pair.iter().all(|scope| scopes.contains(scope))).count()
}

fn scopes(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let all: Vec<&str> = walk::list(spec, "scopes").iter().filter_map(Value::as_str).collect();
    let mut say = |fault: &str| errors.push(FieldError::invalid(path, walk::at(spec, "scopes").clone(), fault));
    for scope in &all {
        if !SCOPES.contains(scope) {
            say("unsupported scope");
        }
        (0..uncounted(spec, scope)).for_each(|_| say(NOT_COUNTED));
    }
    (0..contradict(&all)).for_each(|_| say("conflicting scopes"));
}

fn selector(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let requirements = walk::list(spec, "scopeSelector.matchExpressions");
    let at = path.child("scopeSelector").child("matchExpressions");
    for requirement in requirements {
        let (scope, operator) = (walk::text(requirement, "scopeName"), walk::text(requirement, "operator"));
        if !SCOPES.contains(&scope) {
            errors.push(FieldError::invalid(&at.child("scopeName"), scope, "unsupported scope"));
        }
        for _ in 0..uncounted(spec, scope) {
            errors.push(FieldError::invalid(&at, walk::at(spec, "scopeSelector").clone(), NOT_COUNTED));
        }
        if !matches!(scope, "PriorityClass" | "VolumeAttributesClass") && SCOPES.contains(&scope) && operator != "Exists" {
            errors.push(FieldError::invalid(&at.child("operator"), operator, EXISTS_ONLY));
        }
        let values = walk::at(requirement, "values");
        match (operator, values.as_array().is_none_or(Vec::is_empty)) {
            ("In" | "NotIn", true) => errors.push(FieldError::required(&at.child("values"), "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector")),
            ("Exists" | "DoesNotExist", false) => errors.push(FieldError::invalid(&at.child("values"), values.clone(), "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector")),
            ("In" | "NotIn" | "Exists" | "DoesNotExist", _) => {}
            _ => errors.push(FieldError::invalid(&at.child("operator"), operator, "not a valid selector operator")),
        }
    }
    let scopes: Vec<&str> = requirements.iter().map(|requirement| walk::text(requirement, "scopeName")).collect();
    for _ in 0..contradict(&scopes) {
        // Upstream: what is shown are the scopes outside the selector.
        errors.push(FieldError::invalid(&path.child("scopeSelector").child("matchExpressions"), walk::at(spec, "scopes").clone(), "conflicting scopes"));
    }
}
