//! Ingresses and their classes.

use serde_json::Value;

use super::{ingress_rules, resource as of_group};
use crate::columns::{age, columns, name, or_none};
use crate::resource::Resource;
use crate::walk;

pub fn ingress_class() -> Resource {
    of_group("IngressClass", "ingressclasses", false).rules(|rules| {
        rules.generation = true;
        rules.validate = ingress_rules::validate_class;
        rules.default = |object| {
            if let Some(parameters) = walk::existing_mut(object, "spec.parameters") {
                walk::fill(parameters, "scope", "Cluster");
            }
        };
    }).columns(columns(&["Name", "Controller", "Parameters", "Age"]), |object, now| {
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

pub fn ingress() -> Resource {
    of_group("Ingress", "ingresses", true)
        .short(&["ing"])
        .status()
        .rules(|rules| {
            rules.validate = ingress_rules::validate;
            rules.warn = warn;
            rules.validate_status = ingress_rules::validate_status;
            rules.prepare = |object, old| walk::own_status(object, old, serde_json::json!({"loadBalancer": {}}));
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

/// A class in the annotation alone. Upstream: `pkg/registry/networking/ingress/strategy.go`.
fn warn(object: &Value, old: Option<&Value>) -> Vec<String> {
    if old.is_none() && api::meta::annotation(object, "kubernetes.io/ingress.class").is_some() && walk::at(object, "spec.ingressClassName").is_null() {
        return vec!["annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead".into()];
    }
    Vec::new()
}
