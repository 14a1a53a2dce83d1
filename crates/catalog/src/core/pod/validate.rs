//! Validation of pods and pod templates.
//!
//! Upstream: `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::{claims, containers, placement, pod_level_rules, security, spreading, systems, volumes};
use crate::check::{self, optional_name};
use crate::{ip, metadata, walk};

pub fn pod(object: &Value, old: Option<&Value>) -> FieldErrors {
    let path = Path::new("spec");
    let mut errors = changed_spec(object, old.unwrap_or(&Value::Null));
    containers::images(&mut errors, walk::at(object, "spec"), &path);
    own_claims(&mut errors, object, &path);
    volumes::tokens(&mut errors, walk::at(object, "spec"), &path);
    match old {
        None if !walk::list(object, "spec.ephemeralContainers").is_empty() => errors.push(FieldError::forbidden(&path.child("ephemeralContainers"), "cannot be set on create")),
        None => {}
        Some(old) => super::update::check(&mut errors, walk::at(object, "spec"), walk::at(old, "spec"), &path),
    }
    errors
}

/// What a node makes of a file of its own has nobody who would allocate devices to it.
fn own_claims(errors: &mut FieldErrors, object: &Value, path: &Path) {
    if !walk::list(object, "spec.resourceClaims").is_empty() && api::meta::annotation(object, "kubernetes.io/config.mirror").is_some() {
        errors.push(FieldError::forbidden(&path.child("resourceClaims"), "static pods do not support resource claims"));
    }
}

/// The spec as it is meant. What an older server let in may go on: only what changes is judged anew.
pub fn changed_spec(object: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    if old.get("spec") != object.get("spec") {
        spec(&mut errors, walk::at(object, "spec"), &Path::new("spec"));
    }
    errors
}

/// A template as it stands in a controller's spec.
pub fn template(errors: &mut FieldErrors, template: &Value, path: &Path) {
    marks(errors, template, path);
    spec(errors, walk::at(template, "spec"), &path.child("spec"));
    if !walk::list(template, "spec.ephemeralContainers").is_empty() {
        errors.push(FieldError::forbidden(&path.child("spec").child("ephemeralContainers"), "ephemeral containers not allowed in pod template"));
    }
}

/// Labels and annotations of a template.
pub fn marks(errors: &mut FieldErrors, template: &Value, path: &Path) {
    errors.extend(metadata::validate_labels(walk::at(template, "metadata.labels"), &path.child("labels")));
    errors.extend(metadata::validate_annotations(walk::at(template, "metadata.annotations"), &path.child("annotations")));
}

