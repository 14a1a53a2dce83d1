//! Validation of services. What addresses and node ports are free is the server's to know.
//!
//! Upstream: `validateService` and `ValidateServiceUpdate` in `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::{Value, json};

use super::service_addresses::{self, is_headless};
use crate::{check, ip, metadata, walk};

const BALANCERS_ONLY: &str = "may only be used when `type` is 'LoadBalancer'";
const SOURCE_RANGES: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
const TOPOLOGY_MODE: &str = "service.kubernetes.io/topology-mode";
const TOPOLOGY_HINTS: &str = "service.kubernetes.io/topology-aware-hints";
const LONGEST_AFFINITY: i64 = 86400;

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    let before = old.map(|old| walk::at(old, "spec"));
    if let Some(before) = before {
        update(&mut errors, spec, before, &path);
    }
    topology_annotations(&mut errors, object);
    kind(&mut errors, spec, &path);
    errors.extend(metadata::validate_labels(walk::at(spec, "selector"), &path.child("selector")));
    affinity(&mut errors, spec, &path);
    service_addresses::validate(&mut errors, spec, before, &path);
    external_addresses(&mut errors, spec, before, &path.child("externalIPs"));
    check::one_of(&mut errors, &path.child("type"), walk::text(spec, "type"), &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    doubled_ports(&mut errors, spec, &path.child("ports"));
    source_ranges(&mut errors, object, old, &path);
    balancer(&mut errors, spec, &path);
    external_traffic(&mut errors, spec, &path);
    internal_traffic(&mut errors, spec, &path);
    if let Some(spread) = walk::at(spec, "trafficDistribution").as_str() {
        // Upstream: also of an empty one.
        let known = ["PreferClose", "PreferSameZone", "PreferSameNode"];
        if !known.contains(&spread) {
            errors.push(FieldError::not_supported(&path.child("trafficDistribution"), spread, &known));
        }
    }
    errors
}

fn is_given(spec: &Value, key: &str) -> bool {
    !walk::at(spec, key).is_null()
}

fn is_balancer(spec: &Value) -> bool {
    walk::text(spec, "type") == "LoadBalancer"
}

fn update(errors: &mut FieldErrors, spec: &Value, old: &Value, path: &Path) {
    service_addresses::update(errors, spec, old, path);
    let class = walk::at(spec, "loadBalancerClass");
    if is_balancer(spec) && is_balancer(old) && class != walk::at(old, "loadBalancerClass") {
        errors.push(FieldError::invalid(&path.child("loadBalancerClass"), class.clone(), "may not change once set"));
    }
    if needs_health_port(spec) && needs_health_port(old) && walk::int(spec, "healthCheckNodePort") != walk::int(old, "healthCheckNodePort") {
        errors.push(FieldError::forbidden(&path.child("healthCheckNodePort"), check::IMMUTABLE));
    }
}

fn topology_annotations(errors: &mut FieldErrors, object: &Value) {
    let given = |key: &str| api::meta::annotation(object, key);
    if let (Some(mode), Some(hints)) = (given(TOPOLOGY_MODE), given(TOPOLOGY_HINTS))
        && mode != hints
    {
        let path = Path::new("metadata").child("annotations").key(TOPOLOGY_MODE);
        errors.push(FieldError::invalid(&path, mode, format!("must match annotations[{TOPOLOGY_HINTS}] when both are specified")));
    }
}

/// What each type asks of the rest.
fn kind(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let (kind, headless, ports) = (walk::text(spec, "type"), is_headless(spec), walk::list(spec, "ports"));
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required(&path.child("ports"), ""));
    }
    match kind {
        "LoadBalancer" | "NodePort" if headless => {
            errors.push(FieldError::invalid(&path.child("clusterIPs").index(0), "None", format!("may not be set to 'None' for {kind} services")));
        }
        "ExternalName" => external_name(errors, spec, path),
        _ => {}
    }
    let mut seen = HashSet::new();
    for (i, port) in ports.iter().enumerate() {
        self::port(errors, port, ports.len() > 1, &mut seen, &path.child("ports").index(i));
    }
}

fn external_name(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    for key in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let value = walk::at(spec, key);
        if !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()) {
            errors.push(FieldError::forbidden(&path.child(key), "may not be set for ExternalName services"));
        }
    }
    // A dot at the end says that the name is whole.
    let name = walk::text(spec, "externalName");
    check::required_name(errors, &path.child("externalName"), name.strip_suffix('.').unwrap_or(name), names::dns1123_subdomain);
}

