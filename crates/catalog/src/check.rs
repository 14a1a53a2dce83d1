//! Checks that many kinds share; each adds the faults it finds, in upstream's words, and goes on.
//!
//! Upstream: apimachinery `pkg/api/validation` and `pkg/apis/meta/v1/validation`.

use api::field::{FieldError, FieldErrors, Path};
use api::names::{self, Faults};
use quantity::Quantity;
use serde_json::Value;

use crate::walk;

pub const NEGATIVE: &str = "must be greater than or equal to 0";
pub const IMMUTABLE: &str = "field is immutable";

/// Adds what a syntax check found.
pub fn syntax(errors: &mut FieldErrors, path: &Path, value: &str, faults: Faults) {
    errors.extend(faults.into_iter().map(|fault| FieldError::invalid(path, value, fault)));
}

/// A name that must be there and be right.
pub fn required_name(errors: &mut FieldErrors, path: &Path, value: &str, rule: fn(&str) -> Faults) {
    if value.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else {
        syntax(errors, path, value, rule(value));
    }
}

/// A name that may be left out.
pub fn optional_name(errors: &mut FieldErrors, path: &Path, value: &str, rule: fn(&str) -> Faults) {
    if !value.is_empty() {
        syntax(errors, path, value, rule(value));
    }
}

pub fn non_negative(errors: &mut FieldErrors, object: &Value, key: &str, path: &Path) {
    let number = walk::int(object, key);
    if number < 0 {
        errors.push(FieldError::invalid(&path.child(key), number, NEGATIVE));
    }
}

/// One of a few words, in upstream's (sorted) order.
pub fn one_of(errors: &mut FieldErrors, path: &Path, value: &str, supported: &[&str]) {
    if value.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !supported.contains(&value) {
        errors.push(FieldError::not_supported(path, value, supported));
    }
}

/// One of a few words, or nothing.
pub fn maybe_one_of(errors: &mut FieldErrors, path: &Path, value: &str, supported: &[&str]) {
    if !value.is_empty() && !supported.contains(&value) {
        errors.push(FieldError::not_supported(path, value, supported));
    }
}

/// One of a few words where upstream keeps a pointer: nothing is given, or a word, and an empty one is a word too.
pub fn given_one_of(errors: &mut FieldErrors, path: &Path, value: &Value, supported: &[&str]) {
    match value.as_str() {
        Some(word) if !supported.contains(&word) => errors.push(FieldError::not_supported(path, word, supported)),
        _ => {}
    }
}

pub fn immutable(errors: &mut FieldErrors, path: &Path, new: &Value, old: &Value) {
    if new != old {
        errors.push(FieldError::invalid(path, new.clone(), IMMUTABLE));
    }
}

/// `values` of texts must each be there once.
pub fn unique<'a>(errors: &mut FieldErrors, values: impl Iterator<Item = (Path, &'a str)>) {
    let mut seen = std::collections::HashSet::new();
    for (path, value) in values {
        if !value.is_empty() && !seen.insert(value) {
            errors.push(FieldError::duplicate(&path, value));
        }
    }
}

/// A label selector's syntax.
pub fn label_selector(errors: &mut FieldErrors, selector: &Value, path: &Path) {
    self::selector(errors, selector, path, false);
}

