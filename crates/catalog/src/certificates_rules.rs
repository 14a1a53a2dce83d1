//! Validation of signing requests and trust bundles.
//!
//! Upstream: `pkg/apis/certificates/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use x509_parser::pem::Pem;
use x509_parser::error::X509Error;
use x509_parser::prelude::{FromDer, X509CertificationRequest};
use x509_parser::public_key::PublicKey;

use crate::{check, walk};

const USAGES: [&str; 23] = [
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment", "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime", "server auth", "signing", "timestamping",
];
const LEGACY_SIGNER: &str = "kubernetes.io/legacy-unknown";
const LARGEST_BUNDLE: usize = 1 << 20;

/// A domain with two labels or more, a slash, and a path of subdomains.
pub fn signer_name(errors: &mut FieldErrors, name: &str, path: &Path) {
    if name.is_empty() {
        return errors.push(FieldError::required(path, ""));
    }
    let segments: Vec<&str> = name.split('/').collect();
    let [domain, rest] = segments.as_slice() else {
        return errors.push(FieldError::invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'"));
    };
    if domain.len() > 253 {
        errors.push(FieldError::too_long(path, 253));
    }
    // Only the first bad label is told.
    let labels = |errors: &mut FieldErrors, text: &str, rule: fn(&str) -> names::Faults| {
        if let Some((label, faults)) = text.split('.').map(|l| (l, rule(l))).find(|(_, faults)| !faults.is_empty()) {
            errors.extend(faults.into_iter().map(|fault| FieldError::invalid(path, text, format!("validating label {label:?}: {fault}"))));
        }
    };
    labels(errors, domain, names::dns1123_label);
    if !domain.contains('.') {
        errors.push(FieldError::invalid(path, *domain, "should be a domain with at least two segments separated by dots"));
    }
    labels(errors, rest, names::dns1123_subdomain);
    if name.len() > 571 {
        errors.push(FieldError::too_long(path, 571));
    }
}

pub fn signing_request(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    if let Err(fault) = parse_request(walk::text(spec, "request")) {
        errors.push(FieldError::invalid(&path.child("request"), walk::at(spec, "request").clone(), fault));
    }
    let usages = walk::list(spec, "usages");
    if usages.is_empty() {
        errors.push(FieldError::required(&path.child("usages"), ""));
    }
    let kept = Kept::of(old);
    if !kept.unknown_usages {
        for (i, usage) in usages.iter().enumerate().filter(|(_, usage)| !is_usage(usage)) {
            errors.push(FieldError::not_supported(&path.child("usages").index(i), usage.clone(), &USAGES));
        }
    }
    if !kept.usages_twice {
        let twice = usages.iter().enumerate().filter(|(i, usage)| usages[..*i].contains(usage));
        errors.extend(twice.map(|(i, usage)| FieldError::duplicate(&path.child("usages").index(i), usage.clone())));
    }
    let signer = walk::text(spec, "signerName");
    if signer == LEGACY_SIGNER && !kept.legacy_signer {
        errors.push(FieldError::invalid(&path.child("signerName"), signer, "the legacy signerName is not allowed via this API version"));
    } else {
        signer_name(&mut errors, signer, &path.child("signerName"));
    }
    if let Some(seconds) = walk::at(spec, "expirationSeconds").as_i64().filter(|s| *s < 600) {
        errors.push(FieldError::invalid(&path.child("expirationSeconds"), seconds, "may not specify a duration less than 600 seconds (10 minutes)"));
    }
    conditions(&mut errors, object, kept);
    if let Some(old) = old {
        keeps_decisions(&mut errors, object, old);
    }
    errors
}

/// What an update may leave as it was. Upstream: `getValidationOptions`.
#[derive(Clone, Copy, Default)]
struct Kept {
    unknown_usages: bool,
    usages_twice: bool,
    legacy_signer: bool,
    both_decisions: bool,
    conditions_twice: bool,
    nameless_conditions: bool,
}

impl Kept {
    fn of(old: Option<&Value>) -> Self {
        let Some(old) = old else { return Self::default() };
        let usages = walk::list(old, "spec.usages");
        let kinds: Vec<&str> = walk::list(old, "status.conditions").iter().map(|c| walk::text(c, "type")).collect();
        Self {
            unknown_usages: !usages.iter().all(is_usage),
            usages_twice: usages.iter().enumerate().any(|(i, usage)| usages[..i].contains(usage)),
            legacy_signer: walk::text(old, "spec.signerName") == LEGACY_SIGNER,
            both_decisions: kinds.contains(&"Approved") && kinds.contains(&"Denied"),
            conditions_twice: kinds.iter().enumerate().any(|(i, kind)| kinds[..i].contains(kind)),
            nameless_conditions: kinds.contains(&""),
        }
    }
}

fn is_usage(usage: &Value) -> bool {
    usage.as_str().is_some_and(|usage| USAGES.contains(&usage))
}

/// Upstream: `ParseCSR`.
fn parse_request(encoded: &str) -> Result<(), String> {
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    let pem = Pem::iter_from_buffer(&bytes).next().and_then(Result::ok).filter(|pem| pem.label == "CERTIFICATE REQUEST");
    let pem = pem.ok_or("PEM block type must be CERTIFICATE REQUEST")?;
    let (_, request) = X509CertificationRequest::from_der(&pem.contents).map_err(|error| error.to_string())?;
    // What cannot be judged here is judged by who signs.
    if request.verify_signature() == Err(X509Error::SignatureVerificationError) {
        let parameters = request.certification_request_info.subject_pki.parsed();
        return Err(match parameters {
            Ok(PublicKey::RSA(_)) => "crypto/rsa: verification error",
            Ok(PublicKey::EC(_)) => "x509: ECDSA verification failure",
            _ => "x509: Ed25519 verification failure",
        }
        .into());
    }
    Ok(())
}

/// What is decided stays decided.
fn keeps_decisions(errors: &mut FieldErrors, object: &Value, old: &Value) {
    let count = |of: &Value, kind: &str| walk::list(of, "status.conditions").iter().filter(|c| walk::text(c, "type") == kind).count();
    for kind in ["Approved", "Denied", "Failed"] {
        if count(object, kind) < count(old, kind) {
            errors.push(FieldError::forbidden(&Path::new("status.conditions"), format!("updates may not remove a condition of type {kind:?}")));
        }
    }
}

/// Faults of a write to `approval` or `status`: the one decides, the other is given the certificate.
pub fn signing_request_part(part: &str, object: &Value, old: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    conditions(&mut errors, object, Kept::of(Some(old)));
    let (now, before, path) = (walk::text(object, "status.certificate"), walk::text(old, "status.certificate"), Path::new("status.certificate"));
    if now != before
        && parse_chain(before).is_ok()
        && let Err(fault) = parse_chain(now)
    {
        errors.push(FieldError::invalid(&path, "<certificate data>", fault));
    }
    keeps_decisions(&mut errors, object, old);
    if part != "approval" {
        makes_no_decision(&mut errors, object, old);
    }
    if now != before {
        if part != "status" {
            errors.push(FieldError::forbidden(&path, "updates may not set certificate content"));
        } else if !before.is_empty() {
            errors.push(FieldError::forbidden(&path, "updates may not modify existing certificate content"));
        }
    }
    errors
}

/// Who may only sign does not approve.
fn makes_no_decision(errors: &mut FieldErrors, object: &Value, old: &Value) {
    for kind in ["Approved", "Denied"] {
        let of = |object| walk::list(object, "status.conditions").iter().filter(|c| walk::text(c, "type") == kind).collect::<Vec<_>>();
        let (now, before) = (of(object), of(old));
        let path = Path::new("status.conditions");
        if now.len() > before.len() {
            errors.push(FieldError::forbidden(&path, format!("updates may not add a condition of type {kind:?}")));
        } else if now.len() == before.len() && now != before {
            errors.push(FieldError::forbidden(&path, format!("updates may not modify a condition of type {kind:?}")));
        }
    }
}

fn parse_chain(encoded: &str) -> Result<(), String> {
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    if bytes.is_empty() {
        return Ok(());
    }
    let blocks: Vec<Pem> = Pem::iter_from_buffer(&bytes).filter_map(Result::ok).collect();
    let has_headers = has_headers(&bytes);
    for block in &blocks {
        if block.label != "CERTIFICATE" {
            return Err(format!("only CERTIFICATE PEM blocks are allowed, found {:?}", block.label));
        }
        if has_headers {
            return Err("no PEM block headers are permitted".into());
        }
        block.parse_x509().map_err(|error| error.to_string())?;
    }
    if blocks.is_empty() { Err("must contain at least one CERTIFICATE PEM block".into()) } else { Ok(()) }
}

/// Whether lines such as `Proc-Type: 4,ENCRYPTED` stand in a block; no line of base64 holds a colon.
fn has_headers(bytes: &[u8]) -> bool {
    let mut inside = false;
    bytes.split(|byte| *byte == b'\n').any(|line| {
        if line.starts_with(b"-----") {
            inside = line.starts_with(b"-----BEGIN");
        }
        inside && !line.starts_with(b"-----") && line.contains(&b':')
    })
}

fn conditions(errors: &mut FieldErrors, object: &Value, kept: Kept) {
    let (mut seen, list) = (HashSet::new(), Path::new("status.conditions"));
    for (i, condition) in walk::list(object, "status.conditions").iter().enumerate() {
        let (path, kind, status) = (list.index(i), walk::text(condition, "type"), walk::text(condition, "status"));
        if !kept.nameless_conditions {
            check::required(errors, condition, "type", &path, "");
        }
        let allowed: &[&str] = if matches!(kind, "Approved" | "Denied" | "Failed") { &["True"] } else { &["False", "True", "Unknown"] };
        check::one_of(errors, &path.child("status"), status, allowed);
        let contrary = match kind {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if seen.contains(contrary) && !kept.both_decisions {
            errors.push(FieldError::invalid(&list, kind, "Approved and Denied conditions are mutually exclusive"));
        }
        if !seen.insert(kind) && !kept.conditions_twice {
            errors.push(FieldError::duplicate(&path.child("type"), kind));
        }
    }
}

pub fn trust_bundle(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (signer, name, path) = (walk::text(object, "spec.signerName"), api::meta::name(object), Path::new("spec"));
    // A bundle of a signer carries the signer in its name.
    let prefix = format!("{}:", signer.replace('/', ":"));
    let name_path = Path::new("metadata.name");
    match name.strip_prefix(&prefix) {
        _ if signer.is_empty() && name.contains(':') => errors.push(FieldError::invalid(&name_path, name, "ClusterTrustBundle without signer name must not have \":\" in its name")),
        _ if signer.is_empty() => check::syntax(&mut errors, &name_path, name, names::dns1123_subdomain(name)),
        None => errors.push(FieldError::invalid(&name_path, name, format!("ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"))),
        Some(rest) => check::syntax(&mut errors, &name_path, name, names::dns1123_subdomain(rest)),
    }
    if !signer.is_empty() {
        signer_name(&mut errors, signer, &path.child("signerName"));
    }
    let bundle = walk::at(object, "spec.trustBundle");
    if old.is_none_or(|old| walk::at(old, "spec.trustBundle") != bundle) {
        anchors(&mut errors, bundle.as_str().unwrap_or_default(), &path.child("trustBundle"));
    }
    if let Some(old) = old {
        check::immutable(&mut errors, &path.child("signerName"), walk::at(object, "spec.signerName"), walk::at(old, "spec.signerName"));
    }
    errors
}

fn anchors(errors: &mut FieldErrors, bundle: &str, path: &Path) {
    if bundle.len() > LARGEST_BUNDLE {
        return errors.push(FieldError::too_long(path, LARGEST_BUNDLE));
    }
    let before = errors.len();
    let mut say = |fault: String| errors.push(FieldError::invalid(path, "<value omitted>", fault));
    let mut seen: Vec<(Vec<u8>, Vec<usize>)> = Vec::new();
    for (i, block) in Pem::iter_from_buffer(bundle.as_bytes()).filter_map(Result::ok).enumerate() {
        if block.label != "CERTIFICATE" {
            say(format!("entry {i} has bad block type: {}", block.label));
            continue;
        }
        match block.parse_x509() {
            Err(_) => say(format!("entry {i} does not parse as X.509")),
            Ok(certificate) if !certificate.is_ca() => say(format!("entry {i} does not have the CA bit set")),
            Ok(_) => match seen.iter_mut().find(|(known, _)| *known == block.contents) {
                Some((_, places)) => places.push(i),
                None => seen.push((block.contents.clone(), vec![i])),
            },
        }
    }
    if errors.len() > before {
        return;
    }
    let mut say = |fault: String| errors.push(FieldError::invalid(path, "<value omitted>", fault));
    if seen.is_empty() {
        say("at least one trust anchor must be provided".into());
    }
    for (_, places) in seen.iter().filter(|(_, places)| places.len() > 1) {
        let shown: Vec<String> = places.iter().map(ToString::to_string).collect();
        say(format!("duplicate trust anchor (indices [{}])", shown.join(" ")));
    }
}
