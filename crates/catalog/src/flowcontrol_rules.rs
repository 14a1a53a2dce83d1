//! Validation of flow schemas and priority levels.
//!
//! Upstream: `pkg/apis/flowcontrol/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::{check, flowcontrol_fixed, walk};

const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];
const HIGHEST_PRECEDENCE: i64 = 10_000;
const MOST_QUEUES: i64 = 10_000_000;
/// Bits of the hash that deals a flow its queues.
const HASH_BITS: u32 = 60;

pub fn flow_schema(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path, name) = (walk::at(object, "spec"), Path::new("spec"), api::meta::name(object));
    let precedence = walk::int(spec, "matchingPrecedence");
    let mut say = |fault: String| errors.push(FieldError::invalid(&path.child("matchingPrecedence"), precedence, fault));
    if precedence <= 0 {
        say("must be a positive value".into());
    }
    if precedence > HIGHEST_PRECEDENCE {
        say(format!("must not be greater than {HIGHEST_PRECEDENCE}"));
    }
    if precedence == 1 && name != "exempt" {
        say("only the schema named 'exempt' may have matchingPrecedence 1".into());
    }
    let method = walk::at(spec, "distinguisherMethod");
    if method.is_object() && !matches!(walk::text(method, "type"), "ByUser" | "ByNamespace") {
        errors.push(FieldError::not_supported(&path.child("distinguisherMethod").child("type"), Value::Null, &["ByNamespace", "ByUser"]).shown_as(flowcontrol_fixed::method(method)));
    }
    let level = path.child("priorityLevelConfiguration").child("name");
    match walk::text(spec, "priorityLevelConfiguration.name") {
        "" => errors.push(FieldError::required(&level, "must reference a priority level")),
        wanted => check::syntax(&mut errors, &level, wanted, names::dns1123_subdomain(wanted)),
    }
    for (i, rule) in walk::list(spec, "rules").iter().enumerate() {
        self::rule(&mut errors, rule, &path.child("rules").index(i));
    }
    flowcontrol_fixed::flow_schema(&mut errors, object);
    errors.extend(conditions(object, object));
    errors
}

