//! The `networking.k8s.io` group.

use serde_json::Value;

use crate::columns::{age, columns, name, or_none, selector};
use crate::resource::Resource;
use crate::walk;

const GROUP: &str = "networking.k8s.io";

fn resource(kind: &'static str, plural: &'static str, namespaced: bool) -> Resource {
    let mut resource = Resource::new(GROUP, "v1", kind, plural, namespaced);
    resource.table = format!("/registry/{plural}").into();
    resource
}

pub fn resources() -> Vec<Resource> {
    vec![ingress_class(), ingress(), ip_address(), network_policy(), service_cidr()]
}

fn ingress_class() -> Resource {
    resource("IngressClass", "ingressclasses", false).rules(|rules| rules.generation = true).columns(columns(&["Name", "Controller", "Parameters", "Age"]), |object, now| {
        let parameters = walk::at(object, "spec.parameters");
        let shown = if parameters.is_object() {
            let kind = match walk::text(parameters, "apiGroup") {
                "" => walk::text(parameters, "kind").to_owned(),
                group => format!("{}.{group}", walk::text(parameters, "kind")),
            };
            format!("{kind}/{}", walk::text(parameters, "name"))
        } else {
            "<none>".to_owned()
        };
        vec![name(object), walk::text(object, "spec.controller").into(), shown.into(), age(object, now)]
    })
}

fn ingress() -> Resource {
    resource("Ingress", "ingresses", true)
        .short(&["ing"])
        .status()
        .rules(|rules| {
            rules.prepare = |object, old| {
                walk::keep(object, old, "status");
                if old.is_none() {
                    object["status"] = serde_json::json!({"loadBalancer": {}});
                }
            }
        })
        .columns(columns(&["Name", "Class", "Hosts", "Address", "Ports", "Age"]), |object, now| {
            let class = match walk::text(object, "spec.ingressClassName") {
                "" => api::meta::annotation(object, "kubernetes.io/ingress.class").unwrap_or_default(),
                class => class,
            };
            let addresses: Vec<_> = walk::list(object, "status.loadBalancer.ingress").iter().map(|i| if walk::text(i, "ip").is_empty() { walk::text(i, "hostname") } else { walk::text(i, "ip") }).collect();
            let ports = if walk::list(object, "spec.tls").is_empty() { "80" } else { "80, 443" };
            vec![name(object), or_none(class), hosts(object), addresses.join(",").into(), ports.into(), age(object, now)]
        })
}

/// Upstream: three hosts, then a count; none at all is `*`.
fn hosts(object: &Value) -> Value {
    let all: Vec<_> = walk::list(object, "spec.rules").iter().map(|r| walk::text(r, "host")).filter(|h| !h.is_empty()).collect();
    match all.len() {
        0 => "*".into(),
        1..=3 => all.join(",").into(),
        n => format!("{} + {} more...", all[..3].join(","), n - 3).into(),
    }
}

fn ip_address() -> Resource {
    resource("IPAddress", "ipaddresses", false).short(&["ip"]).columns(columns(&["Name", "ParentRef"]), |object, _| {
        let parent = walk::at(object, "spec.parentRef");
        let resource = match walk::text(parent, "group") {
            "" => walk::text(parent, "resource").to_owned(),
            group => format!("{}.{group}", walk::text(parent, "resource")),
        };
        let place = [resource.as_str(), walk::text(parent, "namespace"), walk::text(parent, "name")];
        vec![name(object), place.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/").into()]
    })
}

fn network_policy() -> Resource {
    resource("NetworkPolicy", "networkpolicies", true)
        .short(&["netpol"])
        .rules(|rules| rules.generation = true)
        .columns(columns(&["Name", "Pod-Selector", "Age"]), |object, now| vec![name(object), selector(walk::at(object, "spec.podSelector")), age(object, now)])
}

fn service_cidr() -> Resource {
    resource("ServiceCIDR", "servicecidrs", false).status_only().columns(columns(&["Name", "CIDRs", "Age"]), |object, now| {
        let cidrs: Vec<_> = walk::list(object, "spec.cidrs").iter().filter_map(Value::as_str).collect();
        vec![name(object), cidrs.join(",").into(), age(object, now)]
    })
}
