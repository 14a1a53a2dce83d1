//! Claims of devices, their templates and the classes they name.
//!
//! Upstream: `pkg/apis/resource/validation/validation.go`.

use std::collections::{BTreeMap, HashSet};

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::core::persistent_volume_rules::driver_name;
use crate::{check, walk};

const MOST: usize = 32;
const MOST_ALTERNATIVES: usize = 8;
const MOST_CONSUMERS: usize = 256;
const LONGEST_EXPRESSION: usize = 10 << 10;
const LONGEST_PARAMETERS: usize = 10 << 10;
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
type Names<'a> = BTreeMap<&'a str, HashSet<&'a str>>;

fn request_names(devices: &Value) -> Names<'_> {
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

fn bounded<'a>(errors: &mut FieldErrors, object: &'a Value, key: &str, most: usize, path: &Path) -> &'a [Value] {
    let all = walk::list(object, key);
    if all.len() > most {
        errors.push(FieldError::too_many(&path.child(key), all.len(), most));
    }
    all
}

fn devices(errors: &mut FieldErrors, claim: &Value, path: &Path) {
    let known = request_names(claim);
    let requests = bounded(errors, claim, "requests", MOST, path);
    for (i, request) in requests.iter().enumerate() {
        one_request(errors, request, &path.child("requests").index(i));
    }
    check::unique(errors, requests.iter().enumerate().map(|(i, r)| (path.child("requests").index(i).child("name"), walk::text(r, "name"))));
    for (i, constraint) in bounded(errors, claim, "constraints", MOST, path).iter().enumerate() {
        let path = path.child("constraints").index(i);
        references(errors, constraint, &known, &path);
        if ["matchAttribute", "distinctAttribute"].iter().all(|key| walk::text(constraint, key).is_empty()) {
            errors.push(FieldError::required(&path, "exactly one of \"matchAttribute\" or \"distinctAttribute\" is required, but multiple fields are set"));
        }
    }
    for (i, config) in bounded(errors, claim, "config", MOST, path).iter().enumerate() {
        let path = path.child("config").index(i);
        references(errors, config, &known, &path);
        opaque(errors, config, &path);
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
        (false, false) => {
            bounded(errors, request, "firstAvailable", MOST_ALTERNATIVES, path);
            for (i, other) in alternatives.iter().enumerate() {
                let (path, name) = (path.child("firstAvailable").index(i), walk::text(other, "name"));
                check::syntax(errors, &path.child("name"), name, names::dns1123_label(name));
                wanted(errors, other, &path);
            }
            check::unique(errors, alternatives.iter().enumerate().map(|(i, r)| (path.child("firstAvailable").index(i).child("name"), walk::text(r, "name"))));
        }
    }
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
    for (i, toleration) in walk::list(wanted, "tolerations").iter().enumerate() {
        let (path, operator) = (path.child("tolerations").index(i), walk::text(toleration, "operator"));
        check::optional_name(errors, &path.child("key"), walk::text(toleration, "key"), names::qualified_name);
        if !matches!(operator, "Exists" | "Equal") {
            errors.push(FieldError::not_supported(&path.child("operator"), operator, &["Equal", "Exists"]));
        }
        check::maybe_one_of(errors, &path.child("effect"), walk::text(toleration, "effect"), &["NoExecute", "NoSchedule", "None"]);
    }
}

