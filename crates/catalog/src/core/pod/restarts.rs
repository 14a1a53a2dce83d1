//! Validation of when a single container starts again.
//!
//! Upstream: `validateContainerRestartPolicy` in `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::check;
use crate::walk;

const MAX_RULES: usize = 20;
const MAX_EXIT_CODES: usize = 255;

pub fn validate(errors: &mut FieldErrors, container: &Value, path: &Path) {
    let (policy, rules) = (walk::at(container, "restartPolicy"), walk::list(container, "restartPolicyRules"));
    if policy.is_null() && !rules.is_empty() {
        errors.push(FieldError::required(&path.child("restartPolicy"), "must specify restartPolicy when restart rules are used"));
    }
    if let Some(policy) = policy.as_str() {
        word(errors, &path.child("restartPolicy"), policy, &["Always", "Never", "OnFailure"]);
    }
    let list = path.child("restartPolicyRules");
    if rules.len() > MAX_RULES {
        errors.push(FieldError::too_many(&list, rules.len(), MAX_RULES));
    }
    for (i, rule) in rules.iter().enumerate() {
        self::rule(errors, rule, &list.index(i));
    }
}

fn rule(errors: &mut FieldErrors, rule: &Value, path: &Path) {
    word(errors, &path.child("action"), walk::text(rule, "action"), &["Restart", "RestartAllContainers"]);
    let (codes, path) = (walk::at(rule, "exitCodes"), path.child("exitCodes"));
    if !codes.is_object() {
        return errors.push(FieldError::required(&path, "must be specified"));
    }
    word(errors, &path.child("operator"), walk::text(codes, "operator"), &["In", "NotIn"]);
    let count = walk::list(codes, "values").len();
    if count > MAX_EXIT_CODES {
        errors.push(FieldError::too_many(&path.child("values"), count, MAX_EXIT_CODES));
    }
}

/// A word where none is as wrong as any other.
fn word(errors: &mut FieldErrors, path: &Path, value: &str, supported: &[&str]) {
    if value.is_empty() {
        errors.push(FieldError::not_supported(path, value, supported));
    } else {
        check::one_of(errors, path, value, supported);
    }
}
