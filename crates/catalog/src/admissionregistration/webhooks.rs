//! What webhook configurations may say.
//!
//! Upstream: `pkg/apis/admissionregistration/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::rules;
use crate::{check, walk, webhook_client};

const VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const NO_SIDE_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
const SIDE_EFFECTS: [&str; 4] = ["None", "NoneOnDryRun", "Some", "Unknown"];

const SELECTORS: [&str; 2] = ["namespaceSelector", "objectSelector"];

/// What an older object is allowed to keep.
struct Lenience {
    versions: bool,
    names: bool,
    side_effects: bool,
    conditions: bool,
    selector_values: bool,
}

impl Lenience {
    fn of(old: Option<&Value>, new: &Value) -> Self {
        let Some(old) = old else { return Self { versions: false, names: false, side_effects: false, conditions: false, selector_values: false } };
        let hooks = walk::list(old, "webhooks");
        let mut seen = HashSet::new();
        let known = |hook: &Value| walk::list(hook, "admissionReviewVersions").is_empty() || walk::list(hook, "admissionReviewVersions").iter().any(|v| VERSIONS.iter().any(|k| v == k));
        let conditions = |of: &Value| walk::list(of, "webhooks").iter().map(|h| h["matchConditions"].clone()).collect::<Vec<_>>();
        Self {
            versions: !hooks.iter().all(known),
            names: !hooks.iter().all(|h| seen.insert(walk::text(h, "name"))),
            side_effects: !hooks.iter().all(|h| NO_SIDE_EFFECTS.contains(&walk::text(h, "sideEffects"))),
            conditions: conditions(old) == conditions(new),
            selector_values: hooks.iter().any(|hook| {
                let mut errors = FieldErrors::new();
                SELECTORS.iter().for_each(|key| check::label_selector(&mut errors, &hook[*key], &Path::default()));
                !errors.is_empty()
            }),
        }
    }
}

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let lenience = Lenience::of(old, object);
    let mut seen = HashSet::new();
    for (i, hook) in walk::list(object, "webhooks").iter().enumerate() {
        let path = Path::new("webhooks").index(i);
        webhook(&mut errors, hook, &path, &lenience);
        review_versions(&mut errors, hook, &path.child("admissionReviewVersions"), &lenience);
        let name = walk::text(hook, "name");
        if !lenience.names && !name.is_empty() && !seen.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
    }
    errors
}

fn webhook(errors: &mut FieldErrors, hook: &Value, path: &Path, lenience: &Lenience) {
    qualified(errors, &path.child("name"), walk::text(hook, "name"));
    for (i, rule) in walk::list(hook, "rules").iter().enumerate() {
        rules::rule(errors, rule, &path.child("rules").index(i));
    }
    check::given_one_of(errors, &path.child("failurePolicy"), &hook["failurePolicy"], &rules::FAILURE_POLICIES);
    check::given_one_of(errors, &path.child("matchPolicy"), &hook["matchPolicy"], &rules::MATCH_POLICIES);
    let allowed: &[&str] = if lenience.side_effects { &SIDE_EFFECTS } else { &NO_SIDE_EFFECTS };
    match &hook["sideEffects"] {
        Value::Null => errors.push(FieldError::required(&path.child("sideEffects"), format!("must specify one of {}", allowed.join(", ")))),
        given => check::given_one_of(errors, &path.child("sideEffects"), given, allowed),
    }
    if let Some(seconds) = walk::at(hook, "timeoutSeconds").as_i64().filter(|s| !(1..=30).contains(s)) {
        errors.push(FieldError::invalid(&path.child("timeoutSeconds"), seconds, "the timeout value must be between 1 and 30 seconds"));
    }
    for key in SELECTORS {
        check::selector(errors, &hook[key], &path.child(key), lenience.selector_values);
    }
    check::given_one_of(errors, &path.child("reinvocationPolicy"), &hook["reinvocationPolicy"], &["IfNeeded", "Never"]);
    webhook_client::validate(errors, &hook["clientConfig"], &path.child("clientConfig"));
    if !lenience.conditions {
        let conditions = walk::list(hook, "matchConditions");
        rules::match_conditions(errors, conditions, false, &path.child("matchConditions"));
    }
}

fn qualified(errors: &mut FieldErrors, path: &Path, name: &str) {
    let faults = names::dns1123_subdomain(name);
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !faults.is_empty() {
        errors.push(FieldError::invalid(path, name, faults.join(",")));
    } else if name.split('.').count() < 3 {
        errors.push(FieldError::invalid(path, name, "should be a domain with at least three segments separated by dots"));
    }
}

fn review_versions(errors: &mut FieldErrors, hook: &Value, path: &Path, lenience: &Lenience) {
    let versions: Vec<&str> = walk::list(hook, "admissionReviewVersions").iter().filter_map(Value::as_str).collect();
    if versions.is_empty() {
        errors.push(FieldError::required(path, format!("must specify one of {}", VERSIONS.join(", "))));
        return;
    }
    let mut seen = HashSet::new();
    for (i, version) in versions.iter().enumerate() {
        if !seen.insert(version) {
            errors.push(FieldError::invalid(&path.index(i), *version, "duplicate version"));
            continue;
        }
        check::syntax(errors, &path.index(i), version, names::dns1035_label(version));
    }
    if !lenience.versions && !versions.iter().any(|v| VERSIONS.contains(v)) {
        errors.push(FieldError::invalid(path, hook["admissionReviewVersions"].clone(), format!("must include at least one of {}", VERSIONS.join(", "))));
    }
}
