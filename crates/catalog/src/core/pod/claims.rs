//! Validation of which claims of devices a pod makes.
//!
//! Upstream: `validatePodResourceClaims` in `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::{Value, json};

use crate::check::{self, required_name};
use crate::walk;

const SOURCES: [&str; 2] = ["resourceClaimName", "resourceClaimTemplateName"];

/// Adds the faults and returns the names that containers may refer to.
///
/// What a node makes of a file of its own (`of_file`) has nobody who would allocate devices to it.
pub fn validate<'a>(errors: &mut FieldErrors, spec: &'a Value, of_file: bool, path: &Path) -> HashSet<&'a str> {
    let mut names = HashSet::new();
    for (i, claim) in walk::list(spec, "resourceClaims").iter().enumerate() {
        let (path, name) = (path.child("resourceClaims").index(i), walk::text(claim, "name"));
        if of_file {
            names.insert(name);
            errors.push(FieldError::forbidden(&check::nameless(), "static pods do not support resource claims"));
            continue;
        }
        if !name.is_empty() && !names.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        } else {
            required_name(errors, &path.child("name"), name, names::dns1123_label);
        }
        source(errors, claim, &path);
    }
    names
}

/// A claim is one that is there, or made from a template.
fn source(errors: &mut FieldErrors, claim: &Value, path: &Path) {
    let given = SOURCES.map(|key| walk::at(claim, key).as_str());
    // Upstream shows the fields as Go names them.
    let shown = || json!({"Name": walk::text(claim, "name"), "ResourceClaimName": given[0], "ResourceClaimTemplateName": given[1]});
    match given {
        [Some(_), Some(_)] => errors.push(FieldError::invalid(path, shown(), "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified")),
        [None, None] => errors.push(FieldError::invalid(path, shown(), "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`")),
        _ => {}
    }
    for (key, name) in SOURCES.into_iter().zip(given) {
        if let Some(name) = name {
            check::syntax(errors, &path.child(key), name, names::dns1123_subdomain(name));
        }
    }
}
