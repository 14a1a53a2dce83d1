//! Validation of where volumes of a class may be.
//!
//! Upstream: `validateAllowedTopologies` in `pkg/apis/storage/validation/validation.go`,
//! `ValidateTopologySelectorTerm` in `pkg/apis/core/validation/validation.go`.

use std::collections::{BTreeMap, BTreeSet};

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::{check, walk};

type Term<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

pub fn validate(errors: &mut FieldErrors, terms: &[Value], list: &Path) {
    // Upstream starts with as many empty terms as there are terms, so that an empty one is one of them each time.
    let mut known = vec![Term::new(); terms.len()];
    for (i, term) in terms.iter().enumerate() {
        let path = list.index(i).child("matchLabelExpressions");
        let read = self::term(errors, term, &path);
        for _ in known.iter().filter(|other| **other == read) {
            errors.push(FieldError::duplicate(&path, ""));
        }
        known.push(read);
    }
}

fn term<'a>(errors: &mut FieldErrors, term: &'a Value, list: &Path) -> Term<'a> {
    let mut read = Term::new();
    for (i, wanted) in walk::list(term, "matchLabelExpressions").iter().enumerate() {
        let (path, key) = (list.index(i), walk::text(wanted, "key"));
        let values = values(errors, wanted, &path.child("values"));
        check::syntax(errors, &path.child("key"), key, names::qualified_name(key));
        if read.insert(key, values).is_some() {
            errors.push(FieldError::duplicate(&path.child("key"), key));
        }
    }
    read
}

fn values<'a>(errors: &mut FieldErrors, wanted: &'a Value, path: &Path) -> BTreeSet<&'a str> {
    let given = walk::list(wanted, "values");
    if given.is_empty() {
        errors.push(FieldError::required(path, ""));
    }
    let mut seen = BTreeSet::new();
    for (i, value) in given.iter().filter_map(Value::as_str).enumerate() {
        if !seen.insert(value) {
            errors.push(FieldError::duplicate(&path.index(i), value));
        }
    }
    seen
}
