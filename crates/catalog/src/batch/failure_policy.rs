//! Validation of what failures of pods mean to their job.
//!
//! Upstream: `validatePodFailurePolicy` in `pkg/apis/batch/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::job_rules::is_given;
use crate::check;
use crate::walk;

const MAX_RULES: usize = 20;
const MAX_CONDITIONS: usize = 20;
const MAX_EXIT_CODES: usize = 255;

pub fn validate(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let (rules, list) = (walk::list(spec, "podFailurePolicy.rules"), path.child("rules"));
    if rules.len() > MAX_RULES {
        errors.push(FieldError::too_many(&list, rules.len(), MAX_RULES));
    }
    for (i, rule) in rules.iter().enumerate() {
        self::rule(errors, spec, rule, &list.index(i));
    }
}

fn rule(errors: &mut FieldErrors, spec: &Value, rule: &Value, path: &Path) {
    let action = walk::text(rule, "action");
    if action == "FailIndex" && !is_given(spec, "backoffLimitPerIndex") {
        errors.push(FieldError::invalid(&path.child("action"), action, "requires the backoffLimitPerIndex to be set"));
    }
    word(errors, &path.child("action"), action, &["Count", "FailIndex", "FailJob", "Ignore"]);
    let (codes, conditions) = (walk::at(rule, "onExitCodes"), walk::list(rule, "onPodConditions"));
    if codes.is_object() {
        exit_codes(errors, spec, codes, &path.child("onExitCodes"));
    }
    self::conditions(errors, conditions, &path.child("onPodConditions"));
    let fault = match (codes.is_object(), !conditions.is_empty()) {
        (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    errors.push(FieldError::invalid(path, "", fault).without_value());
}

/// A word that must be there; where it lacks, upstream prints the list as Go does.
fn word(errors: &mut FieldErrors, path: &Path, value: &str, supported: &[&str]) {
    if value.is_empty() {
        let quoted: Vec<_> = supported.iter().map(|word| format!("{word:?}")).collect();
        errors.push(FieldError::required(path, format!("valid values: [{}]", quoted.join(" "))));
    } else {
        check::one_of(errors, path, value, supported);
    }
}

fn exit_codes(errors: &mut FieldErrors, spec: &Value, codes: &Value, path: &Path) {
    let operator = walk::text(codes, "operator");
    word(errors, &path.child("operator"), operator, &["In", "NotIn"]);
    let mut names = ["containers", "initContainers"].into_iter().flat_map(|list| walk::list(walk::at(spec, "template.spec"), list)).map(|c| walk::text(c, "name"));
    if let Some(name) = walk::at(codes, "containerName").as_str().filter(|name| !names.any(|n| n == *name)) {
        errors.push(FieldError::invalid(&path.child("containerName"), name, "must be one of the container or initContainer names in the pod template"));
    }
    let (values, list) = (walk::list(codes, "values"), path.child("values"));
    if values.is_empty() {
        errors.push(FieldError::invalid(&list, walk::at(codes, "values").clone(), "at least one value is required"));
    } else if values.len() > MAX_EXIT_CODES {
        errors.push(FieldError::too_many(&list, values.len(), MAX_EXIT_CODES));
    }
    let mut seen = HashSet::new();
    for (i, code) in values.iter().filter_map(Value::as_i64).enumerate() {
        if operator == "In" && code == 0 {
            errors.push(FieldError::invalid(&list.index(i), code, "must not be 0 for the In operator"));
        }
        if !seen.insert(code) {
            errors.push(FieldError::duplicate(&list.index(i), code));
        }
    }
    if !values.is_sorted_by_key(|code| code.as_i64()) {
        errors.push(FieldError::invalid(&list, walk::at(codes, "values").clone(), "must be ordered"));
    }
}

fn conditions(errors: &mut FieldErrors, patterns: &[Value], list: &Path) {
    if patterns.len() > MAX_CONDITIONS {
        errors.push(FieldError::too_many(list, patterns.len(), MAX_CONDITIONS));
    }
    for (i, pattern) in patterns.iter().enumerate() {
        let (path, kind) = (list.index(i), walk::text(pattern, "type"));
        check::syntax(errors, &path.child("type"), kind, names::qualified_name(kind));
        word(errors, &path.child("status"), walk::text(pattern, "status"), &["False", "True", "Unknown"]);
    }
}