fn port<'a>(errors: &mut FieldErrors, port: &'a Value, named: bool, seen: &mut HashSet<&'a str>, path: &Path) {
    let name = walk::text(port, "name");
    if name.is_empty() && named {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    check::optional_name(errors, &path.child("name"), name, names::dns1123_label);
    if !name.is_empty() && !seen.insert(name) {
        errors.push(FieldError::duplicate(&path.child("name"), name));
    }
    check::port(errors, &path.child("port"), walk::at(port, "port"));
    check::one_of(errors, &path.child("protocol"), walk::text(port, "protocol"), &["SCTP", "TCP", "UDP"]);
    check::port(errors, &path.child("targetPort"), walk::at(port, "targetPort"));
    if let Some(protocol) = walk::at(port, "appProtocol").as_str() {
        check::syntax(errors, &path.child("appProtocol"), protocol, names::qualified_name(protocol));
    }
}

/// Node ports where none belong, and ports or node ports given twice.
fn doubled_ports(errors: &mut FieldErrors, spec: &Value, list: &Path) {
    let ports = walk::list(spec, "ports");
    let number = |port: &Value, key: &str| walk::int(port, key);
    let node_ports = || ports.iter().enumerate().filter(|(_, port)| number(port, "nodePort") != 0);
    if walk::text(spec, "type") == "ClusterIP" {
        for (i, _) in node_ports() {
            errors.push(FieldError::forbidden(&list.index(i).child("nodePort"), "may not be used when `type` is 'ClusterIP'"));
        }
    }
    let mut seen = HashSet::new();
    for (i, port) in node_ports() {
        if !seen.insert((walk::text(port, "protocol"), number(port, "nodePort"))) {
            errors.push(FieldError::duplicate(&list.index(i).child("nodePort"), number(port, "nodePort")));
        }
    }
    let mut seen = HashSet::new();
    for (i, port) in ports.iter().enumerate() {
        let (protocol, number) = (walk::text(port, "protocol"), number(port, "port"));
        if !seen.insert((protocol, number)) {
            errors.push(FieldError::duplicate(&list.index(i), json!({"port": number, "protocol": protocol})));
        }
    }
}

fn affinity(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let kind = walk::text(spec, "sessionAffinity");
    check::one_of(errors, &path.child("sessionAffinity"), kind, &["ClientIP", "None"]);
    let (config, path) = (walk::at(spec, "sessionAffinityConfig"), path.child("sessionAffinityConfig"));
    match kind {
        "None" if !config.is_null() => errors.push(FieldError::forbidden(&path, "must not be set when session affinity is None")),
        "ClientIP" => {
            let (client, seconds) = (walk::at(config, "clientIP"), walk::at(config, "clientIP.timeoutSeconds"));
            let missing = [(config.is_null(), path.clone()), (client.is_null(), path.child("clientIP")), (seconds.is_null(), path.child("clientIP").child("timeoutSeconds"))];
            if let Some((_, path)) = missing.iter().find(|(is_missing, _)| *is_missing) {
                errors.push(FieldError::required(path, "when session affinity type is ClientIP"));
            } else if !(1..=LONGEST_AFFINITY).contains(&seconds.as_i64().unwrap_or_default()) {
                errors.push(FieldError::invalid(&missing[2].1, seconds.clone(), format!("must be greater than 0 and less than {LONGEST_AFFINITY}")));
            }
        }
        _ => {}
    }
}

fn external_addresses(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, list: &Path) {
    let known = old.map(|old| walk::list(old, "externalIPs")).unwrap_or_default();
    for (i, address) in walk::list(spec, "externalIPs").iter().filter_map(Value::as_str).enumerate() {
        let (path, before) = (list.index(i), errors.len());
        ip::legacy(errors, &path, address, known);
        if errors.len() == before {
            ip::endpoint(errors, &path, address);
        }
    }
}

/// Whom a balancer lets in: the field, or the annotation that was there before it.
fn source_ranges(errors: &mut FieldErrors, object: &Value, old: Option<&Value>, path: &Path) {
    let (spec, ranges) = (walk::at(object, "spec"), walk::list(object, "spec.loadBalancerSourceRanges"));
    if !ranges.is_empty() {
        // Upstream: the path begins with a capital.
        let path = path.child("LoadBalancerSourceRanges");
        if !is_balancer(spec) {
            errors.push(FieldError::forbidden(&path, BALANCERS_ONLY));
        }
        let known = old.map(|old| walk::list(old, "spec.loadBalancerSourceRanges")).unwrap_or_default();
        for (i, range) in ranges.iter().filter_map(Value::as_str).enumerate() {
            ip::legacy_range(errors, &path.index(i), range.trim(), |range| known.iter().any(|old| old.as_str().map(str::trim) == Some(range)));
        }
        return;
    }
    let Some(text) = api::meta::annotation(object, SOURCE_RANGES) else { return };
    let path = Path::new("metadata").child("annotations").key(SOURCE_RANGES);
    if !is_balancer(spec) {
        errors.push(FieldError::forbidden(&path, BALANCERS_ONLY));
    }
    let stays = old.and_then(|old| api::meta::annotation(old, SOURCE_RANGES)) == Some(text);
    for range in text.trim().split(',').filter(|_| !stays && !text.trim().is_empty()) {
        ip::legacy_range(errors, &path, range.trim(), |_| false);
    }
}

