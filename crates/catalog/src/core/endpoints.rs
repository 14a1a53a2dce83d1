//! Endpoints.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::check;
use crate::columns::{age, columns, name, or_none};
use crate::ip;
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "Endpoints", "endpoints", true).short(&["ep"]).deprecated("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice").rules(|rules| {
        rules.validate = validate;
        rules.warn = warn;
        rules.default = |object| {
            for subset in object.get_mut("subsets").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
                for port in walk::items(subset, "ports") {
                    walk::fill_text(port, "protocol", "TCP");
                }
            }
        };
    }).columns(columns(&["Name", "Endpoints", "Age"]), |object, now| vec![name(object), addresses(object), age(object, now)])
}

/// Upstream: `formatEndpoints` shows three and counts the rest.
fn addresses(object: &Value) -> Value {
    let mut shown = Vec::new();
    let mut count = 0;
    for subset in walk::list(object, "subsets") {
        let ports = walk::list(subset, "ports");
        for address in walk::list(subset, "addresses") {
            let ip = walk::text(address, "ip");
            if ports.is_empty() {
                count += 1;
                shown.push(ip.to_owned());
            }
            for port in ports {
                count += 1;
                shown.push(format!("{ip}:{}", walk::int(port, "port")));
            }
        }
    }
    shown.truncate(3);
    let text = shown.join(",");
    if count > 3 { format!("{text} + {} more...", count - 3).into() } else { or_none(text) }
}

/// Upstream: `ValidateEndpoints` in `pkg/apis/core/validation/validation.go`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (i, subset) in walk::list(object, "subsets").iter().enumerate() {
        let path = Path::new("subsets").index(i);
        if walk::list(subset, "addresses").is_empty() && walk::list(subset, "notReadyAddresses").is_empty() {
            errors.push(FieldError::required(&path, "must specify `addresses` or `notReadyAddresses`"));
        }
        for list in ["addresses", "notReadyAddresses"] {
            for (j, address) in walk::list(subset, list).iter().enumerate() {
                one_address(&mut errors, address, &path.child(list).index(j));
            }
        }
        let ports = walk::list(subset, "ports");
        for (j, port) in ports.iter().enumerate() {
            one_port(&mut errors, port, ports.len() > 1, &path.child("ports").index(j));
        }
    }
    // Upstream: what older rules let in stays.
    if !errors.is_empty() && old.is_some_and(|old| old.get("subsets") == object.get("subsets")) {
        errors.clear();
    }
    errors
}

fn one_address(errors: &mut FieldErrors, address: &Value, path: &Path) {
    let text = walk::text(address, "ip");
    ip::legacy(errors, &path.child("ip"), text, &[]);
    check::optional_name(errors, &path.child("hostname"), walk::text(address, "hostname"), names::dns1123_label);
    if let Some(node) = walk::at(address, "nodeName").as_str() {
        check::syntax(errors, &path.child("nodeName"), node, names::dns1123_subdomain(node));
    }
    ip::endpoint(errors, &path.child("ip"), text);
}

fn one_port(errors: &mut FieldErrors, port: &Value, named: bool, path: &Path) {
    let name = walk::text(port, "name");
    if named && name.is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    check::optional_name(errors, &path.child("name"), name, names::dns1123_label);
    let number = walk::int(port, "port");
    errors.extend(names::port_number(number).into_iter().map(|fault| FieldError::invalid(&path.child("port"), number, fault)));
    check::one_of(errors, &path.child("protocol"), walk::text(port, "protocol"), &["SCTP", "TCP", "UDP"]);
    check::optional_name(errors, &path.child("appProtocol"), walk::text(port, "appProtocol"), names::qualified_name);
}

/// Odd addresses, but not the controller's own: it writes none. Upstream: `pkg/registry/core/endpoint/strategy.go`.
fn warn(object: &Value, _: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    if object["metadata"]["labels"]["endpoints.kubernetes.io/managed-by"] == "endpoint-controller" {
        return told;
    }
    for (i, subset) in walk::list(object, "subsets").iter().enumerate() {
        for list in ["addresses", "notReadyAddresses"] {
            for (j, address) in walk::list(subset, list).iter().enumerate() {
                ip::warn(&mut told, format_args!("subsets[{i}].{list}[{j}].ip"), walk::text(address, "ip"));
            }
        }
    }
    told
}
