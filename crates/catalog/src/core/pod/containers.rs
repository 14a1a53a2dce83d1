//! Validation of containers: regular, init, ephemeral.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::volumes::Volumes;
use super::{environment, handlers, mounts, resources, restarts, security};
use crate::check::{self, required_name};
use crate::walk;

/// What containers may refer to, and what holds for all of them.
pub struct Known<'a> {
    pub volumes: Volumes<'a>,
    pub claims: HashSet<&'a str>,
    /// The pod's restart policy.
    pub restarts: &'a str,
    /// How long the pod may take to end.
    pub grace: Option<i64>,
    /// The system that its containers are made for.
    pub os: &'a str,
    /// Whether the pod has users of its own.
    pub own_users: bool,
}

pub fn all(errors: &mut FieldErrors, spec: &Value, known: &Known<'_>, path: &Path) {
    let (regular, init) = (walk::list(spec, "containers"), walk::list(spec, "initContainers"));
    if regular.is_empty() {
        errors.push(FieldError::required(&path.child("containers"), ""));
    }
    let mut names = HashSet::new();
    for (i, container) in regular.iter().enumerate() {
        let path = path.child("containers").index(i);
        one(errors, container, known, &path);
        unique_name(errors, container, &mut names, &path);
        running(errors, container, known, &path);
        restarts::validate(errors, container, &path);
    }
    host_ports(errors, regular, &path.child("containers"));
    for (i, container) in init.iter().enumerate() {
        self::init(errors, container, &mut names, known, &path.child("initContainers"), i);
    }
    ephemeral(errors, spec, &mut names, known, &path.child("ephemeralContainers"));
}

/// Those that run before the others, or beside them.
fn init<'a>(errors: &mut FieldErrors, container: &'a Value, names: &mut HashSet<&'a str>, known: &Known<'_>, list: &Path, i: usize) {
    let path = list.index(i);
    one(errors, container, known, &path);
    restarts::validate(errors, container, &path);
    unique_name(errors, container, names, &path);
    // Upstream: the path says the first, whichever it is.
    host_ports(errors, std::slice::from_ref(container), list);
    if walk::text(container, "restartPolicy") == "Always" {
        return running(errors, container, known, &path);
    }
    for key in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
        if walk::at(container, key).is_object() {
            errors.push(FieldError::forbidden(&path.child(key), "may not be set for init containers without restartPolicy=Always"));
        }
    }
    for (j, _) in walk::list(container, "resizePolicy").iter().enumerate().filter(|(_, policy)| walk::text(policy, "restartPolicy") == "RestartContainer") {
        let path = path.child("resizePolicy").index(j).child("restartPolicy");
        errors.push(FieldError::invalid(&path, "RestartContainer", "must not be set to 'RestartContainer' for non-sidecar initContainers"));
    }
}

fn unique_name<'a>(errors: &mut FieldErrors, container: &'a Value, names: &mut HashSet<&'a str>, path: &Path) {
    let name = walk::text(container, "name");
    if !names.insert(name) {
        errors.push(FieldError::duplicate(&path.child("name"), name));
    }
}

/// On its host's network a pod's ports are its host's; a template's are filled in when the pod is made.
pub fn host_network(errors: &mut FieldErrors, spec: &Value, is_pod: bool, path: &Path) {
    if !walk::flag(spec, "hostNetwork") {
        return;
    }
    for (i, container) in walk::list(spec, "containers").iter().enumerate() {
        for (j, port) in walk::list(container, "ports").iter().enumerate() {
            let number = walk::int(port, "hostPort");
            if (is_pod || number != 0) && number != walk::int(port, "containerPort") {
                let path = path.child("containers").index(i).child("ports").index(j).child("hostPort");
                errors.push(FieldError::invalid(&path, number, "must match `containerPort` when `hostNetwork` is true"));
            }
        }
    }
}

/// Names of images as pods must have them; templates of older servers may have more.
pub fn images(errors: &mut FieldErrors, spec: &Value, path: &Path) {
    for list in ["containers", "initContainers"] {
        for (i, container) in walk::list(spec, list).iter().enumerate() {
            image(errors, container, &path.child(list).index(i));
        }
    }
}

fn image(errors: &mut FieldErrors, container: &Value, path: &Path) {
    let image = walk::text(container, "image");
    if image.trim() != image {
        errors.push(FieldError::invalid(&path.child("image"), image, "must not have leading or trailing whitespace"));
    }
}

