//! Validation of what a job says: how often pods may fail, when it is done, who runs it.
//!
//! Upstream: `validateJobSpec` in `pkg/apis/batch/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::{failure_policy, success_policy};
use crate::check;
use crate::walk;

/// Above so many indexes a job that counts failures of each must bound them, and run fewer pods at a time.
const MANY: i64 = 100_000;
const FEW: i64 = 10_000;
const INDEXED: &str = "requires indexed completion mode";

/// A job's spec but its selector; also of the jobs of a CronJob.
pub(super) fn spec(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, path: &Path) {
    for key in ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes"] {
        check::non_negative(errors, spec, key, path);
    }
    if is_given(spec, "maxFailedIndexes") && !is_given(spec, "backoffLimitPerIndex") {
        errors.push(FieldError::required(&path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"));
    }
    manager(errors, spec, &path.child("managedBy"));
    completion_mode(errors, spec, path);
    if is_given(spec, "podFailurePolicy") {
        failure_policy::validate(errors, spec, &path.child("podFailurePolicy"));
    }
    if is_given(spec, "successPolicy") {
        let path = path.child("successPolicy");
        if is_indexed(spec) {
            success_policy::validate(errors, spec, &path);
        } else {
            errors.push(FieldError::invalid(&path, walk::at(spec, "successPolicy").clone(), INDEXED));
        }
    }
    let replaced: &[&str] = if is_given(spec, "podFailurePolicy") { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    check::maybe_one_of(errors, &path.child("podReplacementPolicy"), walk::text(spec, "podReplacementPolicy"), replaced);
    let template = walk::at(spec, "template");
    if old.is_none_or(|old| walk::at(old, "template") != template) {
        crate::core::pod::validate::template(errors, template, &path.child("template"));
    }
    restarts(errors, spec, &path.child("template").child("spec").child("restartPolicy"));
}

pub(super) fn is_given(spec: &Value, key: &str) -> bool {
    !walk::at(spec, key).is_null()
}

pub(super) fn is_indexed(spec: &Value) -> bool {
    walk::text(spec, "completionMode") == "Indexed"
}

fn manager(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    if let Some(manager) = walk::at(spec, "managedBy").as_str() {
        check::domain_prefixed_path(errors, path, manager);
        if manager.len() > 63 {
            errors.push(FieldError::too_long(path, 63));
        }
    }
}

fn completion_mode(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    check::maybe_one_of(errors, &path.child("completionMode"), walk::text(spec, "completionMode"), &["NonIndexed", "Indexed"]);
    let number = |key: &str| walk::at(spec, key).as_i64();
    if is_indexed(spec) {
        indexed(errors, spec, path);
    } else if matches!(walk::text(spec, "completionMode"), "" | "NonIndexed") {
        for key in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(number) = number(key) {
                errors.push(FieldError::invalid(&path.child(key), number, INDEXED));
            }
        }
    }
}

fn indexed(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let [completions, parallelism, failed] = ["completions", "parallelism", "maxFailedIndexes"].map(|key| walk::at(spec, key).as_i64());
    if completions.is_none() {
        errors.push(FieldError::required(&path.child("completions"), "when completion mode is Indexed"));
    }
    bound(errors, &path.child("parallelism"), parallelism, MANY, &format!("must be less than or equal to {MANY} when completion mode is Indexed"));
    bound(errors, &path.child("maxFailedIndexes"), failed, completions.unwrap_or(i64::MAX), "must be less than or equal to completions");
    bound(errors, &path.child("maxFailedIndexes"), failed, MANY, &format!("must be less than or equal to {MANY}"));
    if completions.is_some_and(|n| n > MANY) && is_given(spec, "backoffLimitPerIndex") {
        if failed.is_none() {
            errors.push(FieldError::required(&path.child("maxFailedIndexes"), format!("must be specified when completions is above {MANY}")));
        }
        let detail = format!("must be less than or equal to {FEW} when completions are above {MANY} and used with backoff limit per index");
        bound(errors, &path.child("parallelism"), parallelism, FEW, &detail);
        bound(errors, &path.child("maxFailedIndexes"), failed, FEW, &detail);
    }
}

fn bound(errors: &mut FieldErrors, path: &Path, number: Option<i64>, most: i64, detail: &str) {
    if let Some(number) = number.filter(|n| *n > most) {
        errors.push(FieldError::invalid(path, number, detail));
    }
}

fn restarts(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    match walk::text(spec, "template.spec.restartPolicy") {
        "" | "Always" => errors.push(FieldError::required(path, "valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" if is_given(spec, "podFailurePolicy") => errors.push(FieldError::invalid(path, "OnFailure", "only \"Never\" is supported when podFailurePolicy is specified")),
        "OnFailure" | "Never" => {}
        other => errors.push(FieldError::not_supported(path, other, &["OnFailure", "Never"])),
    }
}
