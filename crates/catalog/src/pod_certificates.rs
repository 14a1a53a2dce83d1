//! Validation of pods' requests for certificates, and of what their signers answer.
//!
//! Upstream: `pkg/apis/certificates/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use base64::Engine as _;
use jiff::Timestamp;
use serde_json::Value;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use crate::certificates_rules::signer_name;
use crate::{check, walk};

const LONGEST_UID: usize = 128;
const SHORTEST: i64 = 3600;
const LONGEST: i64 = 91 * 86_400;
const LONGEST_OF_KUBERNETES: i64 = 86_400;
const LARGEST_CHAIN: usize = 100 << 10;
/// How far a certificate's begin may be from now, and how near its renewal to its ends.
const SKEW: i64 = 300;
const MARGIN: i64 = 600;

pub fn pod_request(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    if let Some(old) = old {
        check::immutable(&mut errors, &path, spec, walk::at(old, "spec"));
        return errors;
    }
    let signer = walk::text(spec, "signerName");
    signer_name(&mut errors, signer, &path.child("signerName"));
    for (name, uid) in [("podName", "podUID"), ("serviceAccountName", "serviceAccountUID"), ("nodeName", "nodeUID")] {
        let (text, id) = (walk::text(spec, name), walk::text(spec, uid));
        check::syntax(&mut errors, &path.child(name), text, names::dns1123_subdomain(text));
        if id.is_empty() {
            errors.push(FieldError::invalid(&path.child(uid), id, "must not be empty"));
        }
        if id.len() > LONGEST_UID {
            errors.push(FieldError::too_long(&path.child(uid), LONGEST_UID));
        }
    }
    let longest = if signer.split('/').next().is_some_and(|d| d == "kubernetes.io" || d.ends_with(".kubernetes.io")) { LONGEST_OF_KUBERNETES } else { LONGEST };
    match walk::at(spec, "maxExpirationSeconds").as_i64() {
        None => errors.push(FieldError::required(&path.child("maxExpirationSeconds"), "must be set")),
        Some(seconds) if !(SHORTEST..=longest).contains(&seconds) => {
            errors.push(FieldError::invalid(&path.child("maxExpirationSeconds"), seconds, format!("must be in the range [{SHORTEST}, {longest}]")));
        }
        Some(_) => {}
    }
    errors
}

/// How a request ended.
const ENDS: [&str; 3] = ["Issued", "Denied", "Failed"];

fn has(status: &Value, kinds: &[&str]) -> bool {
    walk::list(status, "conditions").iter().any(|c| kinds.contains(&walk::text(c, "type")) && walk::text(c, "status") == "True")
}

/// Faults of a write to the status: a request ends once, one way, and what is issued fits what was asked for.
pub fn pod_request_status(object: &Value, old: &Value, now: Timestamp) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (status, before) = (walk::at(object, "status"), walk::at(old, "status"));
    ends(&mut errors, walk::list(status, "conditions"));
    check::conditions(&mut errors, walk::list(status, "conditions"), &Path::new("status.conditions"));
    if !errors.is_empty() {
        return errors;
    }
    let refused = |why: &str| vec![FieldError::invalid(&Path::new("status"), Value::Null, why).without_value()];
    if has(before, &ENDS) {
        return if status == before { errors } else { refused("immutable after PodCertificateRequest is issued, denied, or failed") };
    }
    if has(status, &["Denied", "Failed"]) {
        let only = status.as_object().into_iter().flatten().all(|(key, value)| key == "conditions" || value.is_null() || value == "");
        return if only { errors } else { refused("non-condition status fields must be empty when denying or failing the PodCertificateRequest") };
    }
    if has(status, &["Issued"]) {
        if let Err(faults) = issued(status, walk::at(old, "spec"), now) {
            errors.extend(faults);
        }
        return errors;
    }
    if status == before { errors } else { refused("status is immutable unless transitioning to \"Issued\", \"Denied\", or \"Failed\"") }
}

fn ends(errors: &mut FieldErrors, conditions: &[Value]) {
    let mut ended = false;
    for (i, condition) in conditions.iter().enumerate() {
        // Upstream: the index is a part of the path of its own.
        let (path, kind) = (Path::new("status.conditions").child(&format!("[{i}]")), walk::text(condition, "type"));
        if !ENDS.contains(&kind) {
            errors.push(FieldError::not_supported(&path.child("type"), kind, &ENDS));
            continue;
        }
        if ended {
            errors.push(FieldError::invalid(&path.child("type"), kind, "There may be at most one condition with type \"Issued\", \"Denied\", or \"Failed\""));
        }
        ended = true;
        if walk::text(condition, "status") != "True" {
            errors.push(FieldError::not_supported(&path.child("status"), walk::text(condition, "status"), &["True"]));
        }
    }
}

