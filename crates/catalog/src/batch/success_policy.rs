//! Validation of when an indexed job counts as done before all its pods are.
//!
//! Upstream: `validateSuccessPolicy` in `pkg/apis/batch/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::job_rules::is_given;
use crate::check;
use crate::walk;

const MAX_RULES: usize = 20;
const MAX_INDEXES: usize = 64 * 1024;

pub fn validate(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let (rules, list) = (walk::list(spec, "successPolicy.rules"), path.child("rules"));
    if rules.is_empty() {
        errors.push(FieldError::required(&list, "at least one rules must be specified when the successPolicy is specified"));
    }
    if rules.len() > MAX_RULES {
        errors.push(FieldError::too_many(&list, rules.len(), MAX_RULES));
    }
    let completions = walk::int(spec, "completions");
    for (i, rule) in rules.iter().enumerate() {
        self::rule(errors, completions, rule, &list.index(i));
    }
}

fn rule(errors: &mut FieldErrors, completions: i64, rule: &Value, path: &Path) {
    let indexes = walk::at(rule, "succeededIndexes").as_str();
    if indexes.is_none() && !is_given(rule, "succeededCount") {
        errors.push(FieldError::required(path, "at least one of succeededCount or succeededIndexes must be specified"));
    }
    let mut total = 0;
    if let Some(indexes) = indexes {
        let path = path.child("succeededIndexes");
        if indexes.len() > MAX_INDEXES {
            errors.push(FieldError::too_long(&path, MAX_INDEXES));
        }
        match count(indexes, completions) {
            Ok(number) => total = number,
            Err(fault) => errors.push(FieldError::invalid(&path, indexes, format!("error parsing succeededIndexes: {fault}"))),
        }
    }
    let Some(wanted) = walk::at(rule, "succeededCount").as_i64() else { return };
    check::non_negative(errors, rule, "succeededCount", path);
    let path = path.child("succeededCount");
    if wanted > completions {
        errors.push(FieldError::invalid(&path, wanted, format!("must be less than or equal to {completions} (the number of specified completions)")));
    }
    if indexes.is_some() && wanted > total {
        errors.push(FieldError::invalid(&path, wanted, format!("must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)")));
    }
}

/// How many indexes a list such as `1,3-5` names.
fn count(indexes: &str, completions: i64) -> Result<i64, String> {
    Ok(self::indexes(indexes, completions)?.iter().map(|(first, end)| end - first + 1).sum())
}

/// The intervals of a list such as `1,3-5`, first and last of each. Upstream: `validateIndexesFormat`.
pub(super) fn indexes(indexes: &str, completions: i64) -> Result<Vec<(i64, i64)>, String> {
    let mut all: Vec<(i64, i64)> = Vec::new();
    for part in indexes.split(',').filter(|_| !indexes.is_empty()) {
        let (first, end) = interval(part, completions)?;
        if let Some((_, last)) = all.last().filter(|(_, last)| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        all.push((first, end));
    }
    Ok(all)
}

fn interval(part: &str, completions: i64) -> Result<(i64, i64), String> {
    let limits: Vec<_> = part.split('-').collect();
    let index = |text: &str| match text.parse::<i64>() {
        Err(_) => Err(format!("cannot convert string to integer for index: {text:?}")),
        Ok(index) if index >= completions => Err(format!("too large index: {text:?}")),
        Ok(index) => Ok(index),
    };
    match limits.as_slice() {
        [one] => index(one).map(|one| (one, one)),
        [first, end] => {
            let (first, end) = (index(first)?, index(end)?);
            if first >= end { Err(format!("non-increasing order, previous: {first}, current: {end}")) } else { Ok((first, end)) }
        }
        _ => Err(format!("the fragment {part:?} violates the requirement that an index interval can have at most two parts separated by '-'")),
    }
}
