//! NetworkPolicies.

use std::net::IpAddr;

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use super::resource as of_group;
use crate::check;
use crate::columns::{age, columns, name, selector};
use crate::resource::Resource;
use crate::walk;

pub fn network_policy() -> Resource {
    of_group("NetworkPolicy", "networkpolicies", true)
        .short(&["netpol"])
        .rules(|rules| {
            rules.generation = true;
            rules.default = default;
            rules.validate = validate;
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
fn validate(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    check::label_selector(&mut errors, walk::at(spec, "podSelector"), &path.child("podSelector"));
    for (direction, side) in [("ingress", "from"), ("egress", "to")] {
        for (i, rule) in walk::list(spec, direction).iter().enumerate() {
            let path = path.child(direction).index(i);
            for (j, port) in walk::list(rule, "ports").iter().enumerate() {
                one_port(&mut errors, port, &path.child("ports").index(j));
            }
            for (j, other) in walk::list(rule, side).iter().enumerate() {
                peer(&mut errors, other, &path.child(side).index(j));
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
    let (port, end) = (walk::at(rule, "port"), walk::at(rule, "endPort"));
    if port.is_null() {
        if !end.is_null() {
            errors.push(FieldError::required(&path.child("port"), "must be specified when `endPort` is specified"));
        }
        return;
    }
    check::port(errors, &path.child("port"), port);
    let Some(end) = end.as_i64() else { return };
    match port.as_i64() {
        Some(first) => {
            if end < first {
                errors.push(FieldError::invalid(&path.child("endPort"), end, "must be greater than or equal to `port`"));
            }
            errors.extend(api::names::port_number(end).into_iter().map(|fault| FieldError::invalid(&path.child("endPort"), end, fault)));
        }
        None => errors.push(FieldError::invalid(&path.child("endPort"), end, "may not be specified when `port` is non-numeric")),
    }
}

fn peer(errors: &mut FieldErrors, peer: &Value, path: &Path) {
    let given = |key: &str| walk::at(peer, key).is_object();
    for key in ["podSelector", "namespaceSelector"] {
        check::label_selector(errors, walk::at(peer, key), &path.child(key));
    }
    if given("ipBlock") {
        ip_block(errors, walk::at(peer, "ipBlock"), &path.child("ipBlock"));
    }
    match (given("podSelector") || given("namespaceSelector"), given("ipBlock")) {
        (false, false) => errors.push(FieldError::required(path, "must specify a peer")),
        (true, true) => errors.push(FieldError::forbidden(path, "may not specify both ipBlock and another peer")),
        _ => {}
    }
}

fn ip_block(errors: &mut FieldErrors, block: &Value, path: &Path) {
    let range = walk::text(block, "cidr");
    if range.is_empty() {
        return errors.push(FieldError::required(&path.child("cidr"), ""));
    }
    if !check::is_cidr(range) {
        return check::cidr(errors, &path.child("cidr"), range);
    }
    for (i, inner) in walk::list(block, "except").iter().filter_map(Value::as_str).enumerate() {
        let path = path.child("except").index(i);
        if !check::is_cidr(inner) {
            return check::cidr(errors, &path, inner);
        }
        if !is_within(inner, range) {
            errors.push(FieldError::invalid(&path, inner, "must be a strict subset of `cidr`"));
        }
    }
}

/// Whether one range lies in another and is smaller.
fn is_within(inner: &str, outer: &str) -> bool {
    let parts = |range: &str| -> Option<(u128, u32, u32)> {
        let (ip, bits) = range.split_once('/')?;
        let (number, width) = match ip.parse().ok()? {
            IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
            IpAddr::V6(v6) => (u128::from(v6), 128),
        };
        Some((number, width, bits.parse().ok()?))
    };
    let (Some((a, width_a, bits_a)), Some((b, width_b, bits_b))) = (parts(inner), parts(outer)) else { return false };
    let cut = |n: u128| n.checked_shr(width_b - bits_b).unwrap_or(0);
    width_a == width_b && bits_a > bits_b && cut(a) == cut(b)
}