/// What those who look into a pod may not say, in the order of Go's fields.
const NOT_EPHEMERAL: [&str; 9] = ["ports", "resources", "resizePolicy", "restartPolicy", "restartPolicyRules", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"];

fn ephemeral<'a>(errors: &mut FieldErrors, spec: &'a Value, names: &mut HashSet<&'a str>, known: &Known<'_>, path: &Path) {
    const REFUSED: &str = "cannot be set for an Ephemeral Container";
    let targets = names.clone();
    for (i, container) in walk::list(spec, "ephemeralContainers").iter().enumerate() {
        let path = path.index(i);
        one(errors, container, known, &path);
        image(errors, container, &path);
        unique_name(errors, container, names, &path);
        let target = walk::text(container, "targetContainerName");
        if !target.is_empty() && !targets.contains(target) {
            errors.push(FieldError::not_found(&path.child("targetContainerName"), target));
        }
        for key in NOT_EPHEMERAL {
            let value = walk::at(container, key);
            let is_unset = value.is_null() || (key == "resources" && walk::map(container, key).is_some_and(|r| r.is_empty()));
            if !is_unset {
                errors.push(FieldError::forbidden(&path.child(key), REFUSED));
            }
        }
        for (j, mount) in walk::list(container, "volumeMounts").iter().enumerate() {
            for key in ["subPath", "subPathExpr"].into_iter().filter(|key| !walk::text(mount, key).is_empty()) {
                errors.push(FieldError::forbidden(&path.child("volumeMounts").index(j).child(key), REFUSED));
            }
        }
    }
}

fn one(errors: &mut FieldErrors, container: &Value, known: &Known<'_>, path: &Path) {
    required_name(errors, &path.child("name"), walk::text(container, "name"), names::dns1123_label);
    check::required(errors, container, "image", path, "");
    check::one_of(errors, &path.child("terminationMessagePolicy"), walk::text(container, "terminationMessagePolicy"), &["File", "FallbackToLogsOnError"]);
    ports(errors, container, &path.child("ports"));
    environment::env(errors, container, path);
    mounts::validate(errors, container, &known.volumes, path);
    check::one_of(errors, &path.child("imagePullPolicy"), walk::text(container, "imagePullPolicy"), &["Always", "IfNotPresent", "Never"]);
    resources::requirements(errors, walk::at(container, "resources"), &known.claims, &path.child("resources"));
    resources::resize_policy(errors, container, known.restarts, path);
    security::container(errors, walk::at(container, "securityContext"), known.own_users, &path.child("securityContext"));
}

/// What only containers say that run beside others: how they begin, live and end.
fn running(errors: &mut FieldErrors, container: &Value, known: &Known<'_>, path: &Path) {
    handlers::lifecycle(errors, walk::at(container, "lifecycle"), known, &path.child("lifecycle"));
    for (key, once) in [("livenessProbe", true), ("readinessProbe", false), ("startupProbe", true)] {
        handlers::probe(errors, walk::at(container, key), once, &path.child(key));
    }
}

fn ports(errors: &mut FieldErrors, container: &Value, list: &Path) {
    let mut seen = HashSet::new();
    for (i, port) in walk::list(container, "ports").iter().enumerate() {
        let (path, name) = (list.index(i), walk::text(port, "name"));
        let faults = if name.is_empty() { Vec::new() } else { names::port_name(name) };
        if !name.is_empty() && faults.is_empty() && !seen.insert(name) {
            errors.push(FieldError::duplicate(&path.child("name"), name));
        }
        check::syntax(errors, &path.child("name"), name, faults);
        match walk::int(port, "containerPort") {
            0 => errors.push(FieldError::required(&path.child("containerPort"), "")),
            _ => check::port(errors, &path.child("containerPort"), walk::at(port, "containerPort")),
        }
        if walk::int(port, "hostPort") != 0 {
            check::port(errors, &path.child("hostPort"), walk::at(port, "hostPort"));
        }
        check::one_of(errors, &path.child("protocol"), walk::text(port, "protocol"), &["SCTP", "TCP", "UDP"]);
    }
}

fn host_ports(errors: &mut FieldErrors, containers: &[Value], path: &Path) {
    let mut taken = HashSet::new();
    for (i, container) in containers.iter().enumerate() {
        for (j, port) in walk::list(container, "ports").iter().enumerate() {
            let number = walk::int(port, "hostPort");
            let key = format!("{}/{}/{number}", walk::text(port, "protocol"), walk::text(port, "hostIP"));
            if number != 0 && !taken.insert(key.clone()) {
                errors.push(FieldError::duplicate(&path.index(i).child("ports").index(j).child("hostPort"), key));
            }
        }
    }
}
