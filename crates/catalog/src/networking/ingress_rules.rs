//! Validation of ingresses and their classes.
//!
//! Upstream: `pkg/apis/networking/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::core::service_rules::{entry_address, entry_name};
use crate::{check, ip, walk};

const CLASS: &str = "kubernetes.io/ingress.class";
const NOT_IN_PATHS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const NOT_AT_ENDS: [&str; 2] = ["/..", "/."];

pub fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    let (rules, backend) = (walk::list(spec, "rules"), walk::at(spec, "defaultBackend"));
    if rules.is_empty() && !backend.is_object() {
        errors.push(FieldError::invalid(&path, walk::at(spec, "rules").clone(), "either `defaultBackend` or `rules` must be specified"));
    }
    if backend.is_object() {
        self::backend(&mut errors, backend, &path.child("defaultBackend"));
    }
    let lenient = old.is_some_and(has_a_broken_wildcard);
    for (i, rule) in rules.iter().enumerate() {
        let (path, host) = (path.child("rules").index(i), walk::text(rule, "host"));
        self::host(&mut errors, host, &path.child("host"));
        if !(lenient && host.contains('*')) {
            ways(&mut errors, rule, &path);
        }
    }
    tls(&mut errors, spec, old, &path.child("tls"));
    if let Some(class) = walk::at(spec, "ingressClassName").as_str() {
        check::syntax(&mut errors, &path.child("ingressClassName"), class, names::dns1123_subdomain(class));
    }
    if old.is_none() {
        class_annotation(&mut errors, object);
    }
    errors
}

pub fn validate_status(object: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (i, entry) in walk::list(object, "status.loadBalancer.ingress").iter().enumerate() {
        let path = Path::new("status.loadBalancer.ingress").index(i);
        entry_address(&mut errors, entry, old, &path);
        entry_name(&mut errors, entry, &path);
    }
    errors
}

/// A new ingress may say its class twice, but not two of them.
fn class_annotation(errors: &mut FieldErrors, object: &Value) {
    if let (Some(annotation), Some(class)) = (api::meta::annotation(object, CLASS), walk::at(object, "spec.ingressClassName").as_str())
        && annotation != class
    {
        // Upstream: the path leaves the metadata out.
        errors.push(FieldError::invalid(&Path::new("annotations").child(CLASS), annotation, "must match `ingressClassName` when both are specified"));
    }
}

fn name_or_wildcard(errors: &mut FieldErrors, host: &str, path: &Path) {
    let faults = if host.contains('*') { names::wildcard_dns1123_subdomain(host) } else { names::dns1123_subdomain(host) };
    check::syntax(errors, path, host, faults);
}

fn host(errors: &mut FieldErrors, host: &str, path: &Path) {
    if host.is_empty() {
        return;
    }
    if ip::parse(host).is_some() {
        errors.push(FieldError::invalid(path, host, "must be a DNS name, not an IP address"));
    }
    name_or_wildcard(errors, host, path);
}

/// Upstream: what was wrong behind a wildcard once stays allowed.
fn has_a_broken_wildcard(old: &Value) -> bool {
    let wild = walk::list(old, "spec.rules").iter().filter(|rule| walk::text(rule, "host").contains('*'));
    wild.into_iter().any(|rule| {
        let mut errors = FieldErrors::new();
        ways(&mut errors, rule, &Path::default());
        !errors.is_empty()
    })
}

fn ways(errors: &mut FieldErrors, rule: &Value, path: &Path) {
    if !walk::at(rule, "http").is_object() {
        return;
    }
    let (ways, list) = (walk::list(rule, "http.paths"), path.child("http").child("paths"));
    if ways.is_empty() {
        errors.push(FieldError::required(&list, ""));
    }
    for (i, way) in ways.iter().enumerate() {
        self::way(errors, way, &list.index(i));
    }
}

