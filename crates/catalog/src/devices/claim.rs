//! Claims of devices, their templates and the classes they name.
//!
//! Upstream: `pkg/apis/resource/validation/validation.go`.

use std::collections::{BTreeMap, HashSet};

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::lists::{each, full_name, set, texts};
use super::parts::{opaque, toleration};
use crate::{check, walk};

pub const MOST: usize = 32;
const MOST_ALTERNATIVES: usize = 8;
const LONGEST_EXPRESSION: usize = 10 << 10;
const ONE_OF: &str = "exactly one of `exactly` or `firstAvailable` is required";
const REFERENCE: &str = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

/// Upstream: `pkg/apis/resource/v1/defaults.go`.
pub fn default(object: &mut Value, spec: &str) {
    let Some(devices) = walk::existing_mut(object, &format!("{spec}.devices")) else { return };
    for request in walk::items(devices, "requests") {
        if let Some(exactly) = walk::child(request, "exactly") {
            one_default(exactly);
        }
        walk::items(request, "firstAvailable").for_each(one_default);
    }
}

fn one_default(request: &mut serde_json::Map<String, Value>) {
    walk::fill_text(request, "allocationMode", "ExactCount");
    if request.get("allocationMode").is_some_and(|mode| mode == "ExactCount") {
        walk::fill_number(request, "count", 1);
    }
    for toleration in walk::items(request, "tolerations") {
        walk::fill_text(toleration, "operator", "Equal");
    }
}

/// The requests of a claim by name, each with the names of its alternatives.
pub type Names<'a> = BTreeMap<&'a str, HashSet<&'a str>>;

pub fn request_names(devices: &Value) -> Names<'_> {
    walk::list(devices, "requests").iter().map(|r| (walk::text(r, "name"), walk::list(r, "firstAvailable").iter().map(|s| walk::text(s, "name")).collect())).collect()
}

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    match old {
        Some(old) => check::immutable(&mut errors, &Path::new("spec"), walk::at(object, "spec"), walk::at(old, "spec")),
        None => devices(&mut errors, walk::at(object, "spec.devices"), &Path::new("spec.devices")),
    }
    errors
}

pub fn validate_template(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if let Some(old) = old {
        check::immutable(&mut errors, &Path::new("spec"), walk::at(object, "spec"), walk::at(old, "spec"));
        return errors;
    }
    let path = Path::new("spec.metadata");
    errors.extend(crate::metadata::validate_labels(walk::at(object, "spec.metadata.labels"), &path.child("labels")));
    errors.extend(crate::metadata::validate_annotations(walk::at(object, "spec.metadata.annotations"), &path.child("annotations")));
    devices(&mut errors, walk::at(object, "spec.spec.devices"), &Path::new("spec.spec.devices"));
    errors
}

fn devices(errors: &mut FieldErrors, claim: &Value, path: &Path) {
    let known = request_names(claim);
    set(errors, walk::list(claim, "requests"), MOST, &path.child("requests"), one_request, |request| walk::text(request, "name"));
    each(errors, walk::list(claim, "constraints"), MOST, &path.child("constraints"), |errors, constraint, path| self::constraint(errors, constraint, &known, path));
    each(errors, walk::list(claim, "config"), MOST, &path.child("config"), |errors, config, path| {
        references(errors, config, &known, path);
        opaque(errors, config, path);
    });
}

fn constraint(errors: &mut FieldErrors, constraint: &Value, known: &Names<'_>, path: &Path) {
    references(errors, constraint, known, path);
    let key = ["matchAttribute", "distinctAttribute"].into_iter().find(|key| !walk::at(constraint, key).is_null());
    match key {
        Some(key) => full_name(errors, walk::text(constraint, key), &path.child(key)),
        None => errors.push(FieldError::required(path, "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set")),
    }
}

fn one_request(errors: &mut FieldErrors, request: &Value, path: &Path) {
    let name = walk::text(request, "name");
    check::syntax(errors, &path.child("name"), name, names::dns1123_label(name));
    let (exactly, alternatives) = (walk::at(request, "exactly"), walk::list(request, "firstAvailable"));
    match (exactly.is_object(), alternatives.is_empty()) {
        (false, true) => errors.push(FieldError::required(path, ONE_OF)),
        (true, false) => errors.push(FieldError::invalid(path, Value::Null, format!("{ONE_OF}, but multiple fields are set"))),
        (true, true) => wanted(errors, exactly, &path.child("exactly")),
        (false, false) => set(errors, alternatives, MOST_ALTERNATIVES, &path.child("firstAvailable"), alternative, |other| walk::text(other, "name")),
    }
}

