//! What whoever writes a Service is told though nothing is wrong. Upstream: `pkg/api/service/warnings.go`.

use serde_json::Value;

use crate::{ip, walk};

const HINTS: &str = "service.kubernetes.io/topology-aware-hints";

pub fn warn(service: &Value, _: Option<&Value>) -> Vec<String> {
    let (mut told, spec) = (Vec::new(), &service["spec"]);
    let text = |key| walk::text(spec, key);
    let (external, kind, address) = (walk::list(spec, "externalIPs"), text("type"), text("clusterIP"));
    if api::meta::annotation(service, HINTS).is_some() {
        told.push(format!("annotation {HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead"));
    }
    if !matches!(address, "" | "None") {
        addresses(&mut told, spec, "clusterIPs");
    }
    if kind == "ClusterIP" && address == "None" {
        headless(&mut told, spec);
    }
    if !external.is_empty() {
        told.push("spec.externalIPs is deprecated".into());
    }
    addresses(&mut told, spec, "externalIPs");
    ip::warn(&mut told, "spec.loadBalancerIP", text("loadBalancerIP"));
    for (i, range) in walk::list(spec, "loadBalancerSourceRanges").iter().enumerate() {
        ip::warn_range(&mut told, format_args!("spec.loadBalancerSourceRanges[{i}]"), range.as_str().unwrap_or_default());
    }
    if kind == "ExternalName" && !external.is_empty() {
        told.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".into());
    }
    if kind != "ExternalName" && !text("externalName").is_empty() {
        told.push("spec.externalName is ignored when spec.type is not \"ExternalName\"".into());
    }
    if text("trafficDistribution") == "PreferClose" {
        told.push("spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"".into());
    }
    told
}

fn addresses(told: &mut Vec<String>, spec: &Value, list: &str) {
    for (i, address) in walk::list(spec, list).iter().enumerate() {
        ip::warn(told, format_args!("spec.{list}[{i}]"), address.as_str().unwrap_or_default());
    }
}

/// Without an address of its own a service has no use for these.
fn headless(told: &mut Vec<String>, spec: &Value) {
    if !walk::text(spec, "loadBalancerIP").is_empty() {
        told.push("spec.loadBalancerIP is ignored for headless services".into());
    }
    if !walk::list(spec, "externalIPs").is_empty() {
        told.push("spec.externalIPs is ignored for headless services".into());
    }
    if walk::text(spec, "sessionAffinity") != "None" {
        told.push("spec.SessionAffinity is ignored for headless services".into());
    }
}

/// Of a write of status.
pub fn warn_status(service: &Value) -> Vec<String> {
    let mut told = Vec::new();
    for (i, ingress) in walk::list(service, "status.loadBalancer.ingress").iter().enumerate() {
        ip::warn(&mut told, format_args!("status.loadBalancer.ingress[{i}]"), walk::text(ingress, "ip"));
    }
    told
}
