//! The `discovery.k8s.io` group: endpoint slices.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::check;
use crate::columns::{age, columns, name, or_none};
use crate::ip;
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let mut slice = Resource::new("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true)
        .rules(|rules| {
            rules.generation = true;
            rules.validate = validate;
            rules.warn = warn;
            rules.default = |object| {
                for port in object.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
                    walk::fill(port, "name", "");
                    walk::fill(port, "protocol", "TCP");
                }
            };
        })
        .columns(columns(&["Name", "AddressType", "Ports", "Endpoints", "Age"]), |object, now| {
            let ports = walk::list(object, "ports").iter().map(|p| p.get("port").and_then(Value::as_i64).map_or("*".to_owned(), |n| n.to_string()));
            let addresses = walk::list(object, "endpoints").iter().flat_map(|e| walk::list(e, "addresses")).filter_map(Value::as_str).map(str::to_owned);
            let ports = shortened(ports.collect());
            vec![name(object), walk::text(object, "addressType").into(), if ports.is_empty() { "<unset>".into() } else { ports.into() }, { let text = shortened(addresses.collect()); if text.is_empty() { "<unset>".into() } else { or_none(text) } }, age(object, now)]
        });
    slice.table = "/registry/endpointslices".into();
    vec![slice]
}

/// Upstream: three shown, the rest counted.
fn shortened(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(3);
    all.truncate(3);
    let text = all.join(",");
    if more > 0 { format!("{text} + {more} more...") } else { text }
}

const MOST_ENDPOINTS: usize = 1000;
const MOST_ADDRESSES: usize = 100;
const MOST_PORTS: usize = 20000;
const MOST_TOPOLOGY: usize = 16;
const MOST_HINTS: usize = 8;

/// Upstream: `pkg/apis/discovery/validation/validation.go`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let family = walk::text(object, "addressType");
    check::one_of(&mut errors, &Path::new("addressType"), family, &["FQDN", "IPv4", "IPv6"]);
    endpoints(&mut errors, walk::list(object, "endpoints"), family, &Path::new("endpoints"));
    ports(&mut errors, walk::list(object, "ports"), &Path::new("ports"));
    if let Some(old) = old {
        check::immutable(&mut errors, &Path::new("addressType"), walk::at(object, "addressType"), walk::at(old, "addressType"));
    }
    errors
}

fn endpoints(errors: &mut FieldErrors, all: &[Value], family: &str, list: &Path) {
    if all.len() > MOST_ENDPOINTS {
        return errors.push(FieldError::too_many(list, all.len(), MOST_ENDPOINTS));
    }
    for (i, endpoint) in all.iter().enumerate() {
        let path = list.index(i);
        let (given, at) = (walk::list(endpoint, "addresses"), path.child("addresses"));
        if given.is_empty() {
            errors.push(FieldError::required(&at, "must contain at least 1 address"));
        } else if given.len() > MOST_ADDRESSES {
            errors.push(FieldError::too_many(&at, given.len(), MOST_ADDRESSES));
        }
        for (j, address) in given.iter().filter_map(Value::as_str).enumerate() {
            one_address(errors, address, family, &at.index(j));
        }
        if let Some(node) = walk::at(endpoint, "nodeName").as_str() {
            check::syntax(errors, &path.child("nodeName"), node, names::dns1123_subdomain(node));
        }
        let topology = walk::at(endpoint, "deprecatedTopology");
        if let Some(count) = topology.as_object().map(serde_json::Map::len).filter(|n| *n > MOST_TOPOLOGY) {
            errors.push(FieldError::too_many(&path.child("deprecatedTopology"), count, MOST_TOPOLOGY));
        }
        errors.extend(crate::metadata::validate_labels(topology, &path.child("deprecatedTopology")));
        if let Some(name) = walk::at(endpoint, "hostname").as_str() {
            check::syntax(errors, &path.child("hostname"), name, names::dns1123_label(name));
        }
        hints(errors, walk::at(endpoint, "hints"), &path.child("hints"));
    }
}

fn one_address(errors: &mut FieldErrors, address: &str, family: &str, path: &Path) {
    match family {
        "IPv4" if ip::parse(address).is_some_and(|ip| ip.to_canonical().is_ipv6()) => errors.push(FieldError::invalid(path, address, "must be an IPv4 address")),
        "IPv6" if ip::parse(address).is_some_and(|ip| ip.to_canonical().is_ipv4()) => errors.push(FieldError::invalid(path, address, "must be an IPv6 address")),
        "IPv4" | "IPv6" => {
            let before = errors.len();
            ip::legacy(errors, path, address, &[]);
            if errors.len() == before {
                ip::endpoint(errors, path, address);
            }
        }
        "FQDN" => {
            let name = address.strip_suffix('.').unwrap_or(address);
            let faults = names::dns1123_subdomain(name);
            if faults.is_empty() && !name.contains('.') {
                errors.push(FieldError::invalid(path, address, "should be a domain with at least two segments separated by dots"));
            }
            check::syntax(errors, path, address, faults);
        }
        _ => {}
    }
}

fn hints(errors: &mut FieldErrors, hints: &Value, path: &Path) {
    for (key, rule) in [("forZones", names::qualified_name as fn(&str) -> names::Faults), ("forNodes", names::dns1123_subdomain)] {
        let (all, path) = (walk::list(hints, key), path.child(key));
        if all.len() > MOST_HINTS {
            errors.push(FieldError::too_many(&path, all.len(), MOST_HINTS));
            continue;
        }
        let mut seen = HashSet::new();
        for (i, hint) in all.iter().enumerate() {
            let (name, path) = (walk::text(hint, "name"), path.index(i).child("name"));
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(&path, name));
            }
            check::syntax(errors, &path, name, rule(name));
        }
    }
}

fn ports(errors: &mut FieldErrors, all: &[Value], list: &Path) {
    if all.len() > MOST_PORTS {
        return errors.push(FieldError::too_many(list, all.len(), MOST_PORTS));
    }
    let mut seen = HashSet::new();
    for (i, port) in all.iter().enumerate() {
        let (path, name) = (list.index(i), walk::text(port, "name"));
        check::optional_name(errors, &path.child("name"), name, names::dns1123_label);
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        if let Some(number) = walk::at(port, "port").as_i64() {
            errors.extend(names::port_number(number).into_iter().map(|fault| FieldError::invalid(&path.child("port"), number, fault)));
        }
        check::one_of(errors, &path.child("protocol"), walk::text(port, "protocol"), &["SCTP", "TCP", "UDP"]);
        check::optional_name(errors, &path.child("appProtocol"), walk::text(port, "appProtocol"), names::qualified_name);
    }
}

/// Upstream: `pkg/registry/discovery/endpointslice/strategy.go`. What the controllers write holds no odd addresses.
fn warn(object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    if old.is_none() && walk::text(object, "addressType") == "FQDN" {
        told.push("spec.addressType: FQDN endpoints are deprecated".into());
    }
    let by = object["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"].as_str().unwrap_or_default();
    if matches!(by, "endpointslice-controller.k8s.io" | "endpointslicemirroring-controller.k8s.io") {
        return told;
    }
    for (i, endpoint) in walk::list(object, "endpoints").iter().enumerate() {
        for (j, address) in walk::list(endpoint, "addresses").iter().enumerate() {
            ip::warn(&mut told, format_args!("endpoints[{i}].addresses[{j}]"), address.as_str().unwrap_or_default());
        }
    }
    told
}
