//! Ingresses and their classes.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::resource as of_group;
use crate::check;
use crate::columns::{age, columns, name, or_none};
use crate::resource::Resource;
use crate::walk;

pub fn ingress_class() -> Resource {
    of_group("IngressClass", "ingressclasses", false).rules(|rules| {
        rules.generation = true;
        rules.validate = validate_class;
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
            rules.validate = validate;
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

/// Upstream: `pkg/apis/networking/validation/validation.go`.
fn validate(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let spec = Path::new("spec");
    if walk::list(object, "spec.rules").is_empty() && !walk::at(object, "spec.defaultBackend").is_object() {
        errors.push(FieldError::invalid(&spec, walk::at(object, "spec").clone(), "either `defaultBackend` or `rules` must be specified"));
    }
    for (i, rule) in walk::list(object, "spec.rules").iter().enumerate() {
        let path = spec.child("rules").index(i);
        let host = walk::text(rule, "host");
        check::optional_name(&mut errors, &path.child("host"), host.strip_prefix("*.").unwrap_or(host), api::names::dns1123_subdomain);
        for (j, way) in walk::list(rule, "http.paths").iter().enumerate() {
            let path = path.child("http").child("paths").index(j);
            let (kind, target) = (walk::text(way, "pathType"), walk::text(way, "path"));
            if kind.is_empty() {
                errors.push(FieldError::required(&path.child("pathType"), "pathType must be specified"));
            }
            check::maybe_one_of(&mut errors, &path.child("pathType"), kind, &["Exact", "ImplementationSpecific", "Prefix"]);
            if !target.starts_with('/') && (kind != "ImplementationSpecific" || !target.is_empty()) {
                errors.push(FieldError::invalid(&path.child("path"), target, "must be an absolute path"));
            }
            backend(&mut errors, walk::at(way, "backend"), &path.child("backend"));
        }
    }
    if walk::at(object, "spec.defaultBackend").is_object() {
        backend(&mut errors, walk::at(object, "spec.defaultBackend"), &spec.child("defaultBackend"));
    }
    errors
}

fn backend(errors: &mut FieldErrors, backend: &Value, path: &Path) {
    let (service, resource) = (walk::at(backend, "service"), walk::at(backend, "resource").is_object());
    if service.is_object() && resource {
        return errors.push(FieldError::invalid(path, "", "cannot set both resource and service backends"));
    }
    if !service.is_object() {
        if !resource {
            errors.push(FieldError::required(path, "resource or service backend is required"));
        }
        return;
    }
    let path = path.child("service");
    check::required_name(errors, &path.child("name"), walk::text(service, "name"), api::names::dns1123_label);
    let (name, number) = (walk::text(service, "port.name"), walk::int(service, "port.number"));
    match (name.is_empty(), number) {
        (true, 0) => errors.push(FieldError::required(&path, "port name or number is required")),
        (false, n) if n != 0 => errors.push(FieldError::invalid(&path, "", "cannot set both port name & port number")),
        _ => {}
    }
}

const LONGEST_CONTROLLER: usize = 250;

/// Upstream: `ValidateIngressClass` in `pkg/apis/networking/validation/validation.go`.
fn validate_class(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (path, controller) = (Path::new("spec"), walk::text(object, "spec.controller"));
    if let Some(old) = old {
        check::immutable(&mut errors, &path.child("controller"), walk::at(object, "spec.controller"), walk::at(old, "spec.controller"));
    }
    if controller.len() > LONGEST_CONTROLLER {
        errors.push(FieldError::too_long(&path.child("controller"), LONGEST_CONTROLLER));
    }
    check::domain_prefixed_path(&mut errors, &path.child("controller"), controller);
    let parameters = walk::at(object, "spec.parameters");
    if parameters.is_object() {
        class_parameters(&mut errors, parameters, &path.child("parameters"));
    }
    errors
}

fn class_parameters(errors: &mut FieldErrors, parameters: &Value, path: &Path) {
    if let Some(group) = walk::at(parameters, "apiGroup").as_str() {
        check::syntax(errors, &path.child("apiGroup"), group, api::names::dns1123_subdomain(group));
    }
    for (key, fault) in [("kind", "kind is required"), ("name", "name is required")] {
        let text = walk::text(parameters, key);
        check::required(errors, parameters, key, path, fault);
        check::syntax(errors, &path.child(key), text, api::names::path_segment(text));
    }
    let namespace = walk::at(parameters, "namespace");
    match walk::text(parameters, "scope") {
        "Namespace" => match namespace.as_str() {
            None => errors.push(FieldError::required(&path.child("namespace"), "`parameters.scope` is set to 'Namespace'")),
            Some(name) => check::syntax(errors, &path.child("namespace"), name, api::names::dns1123_label(name)),
        },
        "Cluster" if !namespace.is_null() => errors.push(FieldError::forbidden(&path.child("namespace"), "`parameters.scope` is set to 'Cluster'")),
        "Cluster" => {}
        other => errors.push(FieldError::not_supported(&path.child("scope"), other, &["Cluster", "Namespace"])),
    }
}