fn spec(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let known = containers::Known {
        volumes: volumes::volumes(errors, spec, &path.child("volumes")),
        claims: claims::validate(errors, spec, path),
        restarts: walk::text(spec, "restartPolicy"),
        grace: walk::at(spec, "terminationGracePeriodSeconds").as_i64(),
        os: walk::text(spec, "os.name"),
    };
    containers::all(errors, spec, &known, path);
    pod_level_rules::validate(errors, spec, &path.child("resources"));
    containers::host_network(errors, spec, path);
    check::one_of(errors, &path.child("restartPolicy"), walk::text(spec, "restartPolicy"), &["Always", "OnFailure", "Never"]);
    check::one_of(errors, &path.child("dnsPolicy"), walk::text(spec, "dnsPolicy"), &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    errors.extend(metadata::validate_labels(walk::at(spec, "nodeSelector"), &path.child("nodeSelector")));
    security::pod(errors, spec, path);
    placement::affinity(errors, walk::at(spec, "affinity"), &path.child("affinity"));
    dns(errors, spec, &path.child("dnsConfig"));
    placement::gates(errors, spec, path);
    spreading::validate(errors, spec, &path.child("topologySpreadConstraints"));
    systems::own_users(errors, spec, path);
    for key in ["serviceAccountName", "nodeName"] {
        optional_name(errors, &path.child(key), walk::text(spec, key), names::dns1123_subdomain);
    }
    let deadline = walk::at(spec, "activeDeadlineSeconds");
    if deadline.as_i64().is_some_and(|d| !(1..=i64::from(i32::MAX)).contains(&d)) {
        errors.push(FieldError::invalid(&path.child("activeDeadlineSeconds"), deadline.clone(), "must be between 1 and 2147483647, inclusive"));
    }
    for key in ["hostname", "subdomain"] {
        optional_name(errors, &path.child(key), walk::text(spec, key), names::dns1123_label);
    }
    host_name(errors, spec, &path.child("hostnameOverride"));
    placement::tolerations(errors, spec, &path.child("tolerations"));
    host_aliases(errors, spec, &path.child("hostAliases"));
    for key in ["priorityClassName", "runtimeClassName"] {
        optional_name(errors, &path.child(key), walk::text(spec, key), names::dns1123_subdomain);
    }
    check::maybe_one_of(errors, &path.child("preemptionPolicy"), walk::text(spec, "preemptionPolicy"), &["PreemptLowerPriority", "Never"]);
    systems::validate(errors, spec, path);
}

/// A name that stands for all others: one that the kernel holds, of a network of its own.
fn host_name(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let Some(name) = walk::at(spec, "hostnameOverride").as_str() else { return };
    check::syntax(errors, path, name, names::dns1123_subdomain(name));
    if name.len() > 64 {
        errors.push(FieldError::too_long(path, 64));
    }
    for key in ["hostNetwork", "setHostnameAsFQDN"] {
        if walk::flag(spec, key) {
            errors.push(FieldError::forbidden(path, format!("cannot be set when {key} is true")));
        }
    }
}

fn host_aliases(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    for alias in walk::list(spec, "hostAliases") {
        ip::legacy(errors, &path.child("ip"), walk::text(alias, "ip"), &[]);
        for name in walk::list(alias, "hostnames").iter().filter_map(Value::as_str) {
            check::syntax(errors, &path.child("hostnames"), name, names::dns1123_subdomain(name));
        }
    }
}

fn dns(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let config = walk::at(spec, "dnsConfig");
    let servers = walk::list(config, "nameservers");
    if walk::text(spec, "dnsPolicy") == "None" {
        if !config.is_object() {
            return errors.push(FieldError::required(path, "must provide `dnsConfig` when `dnsPolicy` is None"));
        }
        if servers.is_empty() {
            return errors.push(FieldError::required(&path.child("nameservers"), "must provide at least one DNS nameserver when `dnsPolicy` is None"));
        }
    }
    if servers.len() > 3 {
        errors.push(FieldError::invalid(&path.child("nameservers"), walk::at(config, "nameservers").clone(), "must not have more than 3 nameservers"));
    }
    for (i, server) in servers.iter().filter_map(Value::as_str).enumerate() {
        ip::legacy(errors, &path.child("nameservers").index(i), server, &[]);
    }
    let searches = walk::list(config, "searches");
    if searches.len() > 32 {
        errors.push(FieldError::invalid(&path.child("searches"), walk::at(config, "searches").clone(), "must not have more than 32 search paths"));
    }
    let paths: Vec<_> = searches.iter().filter_map(Value::as_str).collect();
    if paths.join(" ").len() > 2048 {
        errors.push(FieldError::invalid(&path.child("searches"), walk::at(config, "searches").clone(), "must not have more than 2048 characters (including spaces) in the search list"));
    }
    // Upstream: since RelaxedDNSSearchValidation the root, and underscores.
    for (i, search) in paths.iter().enumerate().filter(|(_, search)| **search != ".") {
        let search = search.strip_suffix('.').unwrap_or(search);
        check::syntax(errors, &path.child("searches").index(i), search, names::dns1123_subdomain_with_underscore(search));
    }
    for (i, option) in walk::list(config, "options").iter().enumerate() {
        if walk::text(option, "name").is_empty() {
            errors.push(FieldError::required(&path.child("options").index(i), "must not be empty"));
        }
    }
}
