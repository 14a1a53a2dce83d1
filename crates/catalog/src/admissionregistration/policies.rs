//! What admission policies and their bindings may say.
//!
//! Upstream: `pkg/apis/admissionregistration/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::{expressions, rules};
use crate::check;
use crate::walk;

const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];
const MAX_ANNOTATIONS: usize = 20;
const MAX_ANNOTATION_EXPRESSION: usize = 5 * 1024;

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let mutating = walk::text(object, "kind").starts_with("Mutating");
    check::one_of(&mut errors, &path.child("failurePolicy"), walk::text(spec, "failurePolicy"), &rules::FAILURE_POLICIES);
    if spec["paramKind"].is_object() {
        param_kind(&mut errors, &spec["paramKind"], &path.child("paramKind"));
    }
    let constraints = &spec["matchConstraints"];
    let at = path.child("matchConstraints");
    if constraints.is_object() {
        rules::match_resources(&mut errors, constraints, &at);
        if walk::list(constraints, "resourceRules").is_empty() {
            errors.push(FieldError::required(&at.child("resourceRules"), ""));
        }
    } else {
        errors.push(FieldError::required(&at, ""));
    }
    let same = |key: &str| old.is_some_and(|old| old["spec"][key] == spec[key]);
    if !(same("matchConditions") && same("paramKind")) {
        let conditions = walk::list(spec, "matchConditions");
        rules::match_conditions(&mut errors, conditions, &path.child("matchConditions"));
        expressions::check_conditions(&mut errors, conditions, spec["paramKind"].is_object(), &path.child("matchConditions"));
    }
    for (i, variable) in walk::list(spec, "variables").iter().enumerate() {
        validate_variable(&mut errors, variable, &path.child("variables").index(i));
    }
    if mutating { mutations(&mut errors, spec, &path) } else { validations(&mut errors, object, &path) }
    if !["variables", "validations", "auditAnnotations", "mutations", "paramKind"].iter().all(|key| same(key)) {
        expressions::check_policy(&mut errors, spec, &path);
    }
    errors
}

fn param_kind(errors: &mut FieldErrors, kind: &Value, path: &Path) {
    let api_version = walk::text(kind, "apiVersion");
    let at = path.child("apiVersion");
    match api_version.split('/').collect::<Vec<_>>().as_slice() {
        [""] => errors.push(FieldError::required(&at, "")),
        [version] | ["", version] => group_version(errors, &at, api_version, "", version),
        [group, version] => group_version(errors, &at, api_version, group, version),
        _ => errors.push(FieldError::invalid(&at, api_version, format!("unexpected GroupVersion string: {api_version}"))),
    }
    let name = walk::text(kind, "kind");
    let faults = names::dns1035_label(&name.to_lowercase());
    if name.is_empty() {
        errors.push(FieldError::required(&path.child("kind"), ""));
    } else if !faults.is_empty() {
        errors.push(FieldError::invalid(&path.child("kind"), name, format!("may have mixed case, but should otherwise match: {}", faults.join(","))));
    }
}

fn group_version(errors: &mut FieldErrors, path: &Path, whole: &str, group: &str, version: &str) {
    let faults = names::dns1123_subdomain(group);
    if !group.is_empty() && !faults.is_empty() {
        errors.push(FieldError::invalid(path, group, faults.join(",")));
    }
    let faults = names::dns1035_label(version);
    if version.is_empty() {
        errors.push(FieldError::invalid(path, whole, "version must be specified"));
    } else if !faults.is_empty() {
        errors.push(FieldError::invalid(path, version, faults.join(",")));
    }
}

fn validate_variable(errors: &mut FieldErrors, variable: &Value, path: &Path) {
    let name = walk::text(variable, "name");
    if name.trim().is_empty() {
        errors.push(FieldError::required(&path.child("name"), "name is not specified"));
    } else if !is_identifier(name) {
        errors.push(FieldError::invalid(&path.child("name"), name, "name is not a valid CEL identifier"));
    }
    if walk::text(variable, "expression").trim().is_empty() {
        errors.push(FieldError::required(&path.child("expression"), "expression is not specified"));
    }
}

fn is_identifier(name: &str) -> bool {
    const RESERVED: [&str; 21] = [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
    ];
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic()) && letters.all(|c| c == '_' || c.is_ascii_alphanumeric()) && !RESERVED.contains(&name)
}

fn validations(errors: &mut FieldErrors, object: &Value, path: &Path) {
    let spec = &object["spec"];
    let (rules, annotations) = (walk::list(spec, "validations"), walk::list(spec, "auditAnnotations"));
    if rules.is_empty() && annotations.is_empty() {
        for key in ["validations", "auditAnnotations"] {
            errors.push(FieldError::required(&path.child(key), "validations or auditAnnotations must contain at least one item"));
        }
        return;
    }
    for (i, rule) in rules.iter().enumerate() {
        validation(errors, rule, &path.child("validations").index(i));
    }
    let at = path.child("auditAnnotations");
    if annotations.len() > MAX_ANNOTATIONS {
        errors.push(FieldError::invalid(&at, spec["auditAnnotations"].clone(), format!("must not have more than {MAX_ANNOTATIONS} auditAnnotations")));
    }
    let mut seen = HashSet::new();
    for (i, annotation) in annotations.iter().enumerate() {
        let key = walk::text(annotation, "key");
        audit_annotation(errors, api::meta::name(object), annotation, &at.index(i));
        if !seen.insert(key) {
            errors.push(FieldError::duplicate(&at.index(i).child("key"), key));
        }
    }
}

