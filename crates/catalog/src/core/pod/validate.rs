//! Validation of pods and pod templates.
//!
//! Upstream: `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::{meta, names};
use serde_json::{Value, json};

use super::{annotations, claims, containers, environment, placement, pod_level_rules, resources, security, spreading, systems, volumes, windows};
use crate::check::{self, optional_name};
use crate::{ip, metadata, walk};

pub fn pod(object: &Value, old: Option<&Value>) -> FieldErrors {
    let path = Path::new("spec");
    let mut errors = changed(object, old);
    let spec = walk::at(object, "spec");
    let Some(old) = old else {
        created(&mut errors, object, &path);
        return errors;
    };
    annotations::stay(&mut errors, object, old, &Path::new("metadata.annotations"));
    super::update::check(&mut errors, spec, walk::at(old, "spec"), &path);
    errors
}

/// What holds only of a pod that is made.
fn created(errors: &mut FieldErrors, object: &Value, path: &Path) {
    let spec = walk::at(object, "spec");
    if !walk::list(spec, "ephemeralContainers").is_empty() {
        errors.push(FieldError::forbidden(&path.child("ephemeralContainers"), "cannot be set on create"));
    }
    if !walk::text(spec, "nodeName").is_empty() && !walk::list(spec, "schedulingGates").is_empty() {
        errors.push(FieldError::forbidden(&path.child("nodeName"), "cannot be set until all schedulingGates have been cleared"));
    }
    annotations::seccomp_matches(errors, object, path);
    annotations::app_armor_matches(errors, object, path);
}

/// Annotations and spec as they are meant. What an older server let in may go on: only a spec that changes is judged anew.
pub fn changed(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let path = Path::new("spec");
    annotations::validate(&mut errors, object, old, &Path::new("metadata.annotations"));
    if old.and_then(|old| old.get("spec")) != object.get("spec") || old.is_none() {
        let spec = walk::at(object, "spec");
        self::spec(&mut errors, spec, Some(object), &path);
        volumes::tokens(&mut errors, spec, &path);
        containers::images(&mut errors, spec, &path);
    }
    errors
}

/// A template as it stands in a controller's spec.
pub fn template(errors: &mut FieldErrors, template: &Value, path: &Path) {
    marks(errors, template, path);
    annotations::validate(errors, template, None, &path.child("annotations"));
    spec(errors, walk::at(template, "spec"), None, &path.child("spec"));
    annotations::seccomp_matches(errors, template, &path.child("spec"));
    if !walk::list(template, "spec.ephemeralContainers").is_empty() {
        errors.push(FieldError::forbidden(&path.child("spec").child("ephemeralContainers"), "ephemeral containers not allowed in pod template"));
    }
}

/// Labels and annotations of a template.
pub fn marks(errors: &mut FieldErrors, template: &Value, path: &Path) {
    errors.extend(metadata::validate_labels(walk::at(template, "metadata.labels"), &path.child("labels")));
    errors.extend(metadata::validate_annotations(walk::at(template, "metadata.annotations"), &path.child("annotations")));
}

/// `pod` is the whole object, where it is one.
fn spec(errors: &mut FieldErrors, spec: &Value, pod: Option<&Value>, path: &Path) {
    let of_file = pod.is_some_and(|pod| meta::annotation(pod, annotations::MIRROR).is_some());
    let known = containers::Known {
        volumes: volumes::volumes(errors, spec, pod.map(meta::name).unwrap_or_default(), &path.child("volumes")),
        claims: claims::validate(errors, spec, of_file, path),
        restarts: walk::text(spec, "restartPolicy"),
        grace: walk::at(spec, "terminationGracePeriodSeconds").as_i64(),
        os: walk::text(spec, "os.name"),
        own_users: walk::at(spec, "hostUsers").as_bool() == Some(false),
    };
    containers::all(errors, spec, &known, path);
    pod_level_rules::validate(errors, spec, &path.child("resources"));
    containers::host_network(errors, spec, pod.is_some(), path);
    check::one_of(errors, &path.child("restartPolicy"), walk::text(spec, "restartPolicy"), &["Always", "OnFailure", "Never"]);
    check::one_of(errors, &path.child("dnsPolicy"), walk::text(spec, "dnsPolicy"), &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    errors.extend(metadata::validate_labels(walk::at(spec, "nodeSelector"), &path.child("nodeSelector")));
    security::pod(errors, spec, path);
    placement::affinity(errors, walk::at(spec, "affinity"), &path.child("affinity"));
    dns(errors, spec, &path.child("dnsConfig"));
    placement::gates(errors, spec, path);
    spreading::validate(errors, spec, &path.child("topologySpreadConstraints"));
    windows::host_process(errors, spec, path);
    systems::own_users(errors, spec, path);
    host_name(errors, spec, &path.child("hostnameOverride"));
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
    placement::tolerations(errors, spec, &path.child("tolerations"));
    host_aliases(errors, spec, &path.child("hostAliases"));
    optional_name(errors, &path.child("priorityClassName"), walk::text(spec, "priorityClassName"), names::dns1123_subdomain);
    if let Some(class) = walk::at(spec, "runtimeClassName").as_str() {
        check::syntax(errors, &path.child("runtimeClassName"), class, names::dns1123_subdomain(class));
    }
    check::maybe_one_of(errors, &path.child("preemptionPolicy"), walk::text(spec, "preemptionPolicy"), &["PreemptLowerPriority", "Never"]);
    // Upstream judges what a pod costs beside its containers as limits of one.
    resources::requirements(errors, &json!({"limits": walk::at(spec, "overhead")}), &HashSet::new(), &path.child("overhead"));
    systems::validate(errors, spec, path);
    environment::files(errors, spec, path);
}

/// A name that stands for all others: one that the kernel holds, of a network of its own.
fn host_name(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    let Some(name) = walk::at(spec, "hostnameOverride").as_str() else { return };
    for key in ["setHostnameAsFQDN", "hostNetwork"] {
        if walk::flag(spec, key) {
            errors.push(FieldError::forbidden(path, format!("may not be specified when {key} is true")));
        }
    }
    if name.len() > 64 {
        errors.push(FieldError::too_long(path, 64));
    }
    check::syntax(errors, path, name, names::dns1123_subdomain(name));
}

fn host_aliases(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    for (i, alias) in walk::list(spec, "hostAliases").iter().enumerate() {
        let path = path.index(i);
        ip::legacy(errors, &path.child("ip"), walk::text(alias, "ip"), &[]);
        for (j, name) in walk::list(alias, "hostnames").iter().filter_map(Value::as_str).enumerate() {
            check::syntax(errors, &path.child("hostnames").index(j), name, names::dns1123_subdomain(name));
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