fn selectors(errors: &mut FieldErrors, owner: &Value, path: &Path) {
    for (i, selector) in bounded(errors, owner, "selectors", MOST, path).iter().enumerate() {
        let path = path.child("selectors").index(i).child("cel");
        if !walk::at(selector, "cel").is_object() {
            errors.push(FieldError::required(&path, ""));
            continue;
        }
        errors.extend(expression(walk::text(selector, "cel.expression"), &path.child("expression")));
    }
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
    for (i, reference) in bounded(errors, owner, "requests", MOST, path).iter().filter_map(Value::as_str).enumerate() {
        let path = path.child("requests").index(i);
        let (request, sub) = reference.split_once('/').map_or((reference, None), |(request, sub)| (request, Some(sub)));
        if sub.is_some_and(|sub| sub.contains('/')) {
            errors.push(FieldError::invalid(&path, reference, REFERENCE));
            continue;
        }
        for part in [Some(request), sub].into_iter().flatten() {
            check::syntax(errors, &path, part, names::dns1123_label(part));
        }
        if known.get(request).is_none_or(|subs| sub.is_some_and(|sub| !subs.contains(sub))) {
            errors.push(FieldError::invalid(&path, reference, REFERENCE));
        }
    }
}

fn opaque(errors: &mut FieldErrors, config: &Value, path: &Path) {
    let (opaque, path) = (walk::at(config, "opaque"), path.child("opaque"));
    if !opaque.is_object() {
        return errors.push(FieldError::required(&path, ""));
    }
    driver_name(errors, walk::text(opaque, "driver"), &path.child("driver"));
    let (parameters, path) = (walk::at(opaque, "parameters"), path.child("parameters"));
    match parameters {
        Value::Null => errors.push(FieldError::required(&path, "")),
        Value::Object(_) if parameters.to_string().len() > LONGEST_PARAMETERS => errors.push(FieldError::too_long(&path, LONGEST_PARAMETERS)),
        Value::Object(_) => {}
        other => errors.push(FieldError::invalid(&path, other.clone(), "must be a valid JSON object")),
    }
}

pub fn validate_status(object: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (status, path) = (walk::at(object, "status"), Path::new("status"));
    let consumers = bounded(&mut errors, status, "reservedFor", MOST_CONSUMERS, &path);
    for (i, consumer) in consumers.iter().enumerate() {
        let path = path.child("reservedFor").index(i);
        ["resource", "name", "uid"].iter().for_each(|key| check::required(&mut errors, consumer, key, &path, ""));
    }
    check::unique(&mut errors, consumers.iter().enumerate().map(|(i, c)| (path.child("reservedFor").index(i).child("uid"), walk::text(c, "uid"))));
    let (allocation, before) = (walk::at(status, "allocation"), walk::at(old, "status.allocation"));
    if !consumers.is_empty() && !allocation.is_object() {
        errors.push(FieldError::forbidden(&path.child("reservedFor"), "may not be specified when `allocated` is not set"));
    }
    let added = || consumers.iter().any(|c| !walk::list(old, "status.reservedFor").contains(c));
    if allocation.is_object() && api::meta::is_deleting(object) && added() {
        errors.push(FieldError::forbidden(&path.child("reservedFor"), "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"));
    }
    if allocation.is_object() && before.is_object() {
        check::immutable(&mut errors, &path.child("allocation"), allocation, before);
    } else if allocation.is_object() {
        results(&mut errors, object, allocation, &path.child("allocation").child("devices"));
    }
    errors
}

fn results(errors: &mut FieldErrors, object: &Value, allocation: &Value, path: &Path) {
    let known = request_names(walk::at(object, "spec.devices"));
    for (i, result) in bounded(errors, walk::at(allocation, "devices"), "results", MOST, path).iter().enumerate() {
        let path = path.child("results").index(i);
        let request = walk::text(result, "request");
        if !known.contains_key(request.split('/').next().unwrap_or_default()) {
            errors.push(FieldError::invalid(&path.child("request"), request, REFERENCE));
        }
        driver_name(errors, walk::text(result, "driver"), &path.child("driver"));
        super::slice::pool_name(errors, walk::text(result, "pool"), &path.child("pool"));
        let device = walk::text(result, "device");
        check::syntax(errors, &path.child("device"), device, names::dns1123_label(device));
    }
}

pub fn class(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    selectors(&mut errors, spec, &path);
    for (i, config) in bounded(&mut errors, spec, "config", MOST, &path).iter().enumerate() {
        opaque(&mut errors, config, &path.child("config").index(i));
    }
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
