//! Services.

use serde_json::Value;

use crate::columns::{age, columns, labels, name, or_none};
use crate::resource::{Resource, Subresource, Verbs};
use crate::walk;

pub fn resource() -> Resource {
    let proxy = Subresource::of_kind("proxy", "v1", "ServiceProxyOptions", Verbs { create: true, delete: true, ..Verbs::PART });
    let mut service = Resource::new("", "v1", "Service", "services", true)
        .short(&["svc"])
        .in_all()
        .sub(proxy)
        .status_only()
        .select(&["spec.clusterIP", "spec.type"])
        .columns(columns(&["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "+Selector"]), cells);
    service.table = "/registry/services/specs".into();
    service.rules.prepare = |object, old| {
        walk::keep(object, old, "status");
        if old.is_none() {
            object["status"] = serde_json::json!({"loadBalancer": {}});
        }
    };
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
