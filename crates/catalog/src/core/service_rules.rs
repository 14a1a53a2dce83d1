//! Validation of services. What addresses and node ports are free is the server's to know.
//!
//! Upstream: `ValidateService` in `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::{check, metadata, walk};

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    let (kind, ports) = (walk::text(spec, "type"), walk::list(spec, "ports"));
    let headless = walk::text(spec, "clusterIP") == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required(&path.child("ports"), ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            errors.push(FieldError::invalid(&path.child("clusterIPs").index(0), "None", format!("may not be set to 'None' for {kind} services")));
        }
        "ExternalName" => external_name(&mut errors, spec, &path),
        _ => {}
    }
    self::ports(&mut errors, spec, kind, &path.child("ports"));
    errors.extend(metadata::validate_labels(walk::at(spec, "selector"), &path.child("selector")));
    check::one_of(&mut errors, &path.child("sessionAffinity"), walk::text(spec, "sessionAffinity"), &["ClientIP", "None"]);
    if walk::text(spec, "sessionAffinity") == "ClientIP" {
        let seconds = walk::int(spec, "sessionAffinityConfig.clientIP.timeoutSeconds");
        if !(1..=86400).contains(&seconds) {
            let path = path.child("sessionAffinityConfig").child("clientIP").child("timeoutSeconds");
            errors.push(FieldError::invalid(&path, seconds, "must be greater than 0 and less than 86400"));
        }
    }
    for (i, address) in walk::list(spec, "externalIPs").iter().filter_map(Value::as_str).enumerate() {
        check::ip(&mut errors, &path.child("externalIPs").index(i), address);
    }
    check::one_of(&mut errors, &path.child("type"), kind, &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    addresses(&mut errors, spec, old.map(|o| walk::at(o, "spec")), &path);
    for (key, words) in [("externalTrafficPolicy", ["Cluster", "Local"]), ("internalTrafficPolicy", ["Cluster", "Local"])] {
        check::maybe_one_of(&mut errors, &path.child(key), walk::text(spec, key), &words);
    }
    check::maybe_one_of(&mut errors, &path.child("trafficDistribution"), walk::text(spec, "trafficDistribution"), &["PreferClose", "PreferSameZone", "PreferSameNode"]);
    let health = walk::int(spec, "healthCheckNodePort");
    if health != 0 && (kind != "LoadBalancer" || walk::text(spec, "externalTrafficPolicy") != "Local") {
        errors.push(FieldError::invalid(&path.child("healthCheckNodePort"), health, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"));
    }
    if kind != "LoadBalancer" {
        let given = |key: &str| !walk::at(spec, key).is_null() && walk::at(spec, key) != "";
        for key in ["allocateLoadBalancerNodePorts", "loadBalancerSourceRanges", "loadBalancerClass"] {
            if given(key) {
                errors.push(FieldError::forbidden(&path.child(key), "may only be used when `type` is 'LoadBalancer'"));
            }
        }
    }
    errors
}

fn external_name(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    for key in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if !walk::at(spec, key).is_null() {
            errors.push(FieldError::forbidden(&path.child(key), "may not be set for ExternalName services"));
        }
    }
    let name = walk::text(spec, "externalName");
    check::required_name(errors, &path.child("externalName"), name.strip_suffix('.').unwrap_or(name), names::dns1123_subdomain);
}

fn ports(errors: &mut FieldErrors, spec: &Value, kind: &str, list: &Path) {
    let ports = walk::list(spec, "ports");
    let (mut names_seen, mut seen, mut node_ports) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (i, port) in ports.iter().enumerate() {
        let (path, name, protocol) = (list.index(i), walk::text(port, "name"), walk::text(port, "protocol"));
        if name.is_empty() && ports.len() > 1 {
            errors.push(FieldError::required(&path.child("name"), ""));
        }
        check::optional_name(errors, &path.child("name"), name, names::dns1123_label);
        if !name.is_empty() && !names_seen.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        check::port(errors, &path.child("port"), walk::at(port, "port"));
        check::one_of(errors, &path.child("protocol"), protocol, &["SCTP", "TCP", "UDP"]);
        check::port(errors, &path.child("targetPort"), walk::at(port, "targetPort"));
        check::optional_name(errors, &path.child("appProtocol"), walk::text(port, "appProtocol"), names::qualified_name);
        let (number, node) = (walk::int(port, "port"), walk::int(port, "nodePort"));
        if !seen.insert((protocol, number)) {
            errors.push(FieldError::duplicate(&path, serde_json::json!({"port": number, "protocol": protocol})));
        }
        if node != 0 && kind == "ClusterIP" {
            errors.push(FieldError::forbidden(&path.child("nodePort"), "may not be used when `type` is 'ClusterIP'"));
        }
        if node != 0 && !node_ports.insert((protocol, node)) {
            errors.push(FieldError::duplicate(&path.child("nodePort"), node));
        }
    }
}

fn addresses(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, path: &Path) {
    let (ip, ips) = (walk::text(spec, "clusterIP"), walk::list(spec, "clusterIPs"));
    if let Some(first) = ips.first().and_then(Value::as_str)
        && first != ip
    {
        errors.push(FieldError::invalid(&path.child("clusterIPs"), walk::at(spec, "clusterIPs").clone(), "first value must match `clusterIP`"));
    }
    for (i, address) in ips.iter().filter_map(Value::as_str).enumerate() {
        if address != "None" {
            check::ip(errors, &path.child("clusterIPs").index(i), address);
        }
    }
    let Some(old) = old else { return };
    let before = walk::text(old, "clusterIP");
    let stays = walk::text(old, "type") != "ExternalName" && walk::text(spec, "type") != "ExternalName";
    if stays && !before.is_empty() && before != ip {
        errors.push(FieldError::invalid(&path.child("clusterIPs").index(0), ip, "may not change once set"));
    }
}
