//! What admission policies and their bindings may say.
//!
//! Upstream: `pkg/apis/admissionregistration/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::expressions::{self, Gives};
use super::rules;
use crate::{check, walk};

const REASONS: [&str; 3] = ["Forbidden", "Invalid", "RequestEntityTooLarge"];
const ACTIONS: [&str; 3] = ["Audit", "Deny", "Warn"];
const MAX_ANNOTATIONS: usize = 20;
const MAX_ANNOTATION_EXPRESSION: usize = 5 * 1024;

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let mutating = walk::text(object, "kind").starts_with("Mutating");
    check::given_one_of(&mut errors, &path.child("failurePolicy"), &spec["failurePolicy"], &rules::FAILURE_POLICIES);
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
        if mutating {
            mutable_operations(&mut errors, constraints, &at);
        }
    } else {
        errors.push(FieldError::required(&at, ""));
    }
    let same = |key: &str| old.is_some_and(|old| old["spec"][key] == spec[key]);
    if !(same("matchConditions") && same("paramKind")) {
        let conditions = walk::list(spec, "matchConditions");
        rules::match_conditions(&mut errors, conditions, spec["paramKind"].is_object(), &path.child("matchConditions"));
    }
    // What compiled before compiles again.
    let known = ["variables", "validations", "auditAnnotations", "mutations", "paramKind"].iter().all(|key| same(key));
    let mut asked = Asked { errors, compiler: (!known).then(|| expressions::Policy::of(spec)) };
    for (i, variable) in walk::list(spec, "variables").iter().enumerate() {
        asked.variable(variable, &path.child("variables").index(i));
    }
    if mutating { asked.mutations(spec, &path) } else { asked.validations(object, &path) }
    asked.errors
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

/// What is deleted cannot be changed.
fn mutable_operations(errors: &mut FieldErrors, resources: &Value, path: &Path) {
    const SUPPORTED: [&str; 4] = ["*", "CONNECT", "CREATE", "UPDATE"];
    let operations = walk::list(resources, "resourceRules").iter().flat_map(|rule| walk::list(rule, "operations")).filter_map(Value::as_str);
    let at = path.child("resourceRules").child("operations");
    errors.extend(operations.filter(|o| !SUPPORTED.contains(o)).map(|o| FieldError::not_supported(&at, o, &SUPPORTED)));
}

fn is_identifier(name: &str) -> bool {
    const RESERVED: [&str; 21] = [
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while",
    ];
    let mut letters = name.chars();
    letters.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic()) && letters.all(|c| c == '_' || c.is_ascii_alphanumeric()) && !RESERVED.contains(&name)
}

/// The parts of a policy that compute something.
struct Asked {
    errors: FieldErrors,
    /// None where the expressions are known to be good.
    compiler: Option<expressions::Policy>,
}

impl Asked {
    fn value(&mut self, path: &Path, expression: &str, gives: Gives) {
        if let Some(compiler) = &self.compiler {
            compiler.value(&mut self.errors, path, expression, gives);
        }
    }

    fn invalid(&mut self, path: &Path, value: &str, why: impl Into<String>) {
        self.errors.push(FieldError::invalid(path, value, why));
    }

    fn required(&mut self, path: &Path, why: impl Into<String>) {
        self.errors.push(FieldError::required(path, why));
    }

    fn variable(&mut self, variable: &Value, path: &Path) {
        let (name, expression) = (walk::text(variable, "name"), walk::text(variable, "expression"));
        if name.trim().is_empty() {
            self.required(&path.child("name"), "name is not specified");
        } else if !is_identifier(name) {
            self.invalid(&path.child("name"), name, "name is not a valid CEL identifier");
        }
        let at = path.child("expression");
        if expression.trim().is_empty() {
            self.required(&at, "expression is not specified");
        } else if let Some(compiler) = &mut self.compiler {
            compiler.variable(&mut self.errors, &at, name, expression);
        }
    }

    fn validations(&mut self, object: &Value, path: &Path) {
        let spec = &object["spec"];
        let (rules, annotations) = (walk::list(spec, "validations"), walk::list(spec, "auditAnnotations"));
        if rules.is_empty() && annotations.is_empty() {
            for key in ["validations", "auditAnnotations"] {
                self.required(&path.child(key), "validations or auditAnnotations must contain at least one item");
            }
            return;
        }
        for (i, rule) in rules.iter().enumerate() {
            self.validation(rule, &path.child("validations").index(i));
        }
        let at = path.child("auditAnnotations");
        if annotations.len() > MAX_ANNOTATIONS {
            self.errors.push(FieldError::invalid(&at, spec["auditAnnotations"].clone(), format!("must not have more than {MAX_ANNOTATIONS} auditAnnotations")));
        }
        let mut seen = HashSet::new();
        for (i, annotation) in annotations.iter().enumerate() {
            let key = walk::text(annotation, "key");
            self.audit_annotation(api::meta::name(object), annotation, &at.index(i));
            if !seen.insert(key) {
                self.errors.push(FieldError::duplicate(&at.index(i).child("key"), key));
            }
        }
    }