fn rule(errors: &mut FieldErrors, rule: &Value, path: &Path) {
    let subjects = walk::list(rule, "subjects");
    if subjects.is_empty() {
        errors.push(FieldError::required(&path.child("subjects"), "subjects must contain at least one value"));
    }
    for (i, subject) in subjects.iter().enumerate() {
        self::subject(errors, subject, &path.child("subjects").index(i));
    }
    let (resources, others) = (walk::list(rule, "resourceRules"), walk::list(rule, "nonResourceRules"));
    if resources.is_empty() && others.is_empty() {
        errors.push(FieldError::required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"));
    }
    for (i, rule) in resources.iter().enumerate() {
        resource_rule(errors, rule, &path.child("resourceRules").index(i));
    }
    for (i, rule) in others.iter().enumerate() {
        other_rule(errors, rule, &path.child("nonResourceRules").index(i));
    }
}

fn subject(errors: &mut FieldErrors, subject: &Value, path: &Path) {
    const KINDS: [(&str, &str); 3] = [("ServiceAccount", "serviceAccount"), ("User", "user"), ("Group", "group")];
    let kind = walk::text(subject, "kind");
    let Some((_, own)) = KINDS.iter().find(|(k, _)| *k == kind) else {
        return errors.push(FieldError::not_supported(&path.child("kind"), kind, &["Group", "ServiceAccount", "User"]));
    };
    let (given, at) = (walk::at(subject, own), path.child(own));
    match given.is_object() {
        false => errors.push(FieldError::required(&at, format!("{own} is required when subject kind is '{kind}'"))),
        true if *own == "serviceAccount" => account(errors, given, &at),
        true => check::required(errors, given, "name", &at, ""),
    }
    for (other, key) in KINDS.iter().filter(|(k, _)| *k != kind) {
        if walk::at(subject, key).is_object() {
            errors.push(FieldError::forbidden(&path.child(key), format!("{key} is forbidden when subject kind is not '{other}'")));
        }
    }
}

fn account(errors: &mut FieldErrors, account: &Value, path: &Path) {
    let name = walk::text(account, "name");
    if name != "*" {
        check::required_name(errors, &path.child("name"), name, names::dns1123_subdomain);
    }
    match walk::text(account, "namespace") {
        "" => errors.push(FieldError::required(&path.child("namespace"), "must specify namespace for service account")),
        namespace => check::syntax(errors, &path.child("namespace"), namespace, names::dns1123_label(namespace)),
    }
}

/// A list that is not empty, and `*` alone where it is in it. True when the values themselves are still to be judged.
fn words(errors: &mut FieldErrors, rule: &Value, key: &str, empty: &str, others: &str, path: &Path) -> bool {
    let (all, path) = (walk::list(rule, key), path.child(key));
    let wild = all.iter().any(|word| word == "*");
    if all.is_empty() {
        errors.push(FieldError::required(&path, empty));
    } else if wild && all.len() > 1 {
        errors.push(FieldError::invalid(&path, walk::at(rule, key).clone(), format!("if '*' is present, must not specify other {others}")));
    }
    !all.is_empty() && !wild
}

fn verbs(errors: &mut FieldErrors, rule: &Value, path: &Path) {
    let open = words(errors, rule, "verbs", "verbs must contain at least one value", "verbs", path);
    if open && walk::list(rule, "verbs").iter().filter_map(Value::as_str).any(|verb| !VERBS.contains(&verb)) {
        errors.push(FieldError::not_supported(&path.child("verbs"), walk::at(rule, "verbs").clone(), &VERBS));
    }
}

fn resource_rule(errors: &mut FieldErrors, rule: &Value, path: &Path) {
    verbs(errors, rule, path);
    words(errors, rule, "apiGroups", "resource rules must supply at least one api group", "api groups", path);
    words(errors, rule, "resources", "resource rules must supply at least one resource", "resources", path);
    if walk::flag(rule, "clusterScope") && walk::list(rule, "namespaces").is_empty() {
        return;
    }
    if words(errors, rule, "namespaces", "resource rules that are not cluster scoped must supply at least one namespace", "namespaces", path) {
        for (i, namespace) in walk::list(rule, "namespaces").iter().filter_map(Value::as_str).enumerate() {
            let path = path.child("namespaces").index(i);
            let faults = names::dns1123_label(namespace).into_iter();
            errors.extend(faults.map(|fault| FieldError::invalid(&path, namespace, format!("each member of this list must be '*' or a DNS-1123 label; {fault}"))));
        }
    }
}

fn other_rule(errors: &mut FieldErrors, rule: &Value, path: &Path) {
    verbs(errors, rule, path);
    if !words(errors, rule, "nonResourceURLs", "nonResourceURLs must contain at least one value", "non-resource URLs", path) {
        return;
    }
    for (i, url) in walk::list(rule, "nonResourceURLs").iter().filter_map(Value::as_str).enumerate() {
        let stars = url.matches('*').count();
        let fault = match url {
            "" => "must not be empty",
            "/" => continue,
            _ if !url.starts_with('/') => "must start with slash",
            _ if url.contains(' ') => "must not contain white-space",
            _ if url.contains("//") => "must not contain double slash",
            _ if stars > 1 || (stars == 1 && !url.ends_with("/*")) => "wildcard can only do suffix matching",
            _ => continue,
        };
        errors.push(FieldError::invalid(&path.child("nonResourceURLs").index(i), url, fault));
    }
}

pub fn priority_level(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    let (kind, exempt, limited) = (walk::text(spec, "type"), walk::at(spec, "exempt"), walk::at(spec, "limited"));
    if (api::meta::name(object) == "exempt") != (kind == "Exempt") {
        errors.push(FieldError::invalid(&path.child("type"), kind, "type must be 'Exempt' if and only if name is 'exempt'"));
    }
    match kind {
        "Exempt" => {
            if limited.is_object() {
                errors.push(FieldError::forbidden(&path.child("limited"), "must be nil if the type is not Limited"));
            }
            if exempt.is_object() {
                shares(&mut errors, exempt, &path.child("exempt"));
            }
        }
        "Limited" => {
            if exempt.is_object() {
                errors.push(FieldError::forbidden(&path.child("exempt"), "must be nil if the type is Limited"));
            }
            match limited.is_object() {
                false => errors.push(FieldError::required(&path.child("limited"), "must not be empty when type is Limited")),
                true => self::limited(&mut errors, limited, &path.child("limited")),
            }
        }
        other => errors.push(FieldError::not_supported(&path.child("type"), other, &["Exempt", "Limited"])),
    }
    flowcontrol_fixed::priority_level(&mut errors, object);
    errors.extend(conditions(object, object));
    errors
}

fn shares(errors: &mut FieldErrors, level: &Value, path: &Path) {
    let (shares, lent) = (walk::int(level, "nominalConcurrencyShares"), walk::int(level, "lendablePercent"));
    if shares < 0 {
        errors.push(FieldError::invalid(&path.child("nominalConcurrencyShares"), shares, "must be a non-negative integer"));
    }
    if !(0..=100).contains(&lent) {
        errors.push(FieldError::invalid(&path.child("lendablePercent"), lent, "must be between 0 and 100, inclusive"));
    }
}

fn limited(errors: &mut FieldErrors, limited: &Value, path: &Path) {
    shares(errors, limited, path);
    if let Some(percent) = walk::at(limited, "borrowingLimitPercent").as_i64().filter(|p| *p < 0) {
        errors.push(FieldError::invalid(&path.child("borrowingLimitPercent"), percent, "if specified, must be a non-negative integer"));
    }
    let (response, path) = (walk::at(limited, "limitResponse"), path.child("limitResponse"));
    let queuing = walk::at(response, "queuing");
    match walk::text(response, "type") {
        "Reject" if queuing.is_object() => errors.push(FieldError::forbidden(&path.child("queuing"), "must be nil if limited.limitResponse.type is not Limited")),
        "Reject" => {}
        "Queue" if !queuing.is_object() => errors.push(FieldError::required(&path.child("queuing"), "must not be empty if limited.limitResponse.type is Limited")),
        "Queue" => self::queuing(errors, queuing, &path.child("queuing")),
        other => errors.push(FieldError::not_supported(&path.child("type"), other, &["Queue", "Reject"])),
    }
}

fn queuing(errors: &mut FieldErrors, queuing: &Value, path: &Path) {
    let [length, queues, hand] = ["queueLengthLimit", "queues", "handSize"].map(|key| walk::int(queuing, key));
    let mut say = |key: &str, value: i64, fault: String| errors.push(FieldError::invalid(&path.child(key), value, fault));
    if length <= 0 {
        say("queueLengthLimit", length, "must be positive".into());
    }
    if queues <= 0 {
        say("queues", queues, "must be positive".into());
    } else if queues > MOST_QUEUES {
        say("queues", queues, format!("must not be greater than {MOST_QUEUES}"));
    }
    if hand <= 0 {
        say("handSize", hand, "must be positive".into());
    } else if hand > queues {
        say("handSize", hand, format!("should not be greater than queues ({queues})"));
    } else if entropy_bits(queues, hand) > HASH_BITS {
        say("handSize", hand, format!("required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS}"));
    }
}

/// Upstream: `shufflesharding.RequiredEntropyBits`: the product of the choices of each card, as bits.
fn entropy_bits(queues: i64, hand: i64) -> u32 {
    let bits: f64 = (0..hand.min(64)).map(|i| ((queues - i) as f64).log2()).sum();
    if hand > 64 { u32::MAX } else { bits.ceil() as u32 }
}

/// Of both kinds.
pub fn conditions(object: &Value, _: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let mut seen = HashSet::new();
    for (i, condition) in walk::list(object, "status.conditions").iter().enumerate() {
        let (path, kind) = (Path::new("status.conditions").index(i).child("type"), walk::text(condition, "type"));
        if !seen.insert(kind) {
            errors.push(FieldError::duplicate(&path, kind));
        }
        if kind.is_empty() {
            errors.push(FieldError::required(&path, "must not be empty"));
        }
    }
    errors
}