fn alternative(errors: &mut FieldErrors, other: &Value, path: &Path) {
    let name = walk::text(other, "name");
    check::syntax(errors, &path.child("name"), name, names::dns1123_label(name));
    wanted(errors, other, path);
}

fn wanted(errors: &mut FieldErrors, wanted: &Value, path: &Path) {
    check::required_name(errors, &path.child("deviceClassName"), walk::text(wanted, "deviceClassName"), names::dns1123_subdomain);
    selectors(errors, wanted, path);
    let (mode, count) = (walk::text(wanted, "allocationMode"), walk::int(wanted, "count"));
    match mode {
        "All" if count != 0 => errors.push(FieldError::invalid(&path.child("count"), count, "must not be specified when allocationMode is 'All'")),
        "ExactCount" if count <= 0 => errors.push(FieldError::invalid(&path.child("count"), count, "must be greater than zero")),
        "All" | "ExactCount" => {}
        other => errors.push(FieldError::not_supported(&path.child("allocationMode"), other, &["All", "ExactCount"])),
    }
    for (i, one) in walk::list(wanted, "tolerations").iter().enumerate() {
        toleration(errors, one, &path.child("tolerations").index(i));
    }
}

fn selectors(errors: &mut FieldErrors, owner: &Value, path: &Path) {
    each(errors, walk::list(owner, "selectors"), MOST, &path.child("selectors"), |errors, selector, path| {
        let path = path.child("cel");
        if walk::at(selector, "cel").is_object() {
            errors.extend(expression(walk::text(selector, "cel.expression"), &path.child("expression")));
        } else {
            errors.push(FieldError::required(&path, ""));
        }
    });
}

fn expression(text: &str, path: &Path) -> Option<FieldError> {
    if text.len() > LONGEST_EXPRESSION {
        return Some(FieldError::too_long(path, LONGEST_EXPRESSION));
    }
    match cel::compile_selector(text) {
        Err(e) => Some(FieldError::invalid(path, text, e)),
        Ok(selector) if selector.estimate().max > cel::SELECTOR_MAX_COST => Some(FieldError::forbidden(path, "too complex, exceeds cost limit")),
        Ok(_) => None,
    }
}

fn references(errors: &mut FieldErrors, owner: &Value, known: &Names<'_>, path: &Path) {
    texts(errors, walk::list(owner, "requests"), MOST, &path.child("requests"), |errors, name, path| reference(errors, name, known, path));
}

/// The name of a request, or of one of its alternatives.
pub fn reference(errors: &mut FieldErrors, name: &str, known: &Names<'_>, path: &Path) {
    let (request, sub) = name.split_once('/').map_or((name, None), |(request, sub)| (request, Some(sub)));
    if sub.is_some_and(|sub| sub.contains('/')) {
        return errors.push(FieldError::invalid(path, name, REFERENCE));
    }
    for part in [Some(request), sub].into_iter().flatten() {
        check::syntax(errors, path, part, names::dns1123_label(part));
    }
    if known.get(request).is_none_or(|subs| sub.is_some_and(|sub| !subs.contains(sub))) {
        errors.push(FieldError::invalid(path, name, REFERENCE));
    }
}

/// A class whose selectors stay as they were is not compiled anew.
pub fn class(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    if old.is_none_or(|old| walk::at(old, "spec.selectors") != walk::at(spec, "selectors")) {
        selectors(&mut errors, spec, &path);
    }
    each(&mut errors, walk::list(spec, "config"), MOST, &path.child("config"), opaque);
    if let Some(name) = walk::at(spec, "extendedResourceName").as_str().filter(|n| !crate::core::pod::resources::is_extended(n)) {
        errors.push(FieldError::invalid(&path.child("extendedResourceName"), name, "must be a valid extended resource name"));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn selectors_are_compiled() {
        let class = |expression: &str| {
            let mut errors = FieldErrors::new();
            selectors(&mut errors, &json!({"selectors": [{"cel": {"expression": expression}}]}), &Path::new("spec"));
            errors.iter().map(|e| e.to_string()).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(class("device.driver == 'gpu.example.com'"), "");
        assert!(class("device.x").starts_with("spec.selectors[0].cel.expression: Invalid value: \"device.x\": compilation failed: ERROR: <input>:1:7: undefined field 'x'"));
        let ten = "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]";
        assert_eq!(class(&format!("{ten}.all(a, {ten}.all(b, {ten}.all(c, {ten}.all(d, {ten}.all(e, {ten}.all(f, true))))))")), "spec.selectors[0].cel.expression: Forbidden: too complex, exceeds cost limit");
    }
}