fn balancer(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    const PORTS: &str = "allocateLoadBalancerNodePorts";
    match (is_balancer(spec), is_given(spec, PORTS)) {
        (false, true) => errors.push(FieldError::forbidden(&path.child(PORTS), BALANCERS_ONLY)),
        // Upstream: the path leaves the spec out.
        (true, false) => errors.push(FieldError::required(&Path::new(PORTS), "")),
        _ => {}
    }
    let (class, path) = (walk::at(spec, "loadBalancerClass"), path.child("loadBalancerClass"));
    match class.as_str() {
        Some(class) if is_balancer(spec) => check::syntax(errors, &path, class, names::qualified_name(class)),
        Some(_) => errors.push(FieldError::forbidden(&path, BALANCERS_ONLY)),
        None => {}
    }
}

/// Upstream: `ExternallyAccessible` in `pkg/api/service`.
fn is_reached_from_outside(spec: &Value) -> bool {
    match walk::text(spec, "type") {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !walk::list(spec, "externalIPs").is_empty(),
        _ => false,
    }
}

fn needs_health_port(spec: &Value) -> bool {
    is_balancer(spec) && walk::text(spec, "externalTrafficPolicy") == "Local"
}

fn external_traffic(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let (policy, at) = (walk::text(spec, "externalTrafficPolicy"), path.child("externalTrafficPolicy"));
    if is_reached_from_outside(spec) {
        check::one_of(errors, &at, policy, &["Cluster", "Local"]);
    } else if !policy.is_empty() {
        errors.push(FieldError::invalid(&at, policy, "may only be set for externally-accessible services"));
    }
    let (port, at) = (walk::int(spec, "healthCheckNodePort"), path.child("healthCheckNodePort"));
    match (needs_health_port(spec), port) {
        (true, 0) => errors.push(FieldError::required(&at, "")),
        (true, port) => errors.extend(names::port_number(port).into_iter().map(|fault| FieldError::invalid(&at, port, fault))),
        (false, 0) => {}
        (false, port) => errors.push(FieldError::invalid(&at, port, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")),
    }
}

fn internal_traffic(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let path = path.child("internalTrafficPolicy");
    match walk::at(spec, "internalTrafficPolicy").as_str() {
        None if matches!(walk::text(spec, "type"), "ClusterIP" | "LoadBalancer" | "NodePort") => errors.push(FieldError::required(&path, "")),
        Some(policy) if !matches!(policy, "Cluster" | "Local") => errors.push(FieldError::not_supported(&path, policy, &["Cluster", "Local"])),
        _ => {}
    }
}

/// What a balancer's owner says of it. Upstream: `ValidateLoadBalancerStatus`.
pub fn validate_status(object: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (entries, list) = (walk::list(object, "status.loadBalancer.ingress"), Path::new("status.loadBalancer.ingress"));
    if !is_balancer(walk::at(object, "spec")) && !entries.is_empty() {
        errors.push(FieldError::forbidden(&list, "may only be used when `spec.type` is 'LoadBalancer'"));
        return errors;
    }
    for (i, entry) in entries.iter().enumerate() {
        let (path, address) = (list.index(i), walk::text(entry, "ip"));
        entry_address(&mut errors, entry, old, &path);
        let (mode, path) = (walk::at(entry, "ipMode"), path.child("ipMode"));
        match mode.as_str() {
            None if !address.is_empty() => errors.push(FieldError::required(&path, "must be specified when `ip` is set")),
            Some(_) if address.is_empty() => errors.push(FieldError::forbidden(&path, "may not be specified when `ip` is not set")),
            Some(mode) if !matches!(mode, "Proxy" | "VIP") => errors.push(FieldError::not_supported(&path, mode, &["Proxy", "VIP"])),
            _ => {}
        }
        entry_name(&mut errors, entry, &list.index(i));
    }
    errors
}

/// The address at which a service or an ingress is reached.
pub fn entry_address(errors: &mut FieldErrors, entry: &Value, old: &Value, path: &Path) {
    let address = walk::text(entry, "ip");
    if !address.is_empty() && !walk::list(old, "status.loadBalancer.ingress").iter().any(|known| walk::text(known, "ip") == address) {
        ip::legacy(errors, &path.child("ip"), address, &[]);
    }
}

/// The name at which a service or an ingress is reached.
pub fn entry_name(errors: &mut FieldErrors, entry: &Value, path: &Path) {
    let name = walk::text(entry, "hostname");
    check::optional_name(errors, &path.child("hostname"), name, names::dns1123_subdomain);
    if ip::parse(name).is_some() {
        errors.push(FieldError::invalid(&path.child("hostname"), name, "must be a DNS name, not an IP address"));
    }
}
