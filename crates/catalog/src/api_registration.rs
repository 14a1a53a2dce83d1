//! The `apiregistration.k8s.io` group: which server serves which group and version.
//!
//! Upstream: kube-aggregator `pkg/apis/apiregistration`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use base64::Engine as _;
use serde_json::{Value, json};

use crate::check;
use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let service = Resource::new("apiregistration.k8s.io", "v1", "APIService", "apiservices", false).category("api-extensions").status_only();
    let service = service.rules(|rules| {
        rules.default = default;
        rules.prepare = |object, old| walk::own_status(object, old, json!({}));
        rules.validate = validate;
        rules.validate_status = |object, _| validate_status(object);
        // The name's form follows from group and version; see `validate`.
        rules.name = names::path_segment;
        rules.unconditional_update = false;
    });
    vec![service.columns(columns(&["Name", "Service", "Available", "Age"]), |object, now| {
        let service = match walk::text(object, "spec.service.name") {
            "" => "Local".to_owned(),
            service => format!("{}/{service}", walk::text(object, "spec.service.namespace")),
        };
        vec![name(object), service.into(), available(object).into(), age(object, now)]
    })]
}

fn default(object: &mut Value) {
    if let Some(service) = walk::existing_mut(object, "spec.service") {
        walk::fill(service, "port", 443);
    }
}

fn available(object: &Value) -> String {
    let condition = walk::list(object, "status.conditions").iter().find(|c| walk::text(c, "type") == "Available");
    match condition.map(|c| (walk::text(c, "status"), walk::text(c, "reason"))) {
        Some(("True", _)) => "True".into(),
        Some((status, reason)) => format!("{status} ({reason})"),
        None => "Unknown".into(),
    }
}

/// Upstream: `pkg/apis/apiregistration/validation/validation.go`.
fn validate(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (&object["spec"], Path::new("spec"));
    let (group, version) = (walk::text(spec, "group"), walk::text(spec, "version"));
    let wanted = format!("{version}.{group}");
    let name = api::meta::name(object);
    if !name.is_empty() && names::path_segment(name).is_empty() && name != wanted {
        errors.push(FieldError::invalid(&Path::new("metadata.name"), name, format!("must be `spec.version+\".\"+spec.group`: {wanted:?}")));
    }
    if group.is_empty() && version != "v1" {
        errors.push(FieldError::required(&path.child("group"), "only v1 may have an empty group and it better be legacy kube"));
    }
    if !group.is_empty() {
        check::syntax(&mut errors, &path.child("group"), group, names::dns1123_subdomain(group));
    }
    check::syntax(&mut errors, &path.child("version"), version, names::dns1035_label(version));
    for (key, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1_000)] {
        let priority = walk::int(spec, key);
        if !(1..=most).contains(&priority) {
            errors.push(FieldError::invalid(&path.child(key), priority, format!("must be positive and less than {most}")));
        }
    }
    let (bundle, insecure) = (walk::text(spec, "caBundle"), walk::flag(spec, "insecureSkipTLSVerify"));
    let service = &spec["service"];
    if !service.is_object() {
        if !bundle.is_empty() {
            errors.push(FieldError::invalid(&path.child("caBundle"), format!("{} bytes", base64::prelude::BASE64_STANDARD.decode(bundle).map_or(0, |b| b.len())), "local APIServices may not have a caBundle"));
        }
        if insecure {
            errors.push(FieldError::invalid(&path.child("insecureSkipTLSVerify"), true, "local APIServices may not have insecureSkipTLSVerify"));
        }
        return errors;
    }
    for key in ["namespace", "name"] {
        if walk::text(service, key).is_empty() {
            errors.push(FieldError::required(&path.child("service").child(key), ""));
        }
    }
    let port = walk::int(service, "port");
    let faults = names::port_number(port);
    if !faults.is_empty() {
        errors.push(FieldError::invalid(&path.child("service").child("port"), port, format!("port is not valid: {}", faults.join(", "))));
    }
    if insecure && !bundle.is_empty() {
        errors.push(FieldError::invalid(&path.child("insecureSkipTLSVerify"), true, "may not be true if caBundle is present"));
    }
    errors
}

fn validate_status(object: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (i, condition) in walk::list(object, "status.conditions").iter().enumerate() {
        let status = walk::text(condition, "status");
        if !["True", "False", "Unknown"].contains(&status) {
            errors.push(FieldError::not_supported(&Path::new("status.conditions").index(i).child("status"), status, &["True", "False", "Unknown"]));
        }
    }
    errors
}

/// Where a group stands among the others, and a version within its group. Those of custom resources come after all.
///
/// Upstream: `pkg/controlplane/apiserver/aggregator.go`, `cmd/kube-apiserver/app/aggregator.go`.
pub fn priority(group: &str, version: &str) -> (i64, i64) {
    const GROUPS: [(&str, i64); 23] = [
        ("", 18000), ("apps", 17800), ("events.k8s.io", 17750), ("authentication.k8s.io", 17700), ("authorization.k8s.io", 17600), ("autoscaling", 17500), ("batch", 17400),
        ("certificates.k8s.io", 17300), ("networking.k8s.io", 17200), ("policy", 17100), ("rbac.authorization.k8s.io", 17000), ("storage.k8s.io", 16800), ("apiextensions.k8s.io", 16700),
        ("admissionregistration.k8s.io", 16700), ("scheduling.k8s.io", 16600), ("coordination.k8s.io", 16500), ("node.k8s.io", 16300), ("discovery.k8s.io", 16200), ("resource.k8s.io", 16200),
        ("flowcontrol.apiserver.k8s.io", 16100), ("internal.apiserver.k8s.io", 16000), ("storagemigration.k8s.io", 15800), ("apiregistration.k8s.io", 18000),
    ];
    let Some((_, of_group)) = GROUPS.iter().find(|(g, _)| *g == group) else { return (1000, 100) };
    let of_version = match (group, version) {
        ("", _) => 1,
        ("autoscaling", "v2") => 30,
        ("flowcontrol.apiserver.k8s.io", "v1") => 21,
        ("resource.k8s.io", "v1") => 20,
        (_, "v1") => 15,
        ("admissionregistration.k8s.io", "v1beta1") => 12,
        (_, v) if v.contains("beta") => 9,
        _ => 1,
    };
    (*of_group, of_version)
}
