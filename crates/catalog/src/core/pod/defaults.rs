//! Defaults of pods and pod templates.
//!
//! A template takes fewer than a pod: what only a pod needs is filled when the pod is made, so that templates stay as
//! their writers left them. Upstream: `pkg/apis/core/v1/defaults.go`.

use serde_json::{Map, Value, json};

use super::volume_defaults;
use crate::walk::{self, child, fill, fill_number, fill_text, items};

/// Lists of containers of a pod, ephemeral ones last.
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Fills a pod.
pub fn pod(pod: &mut Value) {
    if let Some(spec) = walk::existing_mut(pod, "spec") {
        pod_spec(spec);
        only_pods(spec);
    }
}

/// Fills the pod template at `path`.
pub fn template(object: &mut Value, path: &str) {
    let Some(template) = walk::existing_mut(object, path) else { return };
    if let Some(spec) = template.entry("spec").or_insert_with(|| json!({})).as_object_mut() {
        pod_spec(spec);
    }
}

/// What pods and templates share.
fn pod_spec(spec: &mut Map<String, Value>) {
    fill_text(spec, "dnsPolicy", "ClusterFirst");
    fill_text(spec, "restartPolicy", "Always");
    fill(spec, "securityContext", json!({}));
    fill(spec, "terminationGracePeriodSeconds", 30);
    fill_text(spec, "schedulerName", "default-scheduler");
    account_names(spec);
    for list in CONTAINERS {
        for container in items(spec, list) {
            self::container(container);
        }
    }
    for volume in items(spec, "volumes") {
        volume_defaults::volume(volume);
    }
    quantities(spec.get_mut("overhead"));
    resource_lists(spec);
}

/// Upstream: conversion keeps the old name of the field equal to the new one.
fn account_names(spec: &mut Map<String, Value>) {
    let name = |key: &str| spec.get(key).and_then(Value::as_str).filter(|n| !n.is_empty()).map(str::to_owned);
    if let Some(name) = name("serviceAccountName").or_else(|| name("serviceAccount")) {
        spec.insert("serviceAccountName".into(), name.clone().into());
        spec.insert("serviceAccount".into(), name.into());
    }
}

fn only_pods(spec: &mut Map<String, Value>) {
    for list in ["initContainers", "containers"] {
        for container in items(spec, list) {
            requests_from_limits(container);
        }
    }
    super::pod_level::default(spec);
    fill(spec, "enableServiceLinks", true);
    if spec.get("hostNetwork").and_then(Value::as_bool) == Some(true) {
        for list in ["initContainers", "containers"] {
            for container in items(spec, list) {
                for port in items(container, "ports") {
                    let number = port.get("containerPort").cloned().unwrap_or_default();
                    if port.get("hostPort").and_then(Value::as_i64).unwrap_or_default() == 0 && number.as_i64().unwrap_or_default() != 0 {
                        port.insert("hostPort".into(), number);
                    }
                }
            }
        }
    }
}

fn requests_from_limits(container: &mut Map<String, Value>) {
    let Some(resources) = container.get_mut("resources").and_then(Value::as_object_mut) else { return };
    let Some(limits) = resources.get("limits").and_then(Value::as_object).filter(|l| !l.is_empty()).cloned() else { return };
    if let Some(requests) = resources.entry("requests").or_insert_with(|| json!({})).as_object_mut() {
        for (key, value) in limits {
            requests.entry(key).or_insert(value);
        }
    }
}

fn container(container: &mut Map<String, Value>) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = pull_policy(image);
    fill_text(container, "imagePullPolicy", policy);
    fill_text(container, "terminationMessagePath", "/dev/termination-log");
    fill_text(container, "terminationMessagePolicy", "File");
    for port in items(container, "ports") {
        fill_text(port, "protocol", "TCP");
    }
    for variable in items(container, "env") {
        if let Some(reference) = child(variable, "valueFrom").and_then(|v| child(v, "fieldRef")) {
            fill_text(reference, "apiVersion", "v1");
        }
        if let Some(reference) = child(variable, "valueFrom").and_then(|v| child(v, "fileKeyRef")) {
            fill(reference, "optional", false);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = child(container, name) {
            self::probe(probe);
        }
    }
    if let Some(lifecycle) = child(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(hook) = child(lifecycle, hook) {
                http_get(hook);
            }
        }
    }
    resource_lists(container);
}

fn resource_lists(owner: &mut Map<String, Value>) {
    if let Some(resources) = child(owner, "resources") {
        quantities(resources.get_mut("limits"));
        quantities(resources.get_mut("requests"));
    }
}

fn probe(probe: &mut Map<String, Value>) {
    for (key, value) in [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)] {
        fill_number(probe, key, value);
    }
    http_get(probe);
    if let Some(grpc) = child(probe, "grpc") {
        fill(grpc, "service", "");
    }
}

fn http_get(handler: &mut Map<String, Value>) {
    if let Some(get) = child(handler, "httpGet") {
        fill_text(get, "path", "/");
        fill_text(get, "scheme", "HTTP");
    }
}

/// Images without a tag are `latest`, and those may have changed. A digest is not a tag.
pub fn pull_policy(image: &str) -> &'static str {
    let (name, digest) = image.split_once('@').map_or((image, false), |(name, _)| (name, true));
    let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
    match last.split_once(':') {
        Some((_, "latest")) => "Always",
        None if !digest && !image.is_empty() => "Always",
        _ => "IfNotPresent",
    }
}

/// Upstream: amounts finer than a thousandth are rounded up.
pub fn quantities(list: Option<&mut Value>) {
    for value in list.and_then(Value::as_object_mut).into_iter().flat_map(|m| m.values_mut()) {
        let Some(text) = value.as_str().filter(|t| t.ends_with(['n', 'u'])) else { continue };
        if let Ok(exact) = text.parse::<quantity::Quantity>() {
            let rounded = quantity::Quantity::from_milli(exact.milli_value(), exact.format());
            *value = rounded.to_string().into();
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn tags_decide_the_pull_policy() {
        for (image, policy) in [("a", "Always"), ("a:latest", "Always"), ("a:1", "IfNotPresent"), ("h:5000/a", "Always"), ("h:5000/a:1", "IfNotPresent"), ("a@sha256:00", "IfNotPresent")] {
            assert_eq!(super::pull_policy(image), policy, "{image}");
        }
    }
}
