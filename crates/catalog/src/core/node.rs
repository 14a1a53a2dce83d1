//! Nodes.

use serde_json::Value;

use crate::columns::{age, columns, name, or_none};
use crate::resource::{Resource, Subresource, Verbs};
use crate::walk;

pub fn resource() -> Resource {
    let proxy = Subresource::of_kind("proxy", "v1", "NodeProxyOptions", Verbs { create: true, delete: true, ..Verbs::PART });
    Resource::new("", "v1", "Node", "nodes", false)
        .short(&["no"])
        .sub(proxy)
        .status_only()
        .select(&["spec.unschedulable"])
        .rules(|rules| {
            rules.default = |object| {
                if let Some(status) = walk::existing_mut(object, "status")
                    && let Some(capacity) = status.get("capacity").cloned()
                {
                    walk::fill(status, "allocatable", capacity);
                }
            };
            rules.prepare = prepare;
            rules.validate = super::node_rules::validate;
            rules.warn = warn;
            rules.validate_status = super::node_rules::validate_status;
        })
        .columns(
            columns(&["Name", "Status", "Roles", "Age", "Version", "+Internal-IP", "+External-IP", "+OS-Image", "+Kernel-Version", "+Container-Runtime"]),
            cells,
        )
}

/// Kubelets are told their configuration by nobody any more. Upstream: `dropDisabledFields` in `pkg/registry/core/node/strategy.go`.
fn prepare(object: &mut Value, old: Option<&Value>) {
    walk::keep_status_unless_new(object, old);
    walk::drop_new(object, old, "spec", "configSource");
    if old.is_none() {
        walk::drop_new(object, None, "status", "config");
    }
}

fn cells(object: &Value, now: jiff::Timestamp) -> Vec<Value> {
    let address = |kind: &str| {
        let found = walk::list(object, "status.addresses").iter().find(|a| walk::text(a, "type") == kind);
        or_none(found.map(|a| walk::text(a, "address")).unwrap_or_default())
    };
    let info = |key: &str| walk::text(object, &format!("status.nodeInfo.{key}")).to_owned();
    let known = |text: String| if text.is_empty() { "<unknown>".into() } else { Value::from(text) };
    vec![
        name(object),
        status(object).into(),
        or_none(roles(object)),
        age(object, now),
        info("kubeletVersion").into(),
        address("InternalIP"),
        address("ExternalIP"),
        known(info("osImage")),
        known(info("kernelVersion")),
        known(info("containerRuntimeVersion")),
    ]
}

fn status(object: &Value) -> String {
    let ready = walk::list(object, "status.conditions").iter().find(|c| walk::text(c, "type") == "Ready");
    let mut words = vec![match ready.map(|c| walk::text(c, "status")) {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }];
    if walk::flag(object, "spec.unschedulable") {
        words.push("SchedulingDisabled");
    }
    words.join(",")
}

fn roles(object: &Value) -> String {
    let mut roles: Vec<&str> = Vec::new();
    for (key, value) in walk::map(object, "metadata.labels").into_iter().flatten() {
        if let Some(role) = key.strip_prefix("node-role.kubernetes.io/").filter(|r| !r.is_empty()) {
            roles.push(role);
        } else if key == "kubernetes.io/role" {
            roles.extend(value.as_str().filter(|v| !v.is_empty()));
        }
    }
    roles.sort_unstable();
    roles.dedup();
    roles.join(",")
}

/// Upstream: `pkg/registry/core/node/strategy.go`.
fn warn(object: &Value, _: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    if walk::at(object, "spec.configSource").is_object() {
        told.push("spec.configSource: the feature is removed".into());
    }
    if !walk::text(object, "spec.externalID").is_empty() {
        told.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".into());
    }
    told
}
