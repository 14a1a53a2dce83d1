//! Claims to the parts of a user, one part at a time.

use api::FieldError;
use api::field::Path;
use api::names;
use cel::Program;
use serde_json::{Map, Value};

use crate::configuration::{ClaimMappings, ClaimOrExpression, ExtraMapping};
use crate::expressions::Over;

/// Where a part of the user comes from.
pub enum Mapping {
    Nothing,
    Claim { name: String, prefix: String },
    Expression(Program),
}

/// A part that needs a prefix where it is a claim: the name, the groups.
pub fn prefixed(section: &ClaimOrExpression, is_required: bool, path: &Path, errors: &mut Vec<FieldError>) -> Mapping {
    match (section.claim.as_str(), section.expression.as_str()) {
        ("", "") => {
            if is_required {
                errors.push(FieldError::required(path, "claim or expression is required"));
            }
            Mapping::Nothing
        }
        ("", expression) => {
            if let Some(prefix) = &section.prefix {
                errors.push(FieldError::invalid(&path.child("prefix"), prefix.clone(), "may not be specified when expression is set"));
            }
            Over::Claims.compile(expression, false, &path.child("expression"), errors).map_or(Mapping::Nothing, Mapping::Expression)
        }
        (name, "") => {
            if section.prefix.is_none() {
                errors.push(FieldError::required(&path.child("prefix"), "prefix is required when claim is set. It can be set to an empty string to disable prefixing"));
            }
            Mapping::Claim { name: name.to_owned(), prefix: section.prefix.clone().unwrap_or_default() }
        }
        _ => {
            errors.push(FieldError::invalid(path, "", "claim and expression can't both be set"));
            Mapping::Nothing
        }
    }
}

/// The uid, which has no prefix.
pub fn plain(section: &ClaimOrExpression, path: &Path, errors: &mut Vec<FieldError>) -> Mapping {
    let prefix = section.prefix.clone().or_else(|| (!section.claim.is_empty()).then(String::new));
    prefixed(&ClaimOrExpression { prefix, ..section.clone() }, false, path, errors)
}

/// Further facts by their keys.
pub fn extra(sections: &[ExtraMapping], path: &Path, errors: &mut Vec<FieldError>) -> Vec<(String, Program)> {
    let mut programs = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for (i, section) in sections.iter().enumerate() {
        let (at, key) = (path.index(i), section.key.as_str());
        check_key(key, &at.child("key"), errors);
        if seen.contains(&key) {
            errors.push(FieldError::duplicate(&at.child("key"), key));
            continue;
        }
        seen.push(key);
        if section.value_expression.is_empty() {
            errors.push(FieldError::required(&at.child("valueExpression"), ""));
        } else if let Some(program) = Over::Claims.compile(&section.value_expression, false, &at.child("valueExpression"), errors) {
            programs.push((key.to_owned(), program));
        }
    }
    programs
}

/// Upstream: apimachinery `pkg/util/validation`, `IsDomainPrefixedPath`.
fn check_key(key: &str, path: &Path, errors: &mut Vec<FieldError>) {
    match key.split_once('/') {
        _ if key.is_empty() => errors.push(FieldError::required(path, "")),
        Some((domain, rest)) if !domain.is_empty() && !rest.is_empty() => {
            errors.extend(names::dns1123_subdomain(domain).into_iter().map(|why| FieldError::invalid(path, domain, why)));
            if !rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b)) {
                errors.push(FieldError::invalid(path, rest, "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"));
            }
            if ["kubernetes.io", "k8s.io"].iter().any(|own| domain == *own || domain.ends_with(&format!(".{own}"))) {
                errors.push(FieldError::invalid(path, key, "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"));
            }
        }
        _ => errors.push(FieldError::invalid(path, key, "must be a domain-prefixed path (such as \"acme.io/foo\")")),
    }
    if key != key.to_lowercase() {
        errors.push(FieldError::invalid(path, key, "must be lowercase"));
    }
}

/// An address counts only where somebody looked at whether it is verified.
pub fn check_email(mappings: &ClaimMappings, rules: &[crate::configuration::ClaimValidationRule], path: &Path, errors: &mut Vec<FieldError>) {
    let name = mappings.username.expression.as_str();
    let mut readers = std::iter::once(name).chain(mappings.extra.iter().map(|e| e.value_expression.as_str())).chain(rules.iter().map(|r| r.expression.as_str()));
    if Over::Claims.reads(name, "email") && !readers.any(|source| Over::Claims.reads(source, "email_verified")) {
        let why = "claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression";
        errors.push(FieldError::invalid(&path.child("username").child("expression"), name, why));
    }
}

impl Mapping {
    /// One text; none where nothing is mapped.
    pub fn text(&self, what: &str, claims: &Value) -> Result<Option<String>, String> {
        match self {
            Self::Nothing => Ok(None),
            Self::Claim { name, prefix } => match &claims[name] {
                Value::String(text) => Ok(Some(format!("{prefix}{text}"))),
                Value::Null => Err(format!("oidc: parse {what} claims {name:?}: claim not present")),
                _ => Err(format!("oidc: parse {what} claims {name:?}: it is no string")),
            },
            Self::Expression(program) => match Over::Claims.evaluate(program, claims)? {
                Value::String(text) => Ok(Some(text)),
                _ => Err(format!("oidc: error evaluating {what} claim expression: {what} claim expression must return a string")),
            },
        }
    }

    /// Any number of texts.
    pub fn texts(&self, what: &str, claims: &Value) -> Result<Vec<String>, String> {
        match self {
            Self::Nothing => Ok(Vec::new()),
            Self::Claim { name, prefix } => match claims.get(name) {
                None => Ok(Vec::new()),
                Some(found) => {
                    let found = strings(found).ok_or_else(|| format!("oidc: parse {what} claim {name:?}: it is neither a string nor a list of strings"))?;
                    Ok(found.into_iter().map(|text| format!("{prefix}{text}")).collect())
                }
            },
            Self::Expression(program) => expressed(program, claims).map_err(|why| format!("oidc: error evaluating {what} claim expression: {why}")),
        }
    }
}

/// What an expression gives; empty texts count as none.
pub fn expressed(program: &Program, claims: &Value) -> Result<Vec<String>, String> {
    let value = Over::Claims.evaluate(program, claims)?;
    if value.is_null() {
        return Ok(Vec::new());
    }
    let found = strings(&value).ok_or("expression must return a string or a list of strings")?;
    Ok(found.into_iter().filter(|text| !text.is_empty()).collect())
}

fn strings(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => many.iter().map(|v| v.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// Claims as expressions see them.
pub fn as_value(claims: &Map<String, Value>) -> Value {
    Value::Object(claims.clone())
}
