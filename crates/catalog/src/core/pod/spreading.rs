//! Validation of how pods are spread, and of the labels of a pod that say which others it is compared with.
//!
//! Upstream: `validateTopologySpreadConstraints`, `validateMatchLabelKeysAndMismatchLabelKeys` in
//! `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::check::{self, syntax};
use crate::walk;

const IN_SELECTOR: &str = "exists in both matchLabelKeys and labelSelector";
const NO_SELECTOR: &str = "must not be specified when labelSelector is not set";

pub fn validate(errors: &mut FieldErrors, spec: &Value, list: &Path) {
    let constraints = walk::list(spec, "topologySpreadConstraints");
    for (i, constraint) in constraints.iter().enumerate() {
        let path = list.index(i);
        let kind = |constraint: &Value| (walk::text(constraint, "topologyKey").to_owned(), walk::text(constraint, "whenUnsatisfiable").to_owned());
        let (key, action) = kind(constraint);
        let skew = walk::int(constraint, "maxSkew");
        if skew <= 0 {
            errors.push(FieldError::invalid(&path.child("maxSkew"), skew, "must be greater than zero"));
        }
        if key.is_empty() {
            errors.push(FieldError::required(&path.child("topologyKey"), "can not be empty"));
        }
        if !matches!(action.as_str(), "DoNotSchedule" | "ScheduleAnyway") {
            errors.push(FieldError::not_supported(&path.child("whenUnsatisfiable"), action.as_str(), &["DoNotSchedule", "ScheduleAnyway"]));
        }
        if constraints.iter().skip(i + 1).any(|other| kind(other) == kind(constraint)) {
            errors.push(FieldError::duplicate(&path.child("{topologyKey, whenUnsatisfiable}"), format!("{{{key}, {action}}}")));
        }
        domains(errors, constraint, &action, &path.child("minDomains"));
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            check::maybe_one_of(errors, &path.child(policy), walk::text(constraint, policy), &["Honor", "Ignore"]);
        }
        // The server has put these into the selector too: MatchLabelKeysInPodTopologySpreadSelectorMerge, on since 1.34.
        label_keys(errors, constraint, &path);
        check::label_selector(errors, walk::at(constraint, "labelSelector"), &path.child("labelSelector"));
    }
}

fn domains(errors: &mut FieldErrors, constraint: &Value, action: &str, path: &Path) {
    let Some(domains) = walk::at(constraint, "minDomains").as_i64() else { return };
    if domains <= 0 {
        errors.push(FieldError::invalid(path, domains, "must be greater than zero"));
    }
    if action != "DoNotSchedule" {
        errors.push(FieldError::invalid(path, domains, format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}")));
    }
}

fn texts<'a>(object: &'a Value, key: &str) -> Vec<&'a str> {
    walk::list(object, key).iter().filter_map(Value::as_str).collect()
}

/// `matchLabelKeys` and `mismatchLabelKeys` of an affinity to pods. The server has already put the former into the
/// selector, so a key that stands there twice was also given by the user.
pub fn label_keys(errors: &mut FieldErrors, term: &Value, path: &Path) {
    let selector = walk::at(term, "labelSelector");
    let [wanted, unwanted] = ["matchLabelKeys", "mismatchLabelKeys"].map(|key| texts(term, key));
    for (key, keys) in [("matchLabelKeys", &wanted), ("mismatchLabelKeys", &unwanted)] {
        let path = path.child(key);
        if !keys.is_empty() && !selector.is_object() {
            errors.push(FieldError::forbidden(&path, NO_SELECTOR));
            continue;
        }
        for (i, key) in keys.iter().enumerate() {
            syntax(errors, &path.index(i), key, names::qualified_name(key));
        }
    }
    let mut selected: HashSet<&str> = walk::map(selector, "matchLabels").into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    for key in walk::list(selector, "matchExpressions").iter().map(|e| walk::text(e, "key")) {
        if let Some(i) = wanted.iter().rposition(|wanted| *wanted == key)
            && selected.contains(key)
        {
            errors.push(FieldError::invalid(&path.index(i), key, IN_SELECTOR));
        }
        selected.insert(key);
    }
    for (i, key) in wanted.iter().enumerate().filter(|(_, key)| unwanted.contains(key)) {
        errors.push(FieldError::invalid(&path.child("matchLabelKeys").index(i), *key, "exists in both matchLabelKeys and mismatchLabelKeys"));
    }
}
