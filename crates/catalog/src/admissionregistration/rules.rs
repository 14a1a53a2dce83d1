//! Rules and match resources of webhooks and policies.
//!
//! Upstream: `pkg/apis/admissionregistration/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::expressions::{self, Gives};
use crate::{check, walk};

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];
pub const MATCH_POLICIES: [&str; 2] = ["Equivalent", "Exact"];
pub const FAILURE_POLICIES: [&str; 2] = ["Fail", "Ignore"];

fn texts<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    walk::list(value, key).iter().filter_map(Value::as_str).collect()
}

/// A rule with its operations.
pub fn rule(errors: &mut FieldErrors, rule: &Value, path: &Path) {
    let operations = texts(rule, "operations");
    let at = path.child("operations");
    if operations.is_empty() {
        errors.push(FieldError::required(&at, ""));
    }
    lonely_star(errors, &at, &rule["operations"], &operations, "operations");
    for (i, operation) in operations.iter().enumerate().filter(|(_, o)| !OPERATIONS.contains(o)) {
        errors.push(FieldError::not_supported(&at.index(i), *operation, &OPERATIONS));
    }
    for (key, words) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        let (given, at) = (texts(rule, key), path.child(key));
        if given.is_empty() {
            errors.push(FieldError::required(&at, ""));
        }
        lonely_star(errors, &at, &rule[key], &given, words);
        if key == "apiVersions" {
            // The core group's name is empty; a version has a name.
            errors.extend(given.iter().enumerate().filter(|(_, v)| v.is_empty()).map(|(i, _)| FieldError::required(&at.index(i), "")));
        }
    }
    resources(errors, &rule["resources"], &path.child("resources"));
    check::given_one_of(errors, &path.child("scope"), &rule["scope"], &SCOPES);
}

fn lonely_star(errors: &mut FieldErrors, path: &Path, value: &Value, given: &[&str], words: &str) {
    if given.len() > 1 && given.contains(&"*") {
        errors.push(FieldError::invalid(path, value.clone(), format!("if '*' is present, must not specify other {words}")));
    }
}

fn resources(errors: &mut FieldErrors, value: &Value, path: &Path) {
    let all: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if all.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    let (mut with_all_parts, mut of_all) = (HashSet::new(), HashSet::new());
    // Upstream: of the resources without a part the last one decides.
    let mut bare = false;
    for (i, given) in all.iter().enumerate() {
        if given.is_empty() {
            errors.push(FieldError::required(&path.index(i), ""));
            continue;
        }
        let Some((resource, part)) = given.split_once('/') else {
            bare = *given != "*";
            continue;
        };
        if with_all_parts.contains(resource) {
            errors.push(FieldError::invalid(&path.index(i), *given, format!("if '{resource}/*' is present, must not specify {given}")));
        }
        if of_all.contains(part) {
            errors.push(FieldError::invalid(&path.index(i), *given, format!("if '*/{part}' is present, must not specify {given}")));
        }
        if part == "*" {
            with_all_parts.insert(resource);
        }
        if resource == "*" {
            of_all.insert(part);
        }
    }
    if all.len() > 1 && all.contains(&"*/*") {
        errors.push(FieldError::invalid(path, value.clone(), "if '*/*' is present, must not specify other resources"));
    }
    if all.contains(&"*") && bare {
        errors.push(FieldError::invalid(path, value.clone(), "if '*' is present, must not specify other resources without subresources"));
    }
}

/// Match constraints of a policy, match resources of a binding.
pub fn match_resources(errors: &mut FieldErrors, value: &Value, path: &Path) {
    if !value.is_object() {
        return;
    }
    check::given_one_of(errors, &path.child("matchPolicy"), &value["matchPolicy"], &MATCH_POLICIES);
    for key in ["namespaceSelector", "objectSelector"] {
        match &value[key] {
            Value::Null => errors.push(FieldError::required(&path.child(key), "")),
            selector => check::label_selector(errors, selector, &path.child(key)),
        }
    }
    for key in ["resourceRules", "excludeResourceRules"] {
        for (i, named) in walk::list(value, key).iter().enumerate() {
            let at = path.child(key).index(i);
            let mut seen = HashSet::new();
            for (j, name) in texts(named, "resourceNames").into_iter().enumerate() {
                let at = at.child("resourceNames").index(j);
                check::syntax(errors, &at, name, names::path_segment(name));
                if !seen.insert(name) {
                    errors.push(FieldError::duplicate(&at, name));
                }
            }
            rule(errors, named, &at);
        }
    }
}

/// Match conditions: they say something that compiles, under names of their own.
pub fn match_conditions(errors: &mut FieldErrors, conditions: &[Value], has_params: bool, path: &Path) {
    if conditions.len() > 64 {
        errors.push(FieldError::too_many(path, conditions.len(), 64));
    }
    let (mut seen, compiler) = (HashSet::new(), expressions::of_conditions(has_params));
    for (i, condition) in conditions.iter().enumerate() {
        let (at, name, expression) = (path.index(i), walk::text(condition, "name"), walk::text(condition, "expression").trim());
        if expression.is_empty() {
            errors.push(FieldError::required(&at.child("expression"), ""));
        } else {
            expressions::told(errors, &at.child("expression"), expression, compiler.compile(expression, Gives::Truth));
        }
        check::required_name(errors, &at.child("name"), name, names::qualified_name);
        if !name.is_empty() && !seen.insert(name) {
            errors.push(FieldError::duplicate(&at.child("name"), name));
        }
    }
}