fn way(errors: &mut FieldErrors, way: &Value, path: &Path) {
    let (target, at) = (walk::text(way, "path"), path.child("path"));
    let mut say = |fault: String| errors.push(FieldError::invalid(&at, target, fault));
    match walk::at(way, "pathType").as_str() {
        None => return errors.push(FieldError::required(&path.child("pathType"), "pathType must be specified")),
        Some("Exact" | "Prefix") => {
            if !target.starts_with('/') {
                say("must be an absolute path".into());
            }
            NOT_IN_PATHS.iter().filter(|part| target.contains(**part)).for_each(|part| say(format!("must not contain '{part}'")));
            NOT_AT_ENDS.iter().filter(|end| target.ends_with(**end)).for_each(|end| say(format!("cannot end with '{end}'")));
        }
        Some("ImplementationSpecific") if !target.is_empty() && !target.starts_with('/') => say("must be an absolute path".into()),
        Some("ImplementationSpecific") => {}
        Some(other) => errors.push(FieldError::not_supported(&path.child("pathType"), other, &["Exact", "ImplementationSpecific", "Prefix"])),
    }
    backend(errors, walk::at(way, "backend"), &path.child("backend"));
}

fn backend(errors: &mut FieldErrors, backend: &Value, path: &Path) {
    let (service, resource) = (walk::at(backend, "service"), walk::at(backend, "resource"));
    match (service.is_object(), resource.is_object()) {
        (true, true) => errors.push(FieldError::invalid(path, "", "cannot set both resource and service backends")),
        (false, true) => object_reference(errors, resource, &path.child("resource")),
        (true, false) => self::service(errors, service, path),
        (false, false) => errors.push(FieldError::invalid(path, "", "resource or service backend is required")),
    }
}

fn service(errors: &mut FieldErrors, service: &Value, backend: &Path) {
    let path = backend.child("service");
    check::required_name(errors, &path.child("name"), walk::text(service, "name"), names::dns1123_label);
    let (name, number) = (walk::text(service, "port.name"), walk::int(service, "port.number"));
    match (name, number) {
        ("", 0) => errors.push(FieldError::required(backend, "port name or number is required")),
        ("", number) => errors.extend(names::port_number(number).into_iter().map(|fault| FieldError::invalid(&path.child("port").child("number"), number, fault))),
        (name, 0) => check::syntax(errors, &path.child("port").child("name"), name, names::port_name(name)),
        _ => errors.push(FieldError::invalid(backend, "", "cannot set both port name & port number")),
    }
}

fn tls(errors: &mut FieldErrors, spec: &Value, old: Option<&Value>, list: &Path) {
    let is_wrong = |entry: &Value| walk::at(entry, "secretName").as_str().is_some_and(|name| !name.is_empty() && !names::dns1123_subdomain(name).is_empty());
    let lenient = old.is_some_and(|old| walk::list(old, "spec.tls").iter().any(is_wrong));
    for (i, entry) in walk::list(spec, "tls").iter().enumerate() {
        let path = list.index(i);
        for (j, host) in walk::list(entry, "hosts").iter().filter_map(Value::as_str).enumerate() {
            name_or_wildcard(errors, host, &path.child("hosts").index(j));
        }
        if !lenient {
            check::optional_name(errors, &path.child("secretName"), walk::text(entry, "secretName"), names::dns1123_subdomain);
        }
    }
}

const LONGEST_CONTROLLER: usize = 250;

/// Upstream: `ValidateIngressClass` in `pkg/apis/networking/validation/validation.go`.
pub fn validate_class(object: &Value, old: Option<&Value>) -> FieldErrors {
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
    object_reference(errors, parameters, path);
    let namespace = walk::at(parameters, "namespace");
    match walk::at(parameters, "scope").as_str() {
        None => errors.push(FieldError::required(&path.child("scope"), "")),
        Some("Namespace") => match namespace.as_str() {
            None => errors.push(FieldError::required(&path.child("namespace"), "`parameters.scope` is set to 'Namespace'")),
            Some(name) => check::syntax(errors, &path.child("namespace"), name, names::dns1123_label(name)),
        },
        Some("Cluster") if !namespace.is_null() => errors.push(FieldError::forbidden(&path.child("namespace"), "`parameters.scope` is set to 'Cluster'")),
        Some("Cluster") => {}
        Some(other) => errors.push(FieldError::not_supported(&path.child("scope"), other, &["Cluster", "Namespace"])),
    }
}

/// Another object by group, kind and name.
fn object_reference(errors: &mut FieldErrors, reference: &Value, path: &Path) {
    if let Some(group) = walk::at(reference, "apiGroup").as_str() {
        check::syntax(errors, &path.child("apiGroup"), group, names::dns1123_subdomain(group));
    }
    for key in ["kind", "name"] {
        check::required_name(errors, &path.child(key), walk::text(reference, key), names::path_segment);
    }
}
