//! What whoever writes a pod, or a template of pods, is told though nothing is wrong.
//!
//! Upstream: `pkg/api/pod/warnings.go`, and pods' own of `pkg/registry/core/pod/strategy.go`. Texts are only made where
//! there is something to tell: every pod comes by here.

pub mod containers;
mod paths;
mod placement;
mod ports;
mod volumes;

pub use containers::fractional_byte;
use serde_json::Value;

use super::annotations::SECCOMP;
use crate::{ip, walk};

/// So many are told of one object; far fewer fit into an answer. What compares each with each ends here.
const MOST: usize = 512;
/// Of longer lists that many are compared with each other.
// Differs: upstream compares all, however long it takes.
const MOST_COMPARED: usize = 1000;

/// Annotations that no longer do what they once did.
const ENDED: [(&str, &str); 3] = [
    ("scheduler.alpha.kubernetes.io/critical-pod", "non-functional in v1.16+; use the \"priorityClassName\" field instead"),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    ("security.alpha.kubernetes.io/unsafe-sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
];

/// Of a new pod. Upstream: updates of pods are many, and hardly ever a person's: nothing is told.
pub fn of_pod(pod: &Value, old: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    if old.is_none() {
        let faults = api::names::dns1123_label(api::meta::name(pod));
        if !faults.is_empty() {
            told.push(format!("metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [{}]", faults.join(" ")));
        }
        spec_and_metadata(&mut told, pod, "");
    }
    told
}

/// Of a write of a pod's status.
pub fn of_status(pod: &Value) -> Vec<String> {
    let mut told = Vec::new();
    for list in ["podIPs", "hostIPs"] {
        for (i, address) in walk::list(&pod["status"], list).iter().enumerate() {
            ip::warn(&mut told, format_args!("status.{list}[{i}].ip"), walk::text(address, "ip"));
        }
    }
    told
}

/// Of the template that `within`, a path that ends in a dot, leads to.
pub fn of_template(told: &mut Vec<String>, template: &Value, within: &str) {
    if template.is_object() {
        spec_and_metadata(told, template, within);
    }
}

/// In upstream's order; `within` is empty for a pod itself.
fn spec_and_metadata(told: &mut Vec<String>, object: &Value, within: &str) {
    let (spec, annotations) = (&object["spec"], walk::map(object, "metadata.annotations"));
    let annotated = |key: &str| annotations.is_some_and(|all| all.contains_key(key));
    placement::nodes(told, spec, within);
    if annotations.is_some() {
        let ended = ENDED.into_iter().filter(|(key, _)| annotated(key));
        told.extend(ended.map(|(key, why)| format!("{within}metadata.annotations[{key}]: {why}")));
    }
    volumes::ended(told, spec, within);
    paths::overlapping(told, spec);
    listed(told, spec, within);
    containers::fractional(told, &spec["overhead"], format_args!("{within}spec.overhead"));
    if !walk::at(spec, "securityContext.seccompProfile").is_object() && annotated(SECCOMP) {
        told.push(format!("{within}metadata.annotations[{SECCOMP}]: non-functional in v1.27+; use the \"seccompProfile\" field instead"));
    }
    containers::each(told, spec, annotations, within);
    ports::overlapping(told, spec, within);
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        told.push(format!("{within}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"));
    }
    placement::pods(told, spec, within);
    addresses(told, spec, within);
}

/// What stands twice in lists that apply merges by it.
fn listed(told: &mut Vec<String>, spec: &Value, within: &str) {
    for (i, ip) in repeated(walk::list(spec, "hostAliases"), "ip") {
        told.push(format!("{within}spec.hostAliases[{i}].ip: duplicate ip {ip:?}"));
    }
    let secrets = walk::list(spec, "imagePullSecrets");
    for (i, name) in repeated(secrets, "name") {
        told.push(format!("{within}spec.imagePullSecrets[{i}].name: duplicate name {name:?}"));
    }
    for (i, _) in secrets.iter().enumerate().filter(|(_, secret)| walk::text(secret, "name").is_empty()) {
        told.push(format!("{within}spec.imagePullSecrets[{i}].name: invalid empty name \"\""));
    }
}

fn addresses(told: &mut Vec<String>, spec: &Value, within: &str) {
    for (i, server) in walk::list(spec, "dnsConfig.nameservers").iter().enumerate() {
        ip::warn(told, format_args!("{within}spec.dnsConfig.nameservers[{i}]"), server.as_str().unwrap_or_default());
    }
    for (i, alias) in walk::list(spec, "hostAliases").iter().enumerate() {
        ip::warn(told, format_args!("{within}spec.hostAliases[{i}].ip"), walk::text(alias, "ip"));
    }
}

/// The items whose text at `key` an earlier one has. Short lists, which most are, are compared where they lie.
fn repeated<'a>(items: &'a [Value], key: &'static str) -> impl Iterator<Item = (usize, &'a str)> {
    const SHORT: usize = 32;
    let mut seen = std::collections::HashSet::new();
    let texts = items.iter().map(move |item| walk::text(item, key)).enumerate();
    texts.filter(move |(i, text)| {
        if items.len() > SHORT { !seen.insert(*text) } else { items[..*i].iter().any(|earlier| walk::text(earlier, key) == *text) }
    })
}

/// A pod's containers of all kinds, each with the name of its list and its place there. Upstream: `VisitContainersWithPath`.
fn containers_of(spec: &Value) -> impl Iterator<Item = (&'static str, usize, &Value)> {
    ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(|list| walk::list(spec, list).iter().enumerate().map(move |(i, container)| (list, i, container)))
}
