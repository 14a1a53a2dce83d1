//! What may be told of a job: counts that go up, indexes that exist, conditions that go together and stay.
//!
//! Upstream: `validateJobStatus` and `ValidateJobStatusUpdate` in `pkg/apis/batch/validation/validation.go`; which rule
//! holds for which change: `getStatusValidationOptions` in `pkg/registry/batch/job/strategy.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::job_rules::is_indexed;
use super::success_policy::indexes;
use crate::{check, walk};

/// A job before and after a write of its status.
struct Change<'a> {
    spec: &'a Value,
    new: &'a Value,
    old: &'a Value,
    path: Path,
}

pub fn validate(object: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let change = Change { spec: walk::at(object, "spec"), new: walk::at(object, "status"), old: walk::at(old, "status"), path: Path::new("status") };
    for key in ["active", "succeeded", "failed", "ready", "terminating"] {
        check::non_negative(&mut errors, change.new, key, &change.path);
    }
    uncounted(&mut errors, &change);
    ends(&mut errors, &change);
    finished(&mut errors, &change);
    named_indexes(&mut errors, &change);
    pods(&mut errors, &change);
    success(&mut errors, &change);
    stays(&mut errors, &change);
    errors
}

pub(super) fn is(status: &Value, kind: &str) -> bool {
    walk::list(status, "conditions").iter().any(|c| walk::text(c, "type") == kind && walk::text(c, "status") == "True")
}

fn is_finished(status: &Value) -> bool {
    is(status, "Complete") || is(status, "Failed")
}

impl Change<'_> {
    fn of(&self, key: &str) -> bool {
        walk::at(self.new, key) != walk::at(self.old, key)
    }

    fn of_condition(&self, kind: &str) -> bool {
        is(self.new, kind) != is(self.old, kind)
    }

    fn finishes(&self) -> bool {
        is_finished(self.new) != is_finished(self.old)
    }

    /// A fault of what the conditions say together.
    fn conditions(&self, errors: &mut FieldErrors, fault: &str) {
        errors.push(FieldError::invalid(&self.path.child("conditions"), "", fault).without_value());
    }

    fn invalid(&self, errors: &mut FieldErrors, key: &str, fault: impl Into<String>) {
        errors.push(FieldError::invalid(&self.path.child(key), walk::at(self.new, key).clone(), fault));
    }
}

/// Pods that ended and are not yet in the counts: each once.
fn uncounted(errors: &mut FieldErrors, change: &Change<'_>) {
    let (books, path) = (walk::at(change.new, "uncountedTerminatedPods"), change.path.child("uncountedTerminatedPods"));
    let mut seen = HashSet::new();
    for key in ["succeeded", "failed"] {
        for (i, uid) in walk::list(books, key).iter().filter_map(Value::as_str).enumerate() {
            let path = path.child(key).index(i);
            if uid.is_empty() {
                errors.push(FieldError::invalid(&path, "", "must not be empty"));
            } else if !seen.insert(uid) {
                errors.push(FieldError::duplicate(&path, uid));
            }
        }
    }
}

fn ends(errors: &mut FieldErrors, change: &Change<'_>) {
    let (complete, completes) = (is(change.new, "Complete"), change.of_condition("Complete"));
    if (completes || change.of_condition("Failed")) && complete && is(change.new, "Failed") {
        change.conditions(errors, "cannot set Complete=True and Failed=true conditions");
    }
    if (completes || change.of_condition("FailureTarget")) && complete && is(change.new, "FailureTarget") {
        change.conditions(errors, "cannot set Complete=True and FailureTarget=true conditions");
    }
    let time = |key: &str| walk::at(change.new, key).as_str().and_then(api::time::parse);
    let (start, end) = (time("startTime"), time("completionTime"));
    let judged = completes || change.of("completionTime");
    if judged && end.is_some() && !complete {
        change.invalid(errors, "completionTime", "cannot set completionTime when there is no Complete=True condition");
    }
    if judged && end.is_none() && complete {
        errors.push(FieldError::required(&change.path.child("completionTime"), "completionTime is required for Complete jobs"));
    }
    if (change.of("startTime") || change.of("completionTime")) && start.zip(end).is_some_and(|(start, end)| end < start) {
        change.invalid(errors, "completionTime", "completionTime cannot be set before startTime");
    }
}

