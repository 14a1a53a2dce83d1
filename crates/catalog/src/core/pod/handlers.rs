//! Validation of probes and lifecycle hooks.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use super::containers::Known;
use super::signals;
use crate::check;
use crate::walk;

/// One way of asking or telling a container, exactly one.
pub fn handler(errors: &mut FieldErrors, handler: &Value, kinds: &[&str], grace: Option<i64>, path: &Path) {
    let mut given = 0;
    for kind in kinds {
        let action = walk::at(handler, kind);
        if !action.is_object() {
            continue;
        }
        let path = path.child(kind);
        if given > 0 {
            errors.push(FieldError::forbidden(&path, "may not specify more than 1 handler type"));
            continue;
        }
        given += 1;
        match *kind {
            "exec" if walk::list(action, "command").is_empty() => errors.push(FieldError::required(&path.child("command"), "")),
            "httpGet" => http_get(errors, action, &path),
            "tcpSocket" | "grpc" => check::port(errors, &path.child("port"), walk::at(action, "port")),
            "sleep" => sleep(errors, walk::int(action, "seconds"), grace, &path),
            _ => {}
        }
    }
    if given == 0 {
        errors.push(FieldError::required(path, "must specify a handler type"));
    }
}

/// A sleep ends before the pod must; a pod without a grace period has that fault already.
fn sleep(errors: &mut FieldErrors, seconds: i64, grace: Option<i64>, path: &Path) {
    if let Some(grace) = grace.filter(|grace| !(0..=*grace).contains(&seconds)) {
        errors.push(FieldError::invalid(path, seconds, format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})")));
    }
}

fn http_get(errors: &mut FieldErrors, action: &Value, path: &Path) {
    if walk::text(action, "path").is_empty() {
        errors.push(FieldError::required(&path.child("path"), ""));
    }
    check::port(errors, &path.child("port"), walk::at(action, "port"));
    check::maybe_one_of(errors, &path.child("scheme"), walk::text(action, "scheme"), &["HTTP", "HTTPS"]);
    for header in walk::list(action, "httpHeaders") {
        let name = walk::text(header, "name");
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            let fault = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')";
            errors.push(FieldError::invalid(&path.child("httpHeaders"), name, fault));
        }
    }
}

pub fn probe(errors: &mut FieldErrors, probe: &Value, once: bool, path: &Path) {
    if !probe.is_object() {
        return;
    }
    handler(errors, probe, &["exec", "httpGet", "tcpSocket", "grpc"], None, path);
    for key in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        check::non_negative(errors, probe, key, path);
    }
    let grace = walk::at(probe, "terminationGracePeriodSeconds");
    if grace.as_i64().is_some_and(|g| g <= 0) {
        errors.push(FieldError::invalid(&path.child("terminationGracePeriodSeconds"), grace.clone(), "must be greater than 0"));
    }
    if !once && !grace.is_null() {
        errors.push(FieldError::invalid(&path.child("terminationGracePeriodSeconds"), grace.clone(), "must not be set for readinessProbes"));
    }
    let threshold = walk::int(probe, "successThreshold");
    if once && threshold != 1 {
        errors.push(FieldError::invalid(&path.child("successThreshold"), threshold, "must be 1"));
    }
}

pub fn lifecycle(errors: &mut FieldErrors, lifecycle: &Value, known: &Known<'_>, path: &Path) {
    for hook in ["postStart", "preStop"] {
        let action = walk::at(lifecycle, hook);
        if action.is_object() {
            handler(errors, action, &["exec", "httpGet", "tcpSocket", "sleep"], known.grace, &path.child(hook));
        }
    }
    let signal = walk::at(lifecycle, "stopSignal");
    if let Some(signal) = signal.as_str() {
        signals::stop_signal(errors, signal, known.os, &path.child("stopSignal"));
    }
}
