//! Validation of volumes whose files come from objects: of secrets and config maps, of the pod itself, of tokens and
//! certificates, and several of these in one.
//!
//! Upstream: `validateProjectionSources` and what it calls in `pkg/apis/core/validation/validation.go`.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::Value;

use super::environment::{field_reference, resource_reference};
use super::sources::unreserved_path;
use crate::certificates_rules::signer_name;
use crate::{check, metadata, walk};

const KEYS: [&str; 6] = ["ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096"];
const KEYS_SHOWN: [&str; 6] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
const DAY: i64 = 86_400;

pub fn mode(errors: &mut FieldErrors, source: &Value, key: &str, path: &Path) {
    if let Some(mode) = walk::at(source, key).as_i64().filter(|m| !(0..=0o777).contains(m)) {
        errors.push(FieldError::invalid(&path.child(key), mode, "must be a number between 0 and 0777 (octal), both inclusive"));
    }
}

/// Keys of a secret or config map as files.
pub fn files(errors: &mut FieldErrors, source: &Value, path: &Path) {
    mode(errors, source, "defaultMode", path);
    for (i, item) in walk::list(source, "items").iter().enumerate() {
        file(errors, item, &path.child("items").index(i));
    }
}

fn file(errors: &mut FieldErrors, item: &Value, path: &Path) {
    check::required(errors, item, "key", path, "");
    check::required(errors, item, "path", path, "");
    unreserved_path(errors, walk::text(item, "path"), &path.child("path"));
    mode(errors, item, "mode", path);
}

/// Fields of the pod as files.
pub fn downward(errors: &mut FieldErrors, source: &Value, path: &Path) {
    for item in walk::list(source, "items") {
        downward_file(errors, item, path);
    }
}

/// Upstream: the path lacks the item's place.
fn downward_file(errors: &mut FieldErrors, item: &Value, path: &Path) {
    check::required(errors, item, "path", path, "");
    unreserved_path(errors, walk::text(item, "path"), &path.child("path"));
    let (field, resource) = (walk::at(item, "fieldRef"), walk::at(item, "resourceFieldRef"));
    match (field.is_object(), resource.is_object()) {
        (true, both) => {
            field_reference(errors, field, true, &path.child("fieldRef"));
            if both {
                errors.push(FieldError::invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"));
            }
        }
        (false, true) => resource_reference(errors, resource, true, &path.child("resourceFieldRef")),
        (false, false) => errors.push(FieldError::required(path, "one of fieldRef and resourceFieldRef is required")),
    }
    mode(errors, item, "mode", path);
}

/// The paths that sources took, and where to tell of those taken twice.
struct Taken<'a> {
    paths: HashSet<&'a str>,
    volume: &'a Path,
}

impl<'a> Taken<'a> {
    fn take(&mut self, errors: &mut FieldErrors, file: &'a str, shown: &str) {
        if !self.paths.insert(file) {
            errors.push(FieldError::invalid(self.volume, shown, "conflicting duplicate paths"));
        }
    }
}

pub fn validate(errors: &mut FieldErrors, source: &Value, path: &Path) {
    mode(errors, source, "defaultMode", path);
    let mut taken = Taken { paths: HashSet::new(), volume: path };
    for (i, part) in walk::list(source, "sources").iter().enumerate() {
        let at = path.child("sources").index(i);
        let mut given = 0;
        for kind in ["secret", "configMap", "downwardAPI", "serviceAccountToken", "clusterTrustBundle", "podCertificate"] {
            let (part, at) = (walk::at(part, kind), at.child(kind));
            if !part.is_object() {
                continue;
            }
            given += 1;
            match kind {
                "downwardAPI" => pod_fields(errors, part, &mut taken, &at),
                "serviceAccountToken" => token(errors, part, path, &at),
                "clusterTrustBundle" => bundle(errors, part, &mut taken, &at),
                "podCertificate" => certificate(errors, part, &mut taken, &at),
                _ => keys(errors, part, &mut taken, &at),
            }
        }
        if given > 1 {
            errors.push(FieldError::forbidden(&at, "may not specify more than 1 volume type per source"));
        }
    }
}

fn keys<'a>(errors: &mut FieldErrors, part: &'a Value, taken: &mut Taken<'a>, path: &Path) {
    check::required(errors, part, "name", path, "");
    for (i, item) in walk::list(part, "items").iter().enumerate() {
        file(errors, item, &path.child("items").index(i));
        match walk::text(item, "path") {
            "" => {}
            file => taken.take(errors, file, walk::text(part, "name")),
        }
    }
}

