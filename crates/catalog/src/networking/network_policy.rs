//! NetworkPolicies.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use super::resource as of_group;
use crate::check;
use crate::columns::{age, columns, name, selector};
use crate::ip::{self, Range};
use crate::resource::Resource;
use crate::walk;

const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

pub fn network_policy() -> Resource {
    of_group("NetworkPolicy", "networkpolicies", true)
        .short(&["netpol"])
        .rules(|rules| {
            rules.generation = true;
            rules.default = default;
            rules.validate = validate;
            rules.warn = warn;
        })
        .columns(columns(&["Name", "Pod-Selector", "Age"]), |object, now| vec![name(object), selector(walk::at(object, "spec.podSelector")), age(object, now)])
}

/// Upstream: `pkg/apis/networking/v1/defaults.go`.
fn default(object: &mut Value) {
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    for direction in ["ingress", "egress"] {
        for rule in walk::items(spec, direction) {
            for port in walk::items(rule, "ports") {
                walk::fill(port, "protocol", "TCP");
            }
        }
    }
    if spec.get("policyTypes").and_then(Value::as_array).is_none_or(Vec::is_empty) {
        let egress = spec.get("egress").and_then(Value::as_array).is_some_and(|e| !e.is_empty());
        spec.insert("policyTypes".into(), if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
    }
}

/// Upstream: `ValidateNetworkPolicySpec` in `pkg/apis/networking/validation/validation.go`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    let known = old.map(ranges).unwrap_or_default();
    check::label_selector(&mut errors, walk::at(spec, "podSelector"), &path.child("podSelector"));
    for (direction, side) in DIRECTIONS {
        for (i, rule) in walk::list(spec, direction).iter().enumerate() {
            let path = path.child(direction).index(i);
            for (j, port) in walk::list(rule, "ports").iter().enumerate() {
                one_port(&mut errors, port, &path.child("ports").index(j));
            }
            for (j, other) in walk::list(rule, side).iter().enumerate() {
                peer(&mut errors, other, &known, &path.child(side).index(j));
            }
        }
    }
    let types = walk::list(spec, "policyTypes");
    if types.len() > 2 {
        errors.push(FieldError::invalid(&path.child("policyTypes"), walk::at(spec, "policyTypes").clone(), "may not specify more than two policyTypes"));
        return errors;
    }
    for (i, kind) in types.iter().filter_map(Value::as_str).enumerate() {
        if !matches!(kind, "Ingress" | "Egress") {
            errors.push(FieldError::not_supported(&path.child("policyTypes").index(i), kind, &["Ingress", "Egress"]));
        }
    }
    errors
}

fn one_port(errors: &mut FieldErrors, rule: &Value, path: &Path) {
    let protocol = walk::text(rule, "protocol");
    if !matches!(protocol, "" | "TCP" | "UDP" | "SCTP") {
        errors.push(FieldError::not_supported(&path.child("protocol"), protocol, &["TCP", "UDP", "SCTP"]));
    }
    let (port, end, at) = (walk::at(rule, "port"), walk::at(rule, "endPort").as_i64(), path.child("endPort"));
    let say = |errors: &mut FieldErrors, fault: &str| errors.extend(end.map(|end| FieldError::invalid(&at, end, fault)));
    match port {
        Value::Null => say(errors, "may not be specified when `port` is not specified"),
        Value::String(_) => {
            say(errors, "may not be specified when `port` is non-numeric");
            check::port(errors, &path.child("port"), port);
        }
        number => {
            check::port(errors, &path.child("port"), number);
            let Some(end) = end else { return };
            if number.as_i64().is_some_and(|first| end < first) {
                say(errors, "must be greater than or equal to `port`");
            }
            api::names::port_number(end).iter().for_each(|fault| say(errors, fault));
        }
    }
}

fn peer(errors: &mut FieldErrors, peer: &Value, known: &[&str], path: &Path) {
    let given = |key: &str| walk::at(peer, key).is_object();
    for key in ["podSelector", "namespaceSelector"] {
        check::label_selector(errors, walk::at(peer, key), &path.child(key));
    }
    if given("ipBlock") {
        ip_block(errors, walk::at(peer, "ipBlock"), known, &path.child("ipBlock"));
    }
    match (given("podSelector") || given("namespaceSelector"), given("ipBlock")) {
        (false, false) => errors.push(FieldError::required(path, "must specify a peer")),
        (true, true) => errors.push(FieldError::forbidden(path, "may not specify both ipBlock and another peer")),
        _ => {}
    }
}

/// Ranges that the policy had before are not judged anew.
fn ip_block(errors: &mut FieldErrors, block: &Value, known: &[&str], path: &Path) {
    let (text, is_known) = (walk::text(block, "cidr"), |range: &str| known.contains(&range));
    if text.is_empty() {
        return errors.push(FieldError::required(&path.child("cidr"), ""));
    }
    ip::legacy_range(errors, &path.child("cidr"), text, is_known);
    let Some(range) = Range::parse(text) else { return };
    for (i, inner) in walk::list(block, "except").iter().filter_map(Value::as_str).enumerate() {
        let path = path.child("except").index(i);
        ip::legacy_range(errors, &path, inner, is_known);
        if Range::parse(inner).is_some_and(|inner| !range.holds(inner)) {
            errors.push(FieldError::invalid(&path, inner, "must be a strict subset of `cidr`"));
        }
    }
}

/// Every range that a policy names.
fn ranges(object: &Value) -> Vec<&str> {
    let rules = DIRECTIONS.iter().flat_map(|(direction, side)| walk::list(walk::at(object, "spec"), direction).iter().flat_map(|rule| walk::list(rule, side)));
    rules.flat_map(|peer| walk::list(peer, "ipBlock.except").iter().chain([walk::at(peer, "ipBlock.cidr")])).filter_map(Value::as_str).collect()
}

/// Upstream: `pkg/registry/networking/networkpolicy/strategy.go`.
fn warn(object: &Value, _: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    for (direction, peers) in DIRECTIONS {
        for (i, rule) in walk::list(&object["spec"], direction).iter().enumerate() {
            for (j, block) in walk::list(rule, peers).iter().enumerate().map(|(j, peer)| (j, &peer["ipBlock"])).filter(|(_, block)| block.is_object()) {
                let path = format_args!("spec.{direction}[{i}].{peers}[{j}].ipBlock");
                ip::warn_range(&mut told, format_args!("{path}.cidr"), walk::text(block, "cidr"));
                for (k, except) in walk::list(block, "except").iter().enumerate() {
                    ip::warn_range(&mut told, format_args!("{path}.except[{k}]"), except.as_str().unwrap_or_default());
                }
            }
        }
    }
    told
}