/// What is wrong with a chain of certificates and the times told of it; the first fault ends it, where it leaves nothing to judge.
fn issued(status: &Value, spec: &Value, now: Timestamp) -> Result<(), FieldErrors> {
    let (chain, path) = (walk::text(status, "certificateChain"), Path::new("status.certificateChain"));
    let fault = |value: Value, why: &str| vec![FieldError::invalid(&path, value, why)];
    if chain.len() > LARGEST_CHAIN {
        return Err(vec![FieldError::too_long(&path, LARGEST_CHAIN)]);
    }
    let blocks: Vec<Pem> = Pem::iter_from_buffer(chain.as_bytes()).map_while(Result::ok).collect();
    let Some((first, rest)) = blocks.split_first() else { return Err(fault(chain.into(), "issued certificate chain must contain at least one certificate")) };
    if first.label != "CERTIFICATE" {
        return Err(fault(chain.into(), "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"));
    }
    let Ok(leaf) = first.parse_x509() else { return Err(fault(chain.into(), "leaf certificate does not parse as valid X.509")) };
    let mut errors = names_of(&leaf, &path);
    let request = base64::prelude::BASE64_STANDARD.decode(walk::text(spec, "stubPKCS10Request")).unwrap_or_default();
    // A request that cannot be read was judged when it was made.
    if let Ok((_, request)) = X509CertificationRequest::from_der(&request)
        && request.certification_request_info.subject_pki.raw != leaf.public_key().raw
    {
        errors.extend(fault(chain.into(), "leaf certificate was not issued to the requested public key"));
        return Err(errors);
    }
    times(&mut errors, status, spec, &leaf, now);
    if !errors.is_empty() {
        return Err(errors);
    }
    for block in rest {
        if block.label != "CERTIFICATE" {
            // Upstream: misspelt.
            return Err(fault(chain.into(), "issued certificate chain must consist entirely of CERTFICATE PEM blocks"));
        }
        if block.parse_x509().is_err() {
            return Err(fault(chain.into(), "intermediate certificate does not parse as valid X.509"));
        }
    }
    Ok(())
}

fn names_of(leaf: &X509Certificate<'_>, path: &Path) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let mut say = |name: &str, why: &str| errors.push(FieldError::invalid(path, name, why));
    let names = leaf.subject_alternative_name().ok().flatten().map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    for name in names.iter().filter_map(|name| if let GeneralName::DNSName(name) = name { Some(*name) } else { None }) {
        if name.is_empty() {
            say(name, "leaf certificate should not contain empty DNSName");
        }
        if name.contains("..") {
            say(name, "leaf certificate's DNSName should not contain '..'");
        }
        if name.starts_with('.') || name.ends_with('.') {
            say(name, "leaf certificate's DNSName should not start or end with '.'");
        }
    }
    for name in names.iter().filter_map(|name| if let GeneralName::RFC822Name(name) = name { Some(*name) } else { None }) {
        if !name.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@') && !name.contains([' ', '<', '>'])) {
            say(name, "leaf certificate should not contain invalid EmailAddress");
        }
    }
    errors
}

fn times(errors: &mut FieldErrors, status: &Value, spec: &Value, leaf: &X509Certificate<'_>, now: Timestamp) {
    const CONSISTENT: &str = "must be present and consistent with the issued certificate";
    let at = |key: &str| Path::new("status").child(key);
    let told = [("notBefore", CONSISTENT), ("notAfter", CONSISTENT), ("beginRefreshAt", "must be present and in the range [notbefore+10min, notafter-10min]")].map(|(key, why)| {
        let time = walk::text(status, key).parse::<Timestamp>().ok();
        if time.is_none() {
            errors.push(FieldError::required(&at(key), why));
        }
        time.map(Timestamp::as_second)
    });
    let [Some(begin), Some(end), Some(renewal)] = told else { return };
    if !errors.is_empty() {
        return;
    }
    let (first, last) = (leaf.validity().not_before.timestamp(), leaf.validity().not_after.timestamp());
    let lifetime = last - first;
    let longest = walk::int(spec, "maxExpirationSeconds");
    let of_time = |key: &str, why: &str| FieldError::invalid(&at(key), walk::text(status, key), why);
    let of_chain = |why: String| FieldError::invalid(&at("certificateChain"), lifetime.saturating_mul(1_000_000_000), why);
    let fault = if begin != first {
        of_time("notBefore", "must be set to the NotBefore time encoded in the leaf certificate")
    } else if (begin - now.as_second()).abs() >= SKEW {
        of_time("notBefore", "must be set to within 5 minutes of kube-apiserver's current time")
    } else if end != last {
        of_time("notAfter", "must be set to the NotAfter time encoded in the leaf certificate")
    } else if lifetime < SHORTEST {
        of_chain("leaf certificate lifetime must be >= 1 hour".into())
    } else if lifetime > longest {
        of_chain(format!("leaf certificate lifetime must be <= spec.maxExpirationSeconds ({longest})"))
    } else if renewal < begin + MARGIN {
        of_time("beginRefreshAt", "must be at least 10 minutes after status.notBefore")
    } else if renewal > end - MARGIN {
        of_time("beginRefreshAt", "must be at least 10 minutes before status.notAfter")
    } else {
        return;
    };
    errors.push(fault);
}
