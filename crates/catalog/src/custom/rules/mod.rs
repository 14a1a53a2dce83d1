//! Validation of CustomResourceDefinitions, all faults at once, under upstream's paths.
//!
//! Upstream: apiextensions-apiserver `pkg/apis/apiextensions/validation/validation.go`. It validates an internal form, in which
//! what all versions share stands at the top (`spec.validation`); the paths of faults speak of that form, and so do ours.

mod conversion;
mod defaults;
mod internal;
mod kept;
mod openapi;
mod selectable;
pub mod shown;
mod structural;
mod version;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use self::kept::Kept;
use self::openapi::Given;
use super::embedded::mixed_case_label;
use super::status::{self, Approval};
use crate::{check, walk};

/// Faults of a definition; `old` is none on create.
pub fn validate(definition: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let name = api::meta::name(definition);
    if old.is_none() && !name.is_empty() && name != format!("{}.{}", walk::text(definition, "spec.names.plural"), walk::text(definition, "spec.group")) {
        errors.push(FieldError::invalid(&Path::new("metadata").child("name"), name, "must be spec.names.plural+\".\"+spec.group"));
    }
    let established = old.is_some_and(|old| status::is_true(old, "Established"));
    spec(&mut errors, definition, old);
    if let Some(old) = old {
        immutable(&mut errors, definition, old, established);
    }
    accepted_names(&mut errors, walk::at(definition, "status.acceptedNames"), &Path::new("status").child("acceptedNames"));
    stored_versions(&mut errors, definition);
    approval(&mut errors, definition, old);
    let before = old.is_some_and(|old| walk::flag(old, "spec.preserveUnknownFields"));
    if walk::flag(definition, "spec.preserveUnknownFields") && !before {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(FieldError::invalid(&Path::new("spec").child("preserveUnknownFields"), true, why));
    }
    errors
}

/// Faults of a write to the status of a definition.
pub fn validate_status(definition: &Value, _old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    accepted_names(&mut errors, walk::at(definition, "status.acceptedNames"), &Path::new("status").child("acceptedNames"));
    errors
}

/// Status, reason and message of the condition that tells of schemas that are not structural; none where all are.
pub fn unstructured(definition: &Value) -> Option<(&'static str, &'static str, String)> {
    let mut errors = FieldErrors::new();
    if walk::flag(definition, "spec.preserveUnknownFields") {
        errors.push(FieldError::invalid(&Path::new("spec").child("preserveUnknownFields"), true, "must be false"));
    }
    for (i, version) in walk::list(definition, "spec.versions").iter().enumerate() {
        let Some(schema) = kept::schema_of(version) else { continue };
        if let Some(why) = structural::unsupported(schema) {
            return Some(("Unknown", "StructuralError", format!("failed to check validation schema for version {}: {why}", walk::text(version, "name"))));
        }
        errors.extend(structural::validate(schema, &Path::new("spec").child("versions").index(i).child("schema").child("openAPIV3Schema")));
    }
    (!errors.is_empty()).then(|| ("True", "Violations", api::field::aggregate(&errors)))
}