fn pod_fields<'a>(errors: &mut FieldErrors, part: &'a Value, taken: &mut Taken<'a>, path: &Path) {
    for item in walk::list(part, "items") {
        downward_file(errors, item, path);
        match walk::text(item, "path") {
            "" => {}
            file => taken.take(errors, file, file),
        }
    }
}

/// Upstream: its path is told of the volume, and compared with no other.
fn token(errors: &mut FieldErrors, part: &Value, volume: &Path, path: &Path) {
    let seconds = walk::int(part, "expirationSeconds");
    if seconds < 600 {
        errors.push(FieldError::invalid(&path.child("expirationSeconds"), seconds, "may not specify a duration less than 10 minutes"));
    }
    if seconds > 1 << 32 {
        errors.push(FieldError::invalid(&path.child("expirationSeconds"), seconds, "may not specify a duration larger than 2^32 seconds"));
    }
    check::required(errors, part, "path", volume, "");
    unreserved_path(errors, walk::text(part, "path"), &volume.child("path"));
}

fn bundle<'a>(errors: &mut FieldErrors, part: &'a Value, taken: &mut Taken<'a>, path: &Path) {
    let [name, signer] = ["name", "signerName"].map(|key| walk::at(part, key).as_str());
    let selector = walk::at(part, "labelSelector");
    match (name, signer) {
        (Some(_), Some(_)) => errors.push(FieldError::invalid(path, part.clone(), "only one of name and signerName may be used")),
        (Some(name), None) => {
            if name.is_empty() {
                errors.push(FieldError::required(&path.child("name"), "must be a valid object name"));
            }
            // One of a signer carries the signer before its last colon.
            let own = name.rsplit_once(':').map_or(name, |(_, own)| own);
            for fault in names::dns1123_subdomain(own) {
                errors.push(FieldError::invalid(&path.child("name"), name, format!("not a valid clustertrustbundlename: {fault}")));
            }
            if selector.is_object() {
                errors.push(FieldError::invalid(&path.child("labelSelector"), selector.clone(), "labelSelector must be unset if name is specified"));
            }
        }
        (None, Some(signer)) => {
            if signer.is_empty() {
                errors.push(FieldError::required(&path.child("signerName"), "must be a valid signer name"));
            }
            signer_name(errors, signer, &path.child("signerName"));
            check::label_selector(errors, selector, &path.child("labelSelector"));
        }
        (None, None) => errors.push(FieldError::required(path, "either name or signerName must be specified")),
    }
    let file = walk::text(part, "path");
    check::required(errors, part, "path", path, "");
    unreserved_path(errors, file, &path.child("path"));
    taken.take(errors, file, file);
}

fn certificate<'a>(errors: &mut FieldErrors, part: &'a Value, taken: &mut Taken<'a>, path: &Path) {
    let signer = walk::text(part, "signerName");
    signer_name(errors, signer, &path.child("signerName"));
    errors.extend(metadata::validate_user_annotations(walk::at(part, "userAnnotations"), &path.child("userAnnotations")));
    let key = walk::text(part, "keyType");
    if !KEYS.contains(&key) {
        errors.push(FieldError::not_supported(&path.child("keyType"), key, &KEYS_SHOWN));
    }
    if let Some(seconds) = walk::at(part, "maxExpirationSeconds").as_i64() {
        let most = if signer.split('/').next().is_some_and(|domain| domain == "kubernetes.io" || domain.ends_with(".kubernetes.io")) { DAY } else { 91 * DAY };
        let path = path.child("maxExpirationSeconds");
        if seconds < 3600 {
            errors.push(FieldError::invalid(&path, seconds, "if provided, maxExpirationSeconds must be >= 3600"));
        }
        if seconds > most {
            errors.push(FieldError::invalid(&path, seconds, format!("if provided, maxExpirationSeconds must be <= {most}")));
        }
    }
    let files = ["credentialBundlePath", "keyPath", "certificateChainPath"].map(|key| (key, walk::text(part, key)));
    for (key, file) in files.iter().filter(|(_, file)| !file.is_empty()) {
        unreserved_path(errors, file, &path.child(key));
        taken.take(errors, file, file);
    }
    if files.iter().all(|(_, file)| file.is_empty()) {
        errors.push(FieldError::required(path, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"));
    }
}