/// A label selector's syntax; `any_value` where older objects may ask for values that no label has.
pub fn selector(errors: &mut FieldErrors, selector: &Value, path: &Path, any_value: bool) {
    errors.extend(crate::metadata::validate_labels(walk::at(selector, "matchLabels"), &path.child("matchLabels")));
    for (i, expression) in walk::list(selector, "matchExpressions").iter().enumerate() {
        let path = path.child("matchExpressions").index(i);
        let (key, values) = (walk::text(expression, "key"), walk::list(expression, "values"));
        match walk::text(expression, "operator") {
            "In" | "NotIn" if values.is_empty() => errors.push(FieldError::required(&path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'")),
            "In" | "NotIn" => {}
            "Exists" | "DoesNotExist" if !values.is_empty() => errors.push(FieldError::forbidden(&path.child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")),
            "Exists" | "DoesNotExist" => {}
            other => errors.push(FieldError::invalid(&path.child("operator"), other, "not a valid selector operator")),
        }
        syntax(errors, &path.child("key"), key, names::qualified_name(key));
        for (j, value) in values.iter().filter_map(Value::as_str).enumerate().filter(|_| !any_value) {
            syntax(errors, &path.child("values").index(j), value, names::label_value(value));
        }
    }
}

pub fn is_empty_selector(selector: &Value) -> bool {
    walk::map(selector, "matchLabels").is_none_or(|m| m.is_empty()) && walk::list(selector, "matchExpressions").is_empty()
}

/// Conditions of the common form. Upstream: `ValidateConditions`.
pub fn conditions(errors: &mut FieldErrors, conditions: &[Value], list: &Path) {
    for (i, condition) in conditions.iter().enumerate() {
        let (path, kind) = (list.index(i), walk::text(condition, "type"));
        if conditions[..i].iter().any(|other| walk::text(other, "type") == kind) {
            errors.push(FieldError::duplicate(&path.child("type"), kind));
        }
        syntax(errors, &path.child("type"), kind, names::qualified_name(kind));
        let status = walk::text(condition, "status");
        if !matches!(status, "False" | "True" | "Unknown") {
            errors.push(FieldError::not_supported(&path.child("status"), status, &["False", "True", "Unknown"]));
        }
        let generation = walk::int(condition, "observedGeneration");
        if generation < 0 {
            errors.push(FieldError::invalid(&path.child("observedGeneration"), generation, "must be greater than or equal to zero"));
        }
        required(errors, condition, "lastTransitionTime", &path, "must be set");
        let reason = walk::text(condition, "reason");
        required(errors, condition, "reason", &path, "must be set");
        if !reason.is_empty() {
            syntax(errors, &path.child("reason"), reason, names::condition_reason(reason));
        }
        for (key, most) in [("reason", 1024), ("message", 32768)] {
            if walk::text(condition, key).len() > most {
                errors.push(FieldError::too_long(&path.child(key), most));
            }
        }
    }
}

/// A port by number or name.
pub fn port(errors: &mut FieldErrors, path: &Path, port: &Value) {
    match port {
        Value::String(name) => syntax(errors, path, name, names::port_name(name)),
        other => {
            let number = other.as_i64().unwrap_or_default();
            errors.extend(names::port_number(number).into_iter().map(|fault| FieldError::invalid(path, number, fault)));
        }
    }
}

pub fn amount(value: &Value) -> Option<Quantity> {
    value.as_str().and_then(|text| text.parse().ok())
}

/// A count or a percentage; upstream: `ValidatePositiveIntOrPercent`.
pub fn count_or_percent(errors: &mut FieldErrors, path: &Path, value: &Value) {
    match value {
        Value::String(text) if !is_percent(text) => {
            let fault = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";
            errors.push(FieldError::invalid(path, text.as_str(), fault));
        }
        Value::Number(number) if number.as_i64().is_some_and(|n| n < 0) => errors.push(FieldError::invalid(path, number.as_i64().unwrap_or_default(), NEGATIVE)),
        _ => {}
    }
}

fn is_percent(text: &str) -> bool {
    text.strip_suffix('%').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// The percentage a text says; none for counts.
pub fn percent(value: &Value) -> Option<i64> {
    value.as_str().filter(|t| is_percent(t)).and_then(|t| t.trim_end_matches('%').parse().ok())
}

pub fn not_over_100_percent(errors: &mut FieldErrors, path: &Path, value: &Value) {
    if percent(value).is_some_and(|p| p > 100) {
        errors.push(FieldError::invalid(path, value.clone(), "must not be greater than 100%"));
    }
}

/// Nothing, neither as a count nor as a percentage.
pub fn is_zero(value: &Value) -> bool {
    value.is_null() || value.as_i64() == Some(0) || percent(value) == Some(0)
}

/// Upstream: `field.NewPath("")` prints so.
pub fn nameless() -> Path {
    Path::new("[]")
}

/// Required and not empty.
pub fn required(errors: &mut FieldErrors, object: &Value, key: &str, path: &Path, detail: &str) {
    if walk::text(object, key).is_empty() {
        errors.push(FieldError::required(&path.child(key), detail));
    }
}

/// Such as `acme.io/foo`. Upstream: `IsDomainPrefixedPath`.
pub fn domain_prefixed_path(errors: &mut FieldErrors, path: &Path, value: &str) {
    const RULE: &str = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+";
    if value.is_empty() {
        return errors.push(FieldError::required(path, ""));
    }
    let Some((host, rest)) = value.split_once('/').filter(|(host, rest)| !host.is_empty() && !rest.is_empty()) else {
        return errors.push(FieldError::invalid(path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")"));
    };
    syntax(errors, path, host, names::dns1123_subdomain(host));
    if !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
        errors.push(FieldError::invalid(path, rest, format!("Invalid path (regex used for validation is '{RULE}')")));
    }
}