    fn validation(&mut self, rule: &Value, path: &Path) {
        let (expression, message, made) = (walk::text(rule, "expression"), walk::text(rule, "message"), walk::text(rule, "messageExpression"));
        if expression.trim().is_empty() {
            self.required(&path.child("expression"), "expression is not specified");
        } else {
            self.value(&path.child("expression"), expression, Gives::Truth);
        }
        let at = path.child("messageExpression");
        if !made.is_empty() && made.trim().is_empty() {
            self.invalid(&at, made, "must be non-empty if specified");
        } else if let Some(compiler) = &self.compiler {
            compiler.message(&mut self.errors, &at, made);
        }
        if !message.is_empty() && message.trim().is_empty() {
            self.invalid(&path.child("message"), message, "message must be non-empty if specified");
        } else if message.trim().contains(['\n', '\r']) {
            self.invalid(&path.child("message"), message, "message must not contain line breaks");
        }
        check::given_one_of(&mut self.errors, &path.child("reason"), &rule["reason"], &REASONS);
    }

    fn audit_annotation(&mut self, owner: &str, annotation: &Value, path: &Path) {
        let key = walk::text(annotation, "key");
        if owner.is_empty() {
            self.invalid(&path.child("key"), key, "requires metadata.name be non-empty");
        } else {
            let whole = format!("{owner}/{key}");
            check::syntax(&mut self.errors, &path.child("key"), &whole, names::qualified_name(&whole));
        }
        let (at, given) = (path.child("valueExpression"), walk::text(annotation, "valueExpression"));
        let before = self.errors.len();
        match given.trim() {
            "" => self.required(&at, "valueExpression is not specified"),
            long if long.len() > MAX_ANNOTATION_EXPRESSION => self.required(&at, format!("must not exceed {MAX_ANNOTATION_EXPRESSION} bytes in length")),
            expression => self.value(&at, expression, Gives::TextOrNull),
        }
        // Upstream: compiled without the space around it, told with it.
        if let Some(fault) = self.errors[before..].first_mut().filter(|fault| fault.value == given.trim()) {
            fault.value = given.into();
        }
    }

    fn mutations(&mut self, spec: &Value, path: &Path) {
        let at = path.child("mutations");
        let mutations = walk::list(spec, "mutations");
        if mutations.is_empty() {
            self.required(&at, "mutations must contain at least one item");
        }
        for (i, mutation) in mutations.iter().enumerate() {
            let at = at.index(i);
            let (apply, patch) = (("applyConfiguration", Gives::Configuration), ("jsonPatch", Gives::Patch));
            match walk::text(mutation, "patchType") {
                kind @ "ApplyConfiguration" => self.mutation(mutation, &at, kind, apply, patch.0),
                kind @ "JSONPatch" => self.mutation(mutation, &at, kind, patch, apply.0),
                "" => self.required(&at.child("patchType"), ""),
                other => self.errors.push(FieldError::not_supported(&at.child("patchType"), other, &["ApplyConfiguration", "JSONPatch"])),
            }
        }
        check::one_of(&mut self.errors, &path.child("reinvocationPolicy"), walk::text(spec, "reinvocationPolicy"), &["IfNeeded", "Never"]);
    }

    fn mutation(&mut self, mutation: &Value, path: &Path, kind: &str, (own, gives): (&str, Gives), other: &str) {
        if mutation[own].is_object() {
            let at = path.child(own).child("expression");
            match walk::text(&mutation[own], "expression").trim() {
                "" => self.required(&at, ""),
                expression => self.value(&at, expression, gives),
            }
        } else {
            self.required(&path.child(own), format!("must be specified when patchType is {kind}"));
        }
        if mutation[other].is_object() {
            // Upstream: the value is told by its name.
            self.invalid(&path.child(other), &format!("{{{other}}}"), format!("must not be specified when patchType is {kind}"));
        }
    }
}

/// Faults of a write to what is said of a policy's expressions.
pub fn validate_status(object: &Value, _: &Value) -> FieldErrors {
    let (mut errors, path) = (FieldErrors::new(), Path::new("status"));
    for (i, warning) in walk::list(object, "status.typeChecking.expressionWarnings").iter().enumerate() {
        let at = path.child("typeChecking").child("expressionWarnings").index(i);
        check::required(&mut errors, warning, "warning", &at, "");
        let (at, field) = (at.child("fieldRef"), walk::text(warning, "fieldRef").trim());
        if field.is_empty() {
            errors.push(FieldError::required(&at, ""));
        } else if let Err(why) = jsonpath::Template::parse(&format!("{{{field}}}")) {
            errors.push(FieldError::invalid(&at, field, format!("invalid JSONPath: {why}")));
        }
    }
    check::conditions(&mut errors, walk::list(object, "status.conditions"), &path.child("conditions"));
    errors
}

pub fn validate_binding(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (&object["spec"], Path::new("spec"));
    check::required_name(&mut errors, &path.child("policyName"), walk::text(spec, "policyName"), names::dns1123_subdomain);
    if spec["paramRef"].is_object() {
        param_ref(&mut errors, &spec["paramRef"], &path.child("paramRef"));
    }
    let at = path.child("matchResources");
    rules::match_resources(&mut errors, &spec["matchResources"], &at);
    if walk::text(object, "kind").starts_with("Mutating") {
        mutable_operations(&mut errors, &spec["matchResources"], &at);
    } else {
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
