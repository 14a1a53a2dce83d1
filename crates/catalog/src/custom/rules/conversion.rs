//! How versions are converted, and the webhook asked for it.
//!
//! Upstream: apiserver `pkg/util/webhook/validation.go` for addresses of webhooks.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use crate::{check, walk};

pub fn validate(errors: &mut FieldErrors, form: &Value, path: &Path, established: bool) {
    let Some(conversion) = form.get("conversion") else { return };
    let strategy = walk::text(conversion, "strategy");
    if strategy != "None" && walk::flag(form, "preserveUnknownFields") {
        errors.push(FieldError::invalid(&path.child("strategy"), strategy, "must be None if spec.preserveUnknownFields is true"));
    }
    check::one_of(errors, &path.child("strategy"), strategy, &["None", "Webhook"]);
    let (client, versions) = (conversion.get("webhookClientConfig"), walk::list(conversion, "conversionReviewVersions"));
    let (client_path, versions_path) = (path.child("webhookClientConfig"), path.child("conversionReviewVersions"));
    if strategy != "Webhook" {
        if client.is_some() {
            errors.push(FieldError::forbidden(&client_path, "should not be set when strategy is not set to Webhook"));
        }
        if !versions.is_empty() {
            errors.push(FieldError::forbidden(&versions_path, "should not be set when strategy is not set to Webhook"));
        }
        return;
    }
    match client {
        None => errors.push(FieldError::required(&client_path, "required when strategy is set to Webhook")),
        Some(client) => client_config(errors, client, &client_path, established),
    }
    review_versions(errors, versions, &versions_path);
}

fn client_config(errors: &mut FieldErrors, client: &Value, path: &Path, established: bool) {
    let (url, service) = (client.get("url").and_then(Value::as_str), client.get("service").filter(|s| s.is_object()));
    match (url, service) {
        (Some(url), None) => webhook_url(errors, url, &path.child("url")),
        (None, Some(service)) => webhook_service(errors, service, &path.child("service")),
        _ => errors.push(FieldError::required(path, "exactly one of url or service is required")),
    }
    let bundle = walk::text(client, "caBundle");
    if established && !bundle.is_empty() && !is_bundle(bundle) {
        errors.push(FieldError::invalid(&path.child("caBundle"), bundle, "unable to load root certificates: unable to parse bytes as PEM block"));
    }
}

fn is_bundle(text: &str) -> bool {
    use base64::Engine as _;
    let bytes = base64::prelude::BASE64_STANDARD.decode(text).unwrap_or_default();
    String::from_utf8_lossy(&bytes).contains("-----BEGIN CERTIFICATE-----")
}

fn review_versions(errors: &mut FieldErrors, versions: &[Value], path: &Path) {
    if versions.is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let texts: Vec<&str> = versions.iter().filter_map(Value::as_str).collect();
    for (i, version) in texts.iter().enumerate() {
        if texts[..i].contains(version) {
            errors.push(FieldError::invalid(&path.index(i), *version, "duplicate version"));
            continue;
        }
        check::syntax(errors, &path.index(i), version, names::dns1035_label(version));
    }
    if !texts.iter().any(|v| matches!(*v, "v1" | "v1beta1")) {
        errors.push(FieldError::invalid(path, Value::Array(versions.to_vec()), "must include at least one of v1, v1beta1"));
    }
}

/// Only https, to a host, with nothing behind the path.
pub fn webhook_url(errors: &mut FieldErrors, url: &str, path: &Path) {
    const FORM: &str = "; desired format: https://host[/path]";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    if scheme != "https" {
        errors.push(FieldError::invalid(path, scheme, format!("'https' is the only allowed URL scheme{FORM}")));
    }
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = if scheme.is_empty() { "" } else { rest.split('/').next().unwrap_or_default() };
    let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if host.is_empty() {
        errors.push(FieldError::invalid(path, host, format!("host must be specified{FORM}")));
    }
    if let Some(user) = user {
        errors.push(FieldError::invalid(path, user, "user information is not permitted in the URL"));
    }
    if !fragment.is_empty() {
        errors.push(FieldError::invalid(path, fragment, "fragments are not permitted in the URL"));
    }
    if !query.is_empty() {
        errors.push(FieldError::invalid(path, query, "query parameters are not permitted in the URL"));
    }
}

/// A service by name and namespace, its port, and the path asked there.
pub fn webhook_service(errors: &mut FieldErrors, service: &Value, path: &Path) {
    for (key, why) in [("name", "service name is required"), ("namespace", "service namespace is required")] {
        if walk::text(service, key).is_empty() {
            errors.push(FieldError::required(&path.child(key), why));
        }
    }
    let port = service.get("port").and_then(Value::as_i64).unwrap_or(443);
    let faults = names::port_number(port);
    if !faults.is_empty() {
        errors.push(FieldError::invalid(&path.child("port"), port, format!("port is not valid: {}", faults.join(", "))));
    }
    let text = walk::text(service, "path");
    if text.is_empty() || text == "/" {
        return;
    }
    let at = path.child("path");
    if text == "//" {
        errors.push(FieldError::invalid(&at, text, "segment[0] may not be empty"));
        return;
    }
    if !text.starts_with('/') {
        errors.push(FieldError::invalid(&at, text, "must start with a '/'"));
    }
    let steps = text.get(1..).unwrap_or_default();
    for (i, step) in steps.strip_suffix('/').unwrap_or(steps).split('/').enumerate() {
        if step.is_empty() {
            errors.push(FieldError::invalid(&at, text, format!("segment[{i}] may not be empty")));
            continue;
        }
        errors.extend(names::dns1123_subdomain(step).into_iter().map(|fault| FieldError::invalid(&at, text, format!("segment[{i}]: {fault}"))));
    }
}
