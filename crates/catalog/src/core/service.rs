//! Services.

use serde_json::{Map, Value, json};

use crate::columns::{age, columns, labels, name, or_none};
use crate::resource::{Resource, Subresource, Verbs};
use crate::walk::{self, fill, fill_text};

pub fn resource() -> Resource {
    let proxy = Subresource::of_kind("proxy", "v1", "ServiceProxyOptions", Verbs { create: true, delete: true, ..Verbs::PART });
    let mut service = Resource::new("", "v1", "Service", "services", true)
        .short(&["svc"])
        .in_all()
        .sub(proxy)
        .status_only()
        .gives_deleted()
        .select(&["spec.clusterIP", "spec.type"])
        .columns(columns(&["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"]), cells);
    service.table = "/registry/services/specs".into();
    service.rules.default = default;
    service.rules.validate = super::service_rules::validate;
    service.rules.validate_status = super::service_rules::validate_status;
    service.rules.prepare = prepare;
    service.rules.warn = super::service_warnings::warn;
    service.rules.warn_status = super::service_warnings::warn_status;
    // Upstream: services are names of DNS, by RFC 1123 since RelaxedServiceNameValidation.
    service.rules.name = api::names::dns1123_label;
    service
}

fn cells(object: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let kind = walk::text(object, "spec.type");
    let ip = walk::list(object, "spec.clusterIPs").first().and_then(Value::as_str).unwrap_or_else(|| walk::text(object, "spec.clusterIP"));
    vec![name(object), kind.into(), or_none(ip), external(object, kind), or_none(ports(object)), age(object, now), labels(walk::at(object, "spec.selector"))]
}

fn external(object: &Value, kind: &str) -> Value {
    let given: Vec<_> = walk::list(object, "spec.externalIPs").iter().filter_map(Value::as_str).collect();
    match kind {
        "ExternalName" => walk::text(object, "spec.externalName").into(),
        "LoadBalancer" => {
            let mut all: Vec<&str> = walk::list(object, "status.loadBalancer.ingress").iter().map(|i| if walk::text(i, "ip").is_empty() { walk::text(i, "hostname") } else { walk::text(i, "ip") }).collect();
            all.extend(&given);
            if all.is_empty() { "<pending>".into() } else { all.join(",").into() }
        }
        _ => or_none(given.join(",")),
    }
}

fn ports(object: &Value) -> String {
    let shown: Vec<_> = walk::list(object, "spec.ports")
        .iter()
        .map(|port| {
            let (number, protocol) = (walk::int(port, "port"), walk::text(port, "protocol"));
            match walk::int(port, "nodePort") {
                0 => format!("{number}/{protocol}"),
                node => format!("{number}:{node}/{protocol}"),
            }
        })
        .collect();
    shown.join(",")
}

/// Upstream: `pkg/apis/core/v1/defaults.go`. Addresses and node ports are given out by the server.
fn default(object: &mut Value) {
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    fill_text(spec, "sessionAffinity", "None");
    if spec["sessionAffinity"] == "None" {
        spec.remove("sessionAffinityConfig");
    } else if spec["sessionAffinity"] == "ClientIP" && spec.get("sessionAffinityConfig").is_none_or(|c| walk::at(c, "clientIP.timeoutSeconds").is_null()) {
        spec.insert("sessionAffinityConfig".into(), json!({"clientIP": {"timeoutSeconds": 10800}}));
    }
    fill_text(spec, "type", "ClusterIP");
    for port in walk::items(spec, "ports") {
        fill_text(port, "protocol", "TCP");
        if port.get("targetPort").is_none_or(|t| t.is_null() || t == 0 || t == "") {
            let number = port.get("port").cloned().unwrap_or_default();
            port.insert("targetPort".into(), number);
        }
    }
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    let outside = spec.get("externalIPs").and_then(Value::as_array).is_some_and(|ips| !ips.is_empty());
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") || (kind == "ClusterIP" && outside) {
        fill_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer" | "ClusterIP") {
        fill(spec, "internalTrafficPolicy", "Cluster");
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
        for ingress in walk::list_mut(object, "status.loadBalancer.ingress").iter_mut().filter_map(Value::as_object_mut) {
            if ingress.get("ip").is_some_and(|ip| ip != "") {
                fill(ingress, "ipMode", "VIP");
            }
        }
    }
}

/// Upstream: `normalizeClusterIPs` and `dropTypeDependentFields` of `pkg/registry/core/service`.
fn prepare(object: &mut Value, old: Option<&Value>) {
    walk::own_status(object, old, json!({"loadBalancer": {}}));
    let before = old.map(|old| walk::at(old, "spec"));
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    first_in_step(spec, before);
    if let Some(before) = before {
        drop_what_the_old_type_used(spec, before);
        if walk::text(object, "spec.type") != "LoadBalancer" {
            object["status"]["loadBalancer"] = json!({});
        }
    }
}

/// Who says `clusterIP` alone says `clusterIPs`.
fn first_in_step(spec: &mut Map<String, Value>, old: Option<&Value>) {
    let one = spec.get("clusterIP").and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = spec.get("clusterIPs").and_then(Value::as_array).filter(|all| !all.is_empty());
    match old {
        None if !one.is_empty() && all.is_none() => drop(spec.insert("clusterIPs".into(), json!([one]))),
        Some(old) if all.map(Vec::as_slice).unwrap_or_default() == walk::list(old, "clusterIPs") && one != walk::text(old, "clusterIP") => {
            if one.is_empty() {
                spec.remove("clusterIPs");
            } else {
                spec.insert("clusterIPs".into(), json!([one]));
            }
        }
        _ => {}
    }
}

/// What only the old type had a use for goes with it, unless the writer says otherwise.
fn drop_what_the_old_type_used(spec: &mut Map<String, Value>, old: &Value) {
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default();
    let was = |kind: &str| walk::text(old, "type") == kind;
    let addressed = spec.get("externalIPs").and_then(Value::as_array).is_some_and(|ips| !ips.is_empty());
    let outside = matches!(kind, "NodePort" | "LoadBalancer") || (kind == "ClusterIP" && addressed);
    let mut keys: Vec<&str> = Vec::new();
    if was("LoadBalancer") && kind != "LoadBalancer" {
        keys.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"]);
    }
    if !outside {
        keys.push("externalTrafficPolicy");
    }
    for key in keys {
        if spec.get(key) == old.get(key) {
            spec.remove(key);
        }
    }
}
