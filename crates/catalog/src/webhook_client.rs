//! How a webhook is reached: `{url | service, caBundle}`, of admission as of conversion.
//!
//! Upstream: apiserver `pkg/util/webhook/validation.go`; client-go `transport/transport.go` for bundles.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use base64::Engine as _;
use serde_json::Value;
use x509_parser::pem::Pem;

use crate::walk;

/// One of the two, and it fits.
pub fn validate(errors: &mut FieldErrors, client: &Value, path: &Path) {
    let given = |key: &str| client.get(key).filter(|v| !v.is_null());
    match (given("url"), given("service")) {
        (Some(given), None) => url(errors, given.as_str().unwrap_or_default(), &path.child("url")),
        (None, Some(given)) => service(errors, given, &path.child("service")),
        _ => errors.push(FieldError::required(path, "exactly one of url or service is required")),
    }
}

/// Only https, to a host, with nothing behind the path.
fn url(errors: &mut FieldErrors, text: &str, path: &Path) {
    const FORM: &str = "; desired format: https://host[/path]";
    let url = match sprig::url::parse(text.as_bytes()) {
        Ok(url) => url,
        Err(why) => return errors.push(FieldError::required(path, format!("url must be a valid URL: {why}{FORM}"))),
    };
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if url.scheme != "https" {
        errors.push(FieldError::invalid(path, url.scheme.as_str(), format!("'https' is the only allowed URL scheme{FORM}")));
    }
    if url.host.is_empty() {
        errors.push(FieldError::invalid(path, "", format!("host must be specified{FORM}")));
    }
    if let Some(user) = url.userinfo() {
        errors.push(FieldError::invalid(path, shown(&user), "user information is not permitted in the URL"));
    }
    if !url.fragment.is_empty() {
        errors.push(FieldError::invalid(path, shown(&url.fragment), "fragments are not permitted in the URL"));
    }
    if !url.query.is_empty() {
        errors.push(FieldError::invalid(path, shown(&url.query), "query parameters are not permitted in the URL"));
    }
}

/// A service by name and namespace, its port, and the path asked there.
fn service(errors: &mut FieldErrors, service: &Value, path: &Path) {
    // Upstream: the two are handed over in each other's place, so each is told under the other's name.
    if walk::text(service, "namespace").is_empty() {
        errors.push(FieldError::required(&path.child("name"), ""));
    }
    if walk::text(service, "name").is_empty() {
        errors.push(FieldError::required(&path.child("namespace"), ""));
    }
    let port = walk::int(service, "port");
    let faults = names::port_number(port);
    if !faults.is_empty() {
        errors.push(FieldError::invalid(&path.child("port"), port, format!("port is not valid: {}", faults.join(", "))));
    }
    steps(errors, walk::text(service, "path"), &path.child("path"));
}

fn steps(errors: &mut FieldErrors, given: &str, path: &Path) {
    if matches!(given, "" | "/") {
        return;
    }
    if given == "//" {
        return errors.push(FieldError::invalid(path, given, "segment[0] may not be empty"));
    }
    if !given.starts_with('/') {
        errors.push(FieldError::invalid(path, given, "must start with a '/'"));
    }
    let steps = String::from_utf8_lossy(&given.as_bytes()[1..]);
    for (i, step) in steps.strip_suffix('/').unwrap_or(&steps).split('/').enumerate() {
        if step.is_empty() {
            errors.push(FieldError::invalid(path, given, format!("segment[{i}] may not be empty")));
            continue;
        }
        errors.extend(names::dns1123_subdomain(step).into_iter().map(|fault| FieldError::invalid(path, given, format!("segment[{i}]: {fault}"))));
    }
}

/// What is wrong with a bundle of certificates, given as it stands in JSON; nothing is wrong with none.
pub fn bundle_fault(text: &str) -> Option<String> {
    let bytes = base64::prelude::BASE64_STANDARD.decode(text).unwrap_or_default();
    if bytes.is_empty() {
        return None;
    }
    let mut why = None;
    for block in Pem::iter_from_buffer(&bytes) {
        let Ok(block) = block else { break };
        if block.label != "CERTIFICATE" {
            continue;
        }
        match block.parse_x509() {
            Ok(_) => return None,
            Err(error) => why = why.or(Some(format!("failed to parse certificate: {error}"))),
        }
    }
    let has_block = bytes.windows(10).any(|w| w == b"-----BEGIN");
    let why = why.unwrap_or_else(|| if has_block { "no valid certificate authority data seen" } else { "unable to parse bytes as PEM block" }.to_owned());
    Some(format!("unable to load root certificates: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn clients_are_told_in_upstreams_words() {
        let told = |client: Value| {
            let mut errors = FieldErrors::new();
            validate(&mut errors, &client, &Path::new("c"));
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told(json!({"url": "https://a.b:8443/x"})), [""; 0]);
        assert_eq!(told(json!({})), ["c: Required value: exactly one of url or service is required"]);
        let form = "; desired format: https://host[/path]";
        assert_eq!(told(json!({"url": "https://a:b"})), [format!("c.url: Required value: url must be a valid URL: parse \"https://a:b\": invalid port \":b\" after host{form}")]);
        assert_eq!(told(json!({"url": ""})), [format!("c.url: Invalid value: \"\": 'https' is the only allowed URL scheme{form}"), format!("c.url: Invalid value: \"\": host must be specified{form}")]);
        assert_eq!(told(json!({"service": {"name": "a", "port": 443}})), ["c.service.name: Required value"]);
    }

    #[test]
    fn bundles_hold_a_certificate() {
        let told = |text: &str| bundle_fault(&base64::prelude::BASE64_STANDARD.encode(text));
        assert_eq!(told(""), None);
        assert_eq!(told("x").as_deref(), Some("unable to load root certificates: unable to parse bytes as PEM block"));
        let block = |kind: &str| format!("-----BEGIN {kind}-----\nAAAA\n-----END {kind}-----\n");
        assert_eq!(told(&block("KEY")).as_deref(), Some("unable to load root certificates: no valid certificate authority data seen"));
        assert!(told(&block("CERTIFICATE")).is_some_and(|why| why.starts_with("unable to load root certificates: failed to parse certificate: ")));
    }
}
