//! Lists and names as this group judges them.
//!
//! Upstream: `validateSlice`, `validateSet`, `validateQualifiedName` and others in `pkg/apis/resource/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::check;
use crate::core::persistent_volume_rules::driver_name;

const LONGEST_IDENTIFIER: usize = 32;
const LONGEST_POOL: usize = 253;

/// Every item, unless there are too many of them.
pub fn each(errors: &mut FieldErrors, items: &[Value], most: usize, list: &Path, mut judge: impl FnMut(&mut FieldErrors, &Value, &Path)) -> bool {
    if items.len() > most {
        errors.push(FieldError::too_many(list, items.len(), most));
        return false;
    }
    for (i, item) in items.iter().enumerate() {
        judge(errors, item, &list.index(i));
    }
    true
}

/// The same, and no two items with one key.
pub fn set<'a>(errors: &mut FieldErrors, items: &'a [Value], most: usize, list: &Path, judge: impl FnMut(&mut FieldErrors, &Value, &Path), key: impl Fn(&'a Value) -> &'a str) {
    if !each(errors, items, most, list, judge) {
        return;
    }
    let mut seen = HashSet::new();
    for (i, key) in items.iter().map(key).enumerate() {
        if !seen.insert(key) {
            errors.push(FieldError::duplicate(&list.index(i), key));
        }
    }
}

/// Texts, each once.
pub fn texts(errors: &mut FieldErrors, items: &[Value], most: usize, list: &Path, mut judge: impl FnMut(&mut FieldErrors, &str, &Path)) {
    set(errors, items, most, list, |errors, item, path| judge(errors, item.as_str().unwrap_or_default(), path), |item| item.as_str().unwrap_or_default());
}

/// A name, with the domain of who gives it where it is not the driver's own.
pub fn qualified_name(errors: &mut FieldErrors, name: &str, path: &Path) {
    match name.split('/').collect::<Vec<_>>().as_slice() {
        [id] => identifier(errors, id, path),
        [domain, id] => {
            match *domain {
                "" => errors.push(FieldError::invalid(path, "", "the domain must not be empty")),
                domain => driver_name(errors, domain, path),
            }
            match *id {
                "" => errors.push(FieldError::invalid(path, "", "the name must not be empty")),
                id => identifier(errors, id, path),
            }
        }
        _ => errors.push(FieldError::invalid(path, name, "must not contain more than one slash")),
    }
}

/// A name with its domain.
pub fn full_name(errors: &mut FieldErrors, name: &str, path: &Path) {
    qualified_name(errors, name, path);
    if !name.contains('/') {
        errors.push(FieldError::invalid(path, name, "a fully qualified name must be a domain and a name separated by a slash"));
    }
}

fn identifier(errors: &mut FieldErrors, id: &str, path: &Path) {
    if id.len() > LONGEST_IDENTIFIER {
        errors.push(FieldError::too_long(path, LONGEST_IDENTIFIER));
    }
    check::syntax(errors, path, id, names::c_identifier(id));
}

pub fn pool_name(errors: &mut FieldErrors, name: &str, path: &Path) {
    if name.is_empty() {
        return errors.push(FieldError::required(path, ""));
    }
    if name.len() > LONGEST_POOL {
        errors.push(FieldError::too_long(path, LONGEST_POOL));
    }
    for part in name.split('/') {
        check::syntax(errors, path, part, names::dns1123_subdomain(part));
    }
}