fn finished(errors: &mut FieldErrors, change: &Change<'_>) {
    if !is_finished(change.new) {
        return;
    }
    let judged = |key: &str| change.finishes() || change.of(key);
    if judged("active") && walk::int(change.new, "active") > 0 {
        change.invalid(errors, "active", "active>0 is invalid for finished job");
    }
    let never_ran = walk::flag(change.spec, "suspend") && walk::at(change.spec, "completions").as_i64() == Some(0);
    if judged("startTime") && !never_ran && walk::text(change.new, "startTime").is_empty() {
        errors.push(FieldError::required(&change.path.child("startTime"), "startTime is required for finished job"));
    }
    let books = walk::at(change.new, "uncountedTerminatedPods");
    if judged("uncountedTerminatedPods") && ["succeeded", "failed"].iter().any(|key| !walk::list(books, key).is_empty()) {
        change.invalid(errors, "uncountedTerminatedPods", "uncountedTerminatedPods needs to be empty for finished job");
    }
}

fn named_indexes(errors: &mut FieldErrors, change: &Change<'_>) {
    let (completed, failed) = (walk::text(change.new, "completedIndexes"), walk::at(change.new, "failedIndexes").as_str());
    let completions = walk::at(change.spec, "completions").as_i64();
    let per_index = !walk::at(change.spec, "backoffLimitPerIndex").is_null();
    let read = |text: &str| completions.map(|completions| indexes(text, completions));
    if change.of("completedIndexes") {
        if let Some(Err(fault)) = read(completed) {
            change.invalid(errors, "completedIndexes", format!("error parsing completedIndexes: {fault}"));
        }
        if !completed.is_empty() && !is_indexed(change.spec) {
            change.invalid(errors, "completedIndexes", "cannot set non-empty completedIndexes when non-indexed completion mode");
        }
    }
    let Some(failed) = failed else { return };
    if change.of("failedIndexes") {
        if per_index && let Some(Err(fault)) = read(failed) {
            change.invalid(errors, "failedIndexes", format!("error parsing failedIndexes: {fault}"));
        }
        if !per_index {
            change.invalid(errors, "failedIndexes", "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
        }
    }
    if (change.of("failedIndexes") || change.of("completedIndexes"))
        && let (Some(Ok(completed)), Some(Ok(failed))) = (read(completed), read(failed))
        && let Some((a, b)) = completed.iter().flat_map(|a| failed.iter().map(move |b| (a, b))).find(|((a, z), (b, y))| a.max(b) <= z.min(y))
    {
        let index = a.0.max(b.0);
        change.invalid(errors, "failedIndexes", format!("failedIndexes and completedIndexes overlap at index: {index}"));
    }
}

fn pods(errors: &mut FieldErrors, change: &Change<'_>) {
    let number = |key: &str| walk::at(change.new, key).as_i64();
    if (change.finishes() || change.of("terminating")) && is_finished(change.new) && number("terminating").is_some_and(|n| n > 0) {
        change.invalid(errors, "terminating", "terminating>0 is invalid for finished job");
    }
    if (change.of("ready") || change.of("active")) && number("ready").is_some_and(|n| n > number("active").unwrap_or_default()) {
        change.invalid(errors, "ready", "cannot set more ready pods than active");
    }
}

fn success(errors: &mut FieldErrors, change: &Change<'_>) {
    let met = is(change.new, "SuccessCriteriaMet");
    for (kind, named) in [("Failed", "Failed=true"), ("FailureTarget", "FailureTarget=true")] {
        if met && is(change.new, kind) {
            change.conditions(errors, &format!("cannot set SuccessCriteriaMet=True and {named} conditions"));
        }
    }
    if !met && is(change.new, "Complete") && walk::at(change.spec, "successPolicy").is_object() {
        change.conditions(errors, "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True");
    }
}

/// What was said once is not taken back.
fn stays(errors: &mut FieldErrors, change: &Change<'_>) {
    for kind in ["Failed", "Complete", "FailureTarget"] {
        if is(change.old, kind) && !is(change.new, kind) {
            change.conditions(errors, &format!("cannot disable the terminal {kind}=True condition"));
        }
    }
    // A job whose pods all run at a time may be told to do with fewer.
    let elastic = is_indexed(change.spec) && walk::at(change.spec, "completions") == walk::at(change.spec, "parallelism");
    for key in ["failed", "succeeded"].into_iter().filter(|key| !(elastic && *key == "succeeded")) {
        let now = walk::int(change.new, key);
        if now < walk::int(change.old, key) {
            errors.push(FieldError::invalid(&change.path.child(key), now, format!("cannot decrease the {key} counter")));
        }
    }
    let text = |status, key| walk::text(status, key);
    if !text(change.new, "completionTime").is_empty() && !text(change.old, "completionTime").is_empty() && change.of("completionTime") {
        change.invalid(errors, "completionTime", "completionTime cannot be mutated");
    }
    if !text(change.old, "startTime").is_empty() && change.of("startTime") && !walk::flag(change.spec, "suspend") {
        errors.push(FieldError::required(&change.path.child("startTime"), "startTime cannot be removed for unsuspended job"));
    }
    match (is(change.old, "SuccessCriteriaMet"), is(change.new, "SuccessCriteriaMet")) {
        (true, false) => change.conditions(errors, "cannot disable the SuccessCriteriaMet=True condition"),
        (false, true) if is(change.old, "Complete") => change.conditions(errors, "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(spec: Value, old: Value, new: Value) -> Vec<String> {
        validate(&json!({"spec": spec, "status": new}), &json!({"spec": spec, "status": old})).iter().map(ToString::to_string).collect()
    }

    fn condition(kind: &str) -> Value {
        json!({"type": kind, "status": "True"})
    }

    #[test]
    fn a_job_ends_once_and_whole() {
        let start = json!({"startTime": "2026-01-01T00:00:00Z"});
        let done = json!({"startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:01Z", "succeeded": 1, "conditions": [condition("SuccessCriteriaMet"), condition("Complete")]});
        assert_eq!(told(json!({}), start.clone(), done.clone()), Vec::<String>::new());
        assert_eq!(
            told(json!({}), start.clone(), json!({"active": 1, "conditions": [condition("Complete"), condition("Failed")]})),
            [
                "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
                "status.completionTime: Required value: completionTime is required for Complete jobs",
                "status.active: Invalid value: 1: active>0 is invalid for finished job",
                "status.startTime: Required value: startTime is required for finished job",
                "status.startTime: Required value: startTime cannot be removed for unsuspended job",
            ]
        );
        assert_eq!(
            told(json!({}), done, start),
            [
                "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
                "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter",
                "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
            ]
        );
    }

    #[test]
    fn indexes_exist_and_end_one_way() {
        let spec = json!({"completionMode": "Indexed", "completions": 5, "backoffLimitPerIndex": 1});
        assert_eq!(told(spec.clone(), json!({}), json!({"completedIndexes": "0-2", "failedIndexes": "3"})), Vec::<String>::new());
        assert_eq!(told(spec.clone(), json!({}), json!({"completedIndexes": "0-2", "failedIndexes": "2-3"}))[0], "status.failedIndexes: Invalid value: \"2-3\": failedIndexes and completedIndexes overlap at index: 2");
        assert_eq!(told(spec, json!({}), json!({"completedIndexes": "9"}))[0], "status.completedIndexes: Invalid value: \"9\": error parsing completedIndexes: too large index: \"9\"");
        assert_eq!(told(json!({}), json!({}), json!({"ready": 1, "failedIndexes": "1"})), ["status.failedIndexes: Invalid value: \"1\": cannot set non-null failedIndexes when backoffLimitPerIndex is null", "status.ready: Invalid value: 1: cannot set more ready pods than active"]);
    }
}