fn spec(errors: &mut FieldErrors, definition: &Value, old: Option<&Value>) {
    let (path, kept) = (Path::new("spec"), Kept::of(old));
    let form = internal::form(walk::at(definition, "spec"));
    group(errors, walk::text(&form, "group"), &path.child("group"));
    check::one_of(errors, &path.child("scope"), walk::text(&form, "scope"), &["Cluster", "Namespaced"]);
    let versions = walk::list(&form, "versions");
    schemas(errors, definition, &form, kept);
    let structural = must_be_structural(errors, definition, kept);
    let shared_status = has_status(&form);
    let any_per_version = versions.iter().any(|v| v.get("subresources").is_some());
    for (i, version) in versions.iter().enumerate() {
        let at = path.child("versions").index(i);
        let name = walk::text(version, "name");
        let faults = names::dns1035_label(name);
        if !faults.is_empty() {
            errors.push(FieldError::invalid(&at.child("name"), name, faults.join(",")));
        }
        let has_status = if any_per_version { has_status(version) } else { shared_status };
        version::validate(errors, version, &at, Given { has_status, is_known: is_known(definition, old, name), structural, kept });
    }
    version_list(errors, versions, &path.child("versions"));
    // Upstream: the first version's name stands at the top, too.
    let first = versions.first().map_or("", |v| walk::text(v, "name"));
    let faults = names::dns1035_label(first);
    if !first.is_empty() && !faults.is_empty() {
        errors.push(FieldError::invalid(&path.child("version"), first, faults.join(",")));
    }
    required_names(errors, walk::at(&form, "names"), &path.child("names"));
    accepted_names(errors, walk::at(&form, "names"), &path.child("names"));
    let any_status = shared_status || versions.iter().any(has_status);
    if let Some(shared) = form.get("validation") {
        openapi::validate(errors, shared, &path.child("validation"), Given { has_status: any_status, is_known: is_known(definition, old, first), structural, kept });
    }
    version::subresources(errors, form.get("subresources"), &path.child("subresources"));
    for (i, column) in walk::list(&form, "additionalPrinterColumns").iter().enumerate() {
        version::column(errors, column, &path.child("additionalPrinterColumns").index(i));
    }
    selectable::shared(errors, &form, &path);
    conversion::validate(errors, &form, &path.child("conversion"), kept);
}

/// Every version has a schema; where they need not, those that are served have one, so that not everything is pruned.
fn schemas(errors: &mut FieldErrors, definition: &Value, form: &Value, kept: Kept) {
    let shared = form.get("validation").and_then(kept::schema_in).is_some();
    if shared || kept.no_schema && walk::flag(definition, "spec.preserveUnknownFields") {
        return;
    }
    let why = if kept.no_schema { "because otherwise all fields are pruned" } else { "schemas are required" };
    for (i, version) in walk::list(form, "versions").iter().enumerate() {
        if kept::schema_of(version).is_none() && (!kept.no_schema || walk::flag(version, "served")) {
            errors.push(FieldError::required(&Path::new("spec").child("versions").index(i).child("schema").child("openAPIV3Schema"), why));
        }
    }
}

fn must_be_structural(errors: &mut FieldErrors, definition: &Value, kept: Kept) -> bool {
    let preserves = walk::flag(definition, "spec.preserveUnknownFields");
    let any = |wrong: &dyn Fn(&Value) -> bool| walk::list(definition, "spec.versions").iter().filter_map(kept::schema_of).any(|schema| kept::has(schema, wrong));
    let defaults = any(&|s| s.get("default").is_some_and(|d| !d.is_null()));
    if defaults && preserves {
        errors.push(FieldError::invalid(&Path::new("spec").child("preserveUnknownFields"), true, "must be false in order to use defaults in the schema"));
    }
    !kept.unstructured || !preserves || defaults || any(&openapi::has_extensions)
}

/// Whether the version's schema is the one it had before.
fn is_known(definition: &Value, old: Option<&Value>, version: &str) -> bool {
    let schema = |of: &Value| walk::list(of, "spec.versions").iter().find(|v| walk::text(v, "name") == version).map(|v| v.get("schema").cloned());
    old.is_some_and(|old| schema(old) == schema(definition))
}

fn has_status(of: &Value) -> bool {
    of.get("subresources").and_then(|s| s.get("status")).is_some_and(|s| !s.is_null())
}

fn group(errors: &mut FieldErrors, group: &str, path: &Path) {
    let faults = names::dns1123_subdomain(group);
    if group.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !faults.is_empty() {
        errors.push(FieldError::invalid(path, group, faults.join(",")));
    } else if !group.contains('.') {
        errors.push(FieldError::invalid(path, group, "should be a domain with at least one dot"));
    }
}

fn version_list(errors: &mut FieldErrors, versions: &[Value], path: &Path) {
    let fault = |why: &str| FieldError::invalid(path, Value::Null, why).shown_as(shown::versions(versions));
    let mut seen = std::collections::HashSet::new();
    if !versions.iter().all(|v| seen.insert(walk::text(v, "name"))) {
        errors.push(fault("must contain unique version names"));
    }
    if versions.iter().filter(|v| walk::flag(v, "storage")).count() != 1 {
        errors.push(fault("must have exactly one version marked as storage version"));
    }
}