fn validation(errors: &mut FieldErrors, rule: &Value, path: &Path) {
    let (expression, message, made) = (walk::text(rule, "expression"), walk::text(rule, "message"), walk::text(rule, "messageExpression"));
    if expression.trim().is_empty() {
        errors.push(FieldError::required(&path.child("expression"), "expression is not specified"));
    }
    if !made.is_empty() && made.trim().is_empty() {
        errors.push(FieldError::invalid(&path.child("messageExpression"), made, "must be non-empty if specified"));
    }
    if !message.is_empty() && message.trim().is_empty() {
        errors.push(FieldError::invalid(&path.child("message"), message, "message must be non-empty if specified"));
    } else if message.trim().contains(['\n', '\r']) {
        errors.push(FieldError::invalid(&path.child("message"), message, "message must not contain line breaks"));
    }
    check::maybe_one_of(errors, &path.child("reason"), walk::text(rule, "reason"), &REASONS);
}

fn audit_annotation(errors: &mut FieldErrors, owner: &str, annotation: &Value, path: &Path) {
    let key = walk::text(annotation, "key");
    if owner.is_empty() {
        errors.push(FieldError::invalid(&path.child("key"), key, "requires metadata.name be non-empty"));
    } else {
        let whole = format!("{owner}/{key}");
        check::syntax(errors, &path.child("key"), &whole, names::qualified_name(&whole));
    }
    let (at, expression) = (path.child("valueExpression"), walk::text(annotation, "valueExpression").trim());
    if expression.is_empty() {
        errors.push(FieldError::required(&at, "valueExpression is not specified"));
    } else if expression.len() > MAX_ANNOTATION_EXPRESSION {
        errors.push(FieldError::required(&at, format!("must not exceed {MAX_ANNOTATION_EXPRESSION} bytes in length")));
    }
}

fn mutations(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let at = path.child("mutations");
    let mutations = walk::list(spec, "mutations");
    if mutations.is_empty() {
        errors.push(FieldError::required(&at, "mutations must contain at least one item"));
    }
    for (i, mutation) in mutations.iter().enumerate() {
        let at = at.index(i);
        let (apply, patch) = (&mutation["applyConfiguration"], &mutation["jsonPatch"]);
        match walk::text(mutation, "patchType") {
            "ApplyConfiguration" => expression(errors, apply, patch, &at, ("applyConfiguration", "jsonPatch", "ApplyConfiguration")),
            "JSONPatch" => expression(errors, patch, apply, &at, ("jsonPatch", "applyConfiguration", "JSONPatch")),
            "" => errors.push(FieldError::required(&at.child("patchType"), "")),
            other => errors.push(FieldError::not_supported(&at.child("patchType"), other, &["ApplyConfiguration", "JSONPatch"])),
        }
    }
    check::one_of(errors, &path.child("reinvocationPolicy"), walk::text(spec, "reinvocationPolicy"), &["IfNeeded", "Never"]);
}

fn expression(errors: &mut FieldErrors, own: &Value, other: &Value, path: &Path, (name, other_name, kind): (&str, &str, &str)) {
    if own.is_object() {
        if walk::text(own, "expression").trim().is_empty() {
            errors.push(FieldError::required(&path.child(name).child("expression"), "expression is not specified"));
        }
    } else {
        errors.push(FieldError::required(&path.child(name), format!("must be specified when patchType is {kind}")));
    }
    if other.is_object() {
        errors.push(FieldError::invalid(&path.child(other_name), other.clone(), format!("must not be specified when patchType is {kind}")));
    }
}

pub fn validate_binding(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (&object["spec"], Path::new("spec"));
    check::required_name(&mut errors, &path.child("policyName"), walk::text(spec, "policyName"), names::dns1123_subdomain);
    if spec["paramRef"].is_object() {
        param_ref(&mut errors, &spec["paramRef"], &path.child("paramRef"));
    }
    // Upstream: the path is misspelt there too.
    rules::match_resources(&mut errors, &spec["matchResources"], &path.child("matchResouces"));
    if !walk::text(object, "kind").starts_with("Mutating") {
        actions(&mut errors, &spec["validationActions"], &path.child("validationActions"));
    }
    errors
}

fn param_ref(errors: &mut FieldErrors, reference: &Value, path: &Path) {
    let (name, selector) = (walk::text(reference, "name"), &reference["selector"]);
    if !name.is_empty() {
        check::syntax(errors, &path.child("name"), name, names::path_segment(name));
        if selector.is_object() {
            errors.push(FieldError::forbidden(&path.child("name"), "name and selector are mutually exclusive"));
        }
    }
    if selector.is_object() {
        check::label_selector(errors, selector, &path.child("selector"));
        if !name.is_empty() {
            errors.push(FieldError::forbidden(&path.child("selector"), "name and selector are mutually exclusive"));
        }
    }
    if name.is_empty() && !selector.is_object() {
        errors.push(FieldError::required(path, "one of name or selector must be specified"));
    }
    check::one_of(errors, &path.child("parameterNotFoundAction"), walk::text(reference, "parameterNotFoundAction"), &["Deny", "Allow"]);
}

fn actions(errors: &mut FieldErrors, value: &Value, path: &Path) {
    let actions: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut seen = HashSet::new();
    for (i, action) in actions.iter().enumerate() {
        if !ACTIONS.contains(action) {
            errors.push(FieldError::not_supported(&path.index(i), *action, &ACTIONS));
        }
        if !seen.insert(action) {
            errors.push(FieldError::duplicate(&path.index(i), *action));
        }
    }
    if actions.contains(&"Deny") && actions.contains(&"Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)";
        errors.push(FieldError::invalid(path, value.clone(), why));
    }
    if actions.is_empty() {
        errors.push(FieldError::required(path, "at least one validation action is required"));
    }
}