fn required_names(errors: &mut FieldErrors, names: &Value, path: &Path) {
    for key in ["plural", "singular", "kind", "listKind"] {
        if walk::text(names, key).is_empty() {
            errors.push(FieldError::required(&path.child(key), ""));
        }
    }
}

fn accepted_names(errors: &mut FieldErrors, names: &Value, path: &Path) {
    let label = |errors: &mut FieldErrors, path: &Path, text: &str| {
        let faults = names::dns1035_label(text);
        if !faults.is_empty() {
            errors.push(FieldError::invalid(path, text, faults.join(",")));
        }
    };
    for key in ["plural", "singular"] {
        if !walk::text(names, key).is_empty() {
            label(errors, &path.child(key), walk::text(names, key));
        }
    }
    for key in ["kind", "listKind"] {
        if !walk::text(names, key).is_empty() {
            mixed_case_label(errors, &path.child(key), walk::text(names, key));
        }
    }
    for (i, name) in walk::list(names, "shortNames").iter().enumerate() {
        label(errors, &path.child("shortNames").index(i), name.as_str().unwrap_or_default());
    }
    let (kind, list) = (walk::text(names, "kind"), walk::text(names, "listKind"));
    if !kind.is_empty() && kind == list {
        errors.push(FieldError::invalid(&path.child("listKind"), list, "kind and listKind may not be the same"));
    }
    for (i, name) in walk::list(names, "categories").iter().enumerate() {
        label(errors, &path.child("categories").index(i), name.as_str().unwrap_or_default());
    }
}

fn immutable(errors: &mut FieldErrors, definition: &Value, old: &Value, established: bool) {
    let mut fixed = |path: &str| check::immutable(errors, &Path::new(path), walk::at(definition, path), walk::at(old, path));
    if established {
        fixed("spec.scope");
        fixed("spec.names.kind");
    }
    fixed("spec.group");
    fixed("spec.names.plural");
}

fn stored_versions(errors: &mut FieldErrors, definition: &Value) {
    let path = Path::new("status").child("storedVersions");
    let stored: Vec<&str> = walk::list(definition, "status.storedVersions").iter().filter_map(Value::as_str).collect();
    let shown = || walk::at(definition, "status.storedVersions").clone();
    if stored.is_empty() {
        errors.push(FieldError::invalid(&path, shown(), "must have at least one stored version"));
        return;
    }
    let versions = walk::list(definition, "spec.versions");
    for (i, version) in versions.iter().enumerate().filter(|(_, v)| walk::flag(v, "storage")) {
        let name = walk::text(version, "name");
        // Upstream: each stored version is found once.
        if !stored.contains(&name) || versions[..i].iter().any(|v| walk::text(v, "name") == name) {
            errors.push(FieldError::invalid(&path, shown(), format!("must have the storage version {name}")));
        }
    }
    for (i, name) in stored.iter().enumerate().filter(|(_, name)| !versions.iter().any(|v| walk::text(v, "name") == **name)) {
        let why = format!(
            "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
        );
        errors.push(FieldError::invalid(&path.index(i), *name, why));
    }
}

fn approval(errors: &mut FieldErrors, definition: &Value, old: Option<&Value>) {
    if !status::is_protected(walk::text(definition, "spec.group")) {
        return;
    }
    let (state, why) = status::approval(definition);
    if old.is_some_and(|old| status::approval(old).0 == state) {
        return;
    }
    let path = Path::new("metadata").child("annotations").key(status::APPROVED);
    match state {
        Approval::Missing => errors.push(FieldError::required(&path, why)),
        Approval::Invalid => errors.push(FieldError::invalid(&path, api::meta::annotation(definition, status::APPROVED).unwrap_or_default(), why)),
        Approval::Approved | Approval::Bypassed => {}
    }
}
