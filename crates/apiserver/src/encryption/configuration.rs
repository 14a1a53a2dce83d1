//! `EncryptionConfiguration`: what is encrypted where it is kept, and by whom.
//!
//! Upstream: apiserver `pkg/apis/apiserver/v1/types.go`, `validation/validation_encryption.go`.

use std::path::PathBuf;
use std::time::Duration;

use api::FieldError;
use api::field::Path;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;

const AES_SIZES: &[usize] = &[16, 24, 32];
const BOX_SIZES: &[usize] = &[32];

/// One who encrypts, or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Provider {
    Identity,
    /// Names (with the provider's kind) and secrets; the first encrypts.
    Keys(Vec<(String, Vec<u8>)>),
    Kms { name: String, socket: PathBuf, timeout: Duration },
}

/// Resources, and who reads and writes them; the first provider writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub resources: Vec<String>,
    pub providers: Vec<Provider>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    api_version: String,
    kind: String,
    #[serde(default)]
    resources: Vec<Section>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    providers: Vec<ProviderSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProviderSection {
    aesgcm: Option<KeysSection>,
    aescbc: Option<KeysSection>,
    secretbox: Option<KeysSection>,
    identity: Option<Value>,
    kms: Option<KmsSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeysSection {
    #[serde(default)]
    keys: Vec<KeySection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeySection {
    #[serde(default)]
    name: String,
    #[serde(default)]
    secret: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KmsSection {
    api_version: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    endpoint: String,
    timeout: Option<String>,
    #[serde(rename = "cachesize")]
    cache_size: Option<i64>,
}

/// Reads a configuration file's text.
pub fn read(text: &str) -> Result<Vec<Group>, String> {
    let document: Document = codec::yaml_as(text).map_err(|_| {
        // The parser's own words could show a part of a key.
        "not an EncryptionConfiguration: compare it with upstream's format".to_owned()
    })?;
    access::head::check(&document.api_version, &document.kind, "EncryptionConfiguration", &["v1"])?;
    let (root, mut errors, mut groups, mut plugins) = (Path::new("resources"), Vec::new(), Vec::new(), Vec::new());
    if document.resources.is_empty() {
        errors.push(FieldError::required(&root, "at least one resources is required"));
    }
    for (i, section) in document.resources.into_iter().enumerate() {
        let at = root.index(i);
        check_resources(&section.resources, &at.child("resources"), &mut errors);
        let providers = at.child("providers");
        if section.providers.is_empty() {
            errors.push(FieldError::required(&providers, format!("at least one {providers} is required")));
        }
        let read = section.providers.into_iter().enumerate().filter_map(|(j, p)| provider(p, &providers.index(j), &mut plugins, &mut errors)).collect();
        groups.push(Group { resources: section.resources, providers: read });
    }
    if errors.is_empty() { Ok(groups) } else { Err(api::field::aggregate(&errors)) }
}

fn check_resources(resources: &[String], path: &Path, errors: &mut Vec<FieldError>) {
    if resources.is_empty() {
        errors.push(FieldError::required(path, format!("at least one {path} is required")));
    }
    for (i, name) in resources.iter().enumerate() {
        let (resource, group) = name.split_once('.').unwrap_or((name, ""));
        let why = if *name != name.to_lowercase() {
            "resource name should not contain capital letters"
        } else if name == "*" {
            "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
        } else if group == "events.k8s.io" {
            "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file"
        } else if group == "extensions" {
            "'extensions' group has been removed and cannot be used for encryption"
        } else if group == "*" && resource != "*" {
            "encrypting the same resource across groups is not supported"
        } else {
            continue;
        };
        errors.push(FieldError::invalid(&path.index(i), name.clone(), why));
    }
    let parts = |name: &str| name.split_once('.').map_or((name.to_owned(), String::new()), |(r, g)| (r.to_owned(), g.to_owned()));
    let pairs = || resources.iter().enumerate().flat_map(|(i, a)| resources.iter().skip(i + 1).map(move |b| (parts(a), parts(b))));
    if pairs().any(|(a, b)| a == b) {
        errors.push(FieldError::invalid(path, resources.to_vec(), "the same resource cannot be specified multiple times"));
    }
    let all = |(resource, group): &(String, String)| resource == "*" && group == "*";
    if pairs().any(|(a, b)| a != b && (all(&a) || all(&b) || (a.1 == b.1 && (a.0 == "*" || b.0 == "*")))) {
        errors.push(FieldError::invalid(path, resources.to_vec(), "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked"));
    }
}

fn provider(section: ProviderSection, path: &Path, plugins: &mut Vec<String>, errors: &mut Vec<FieldError>) -> Option<Provider> {
    let ProviderSection { aesgcm, aescbc, secretbox, identity, kms } = section;
    let mut found = Vec::new();
    for (kind, keys_of, sizes) in [("aesgcm", aesgcm, AES_SIZES), ("aescbc", aescbc, AES_SIZES), ("secretbox", secretbox, BOX_SIZES)] {
        if let Some(section) = keys_of {
            found.push(Provider::Keys(keys(kind, &section, sizes, &path.child(kind).child("keys"), errors)));
        }
    }
    if identity.is_some() {
        found.push(Provider::Identity);
    }
    if let Some(section) = kms {
        found.push(plugin(section, &path.child("kms"), plugins, errors));
    }
    match found.len() {
        0 => errors.push(FieldError::required(path, "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity")),
        1 => return found.pop(),
        _ => errors.push(FieldError::forbidden(path, "more than one provider specified in a single element, should split into different list elements")),
    }
    None
}

fn keys(kind: &str, section: &KeysSection, sizes: &[usize], path: &Path, errors: &mut Vec<FieldError>) -> Vec<(String, Vec<u8>)> {
    if section.keys.is_empty() {
        errors.push(FieldError::required(path, "at least one keys is required"));
    }
    let mut read = Vec::new();
    for (i, key) in section.keys.iter().enumerate() {
        let at = path.index(i);
        if key.name.is_empty() {
            errors.push(FieldError::required(&at.child("name"), "name is a mandatory field for a key"));
        }
        let at = at.child("secret");
        if key.secret.is_empty() {
            errors.push(FieldError::required(&at, "secret is a mandatory field for a key"));
            continue;
        }
        match BASE64_STANDARD.decode(&key.secret) {
            Err(_) => errors.push(FieldError::invalid(&at, "REDACTED", "secrets must be base64 encoded")),
            Ok(secret) if !sizes.contains(&secret.len()) => {
                let shown: Vec<String> = sizes.iter().map(ToString::to_string).collect();
                errors.push(FieldError::invalid(&at, "REDACTED", format!("secret is not of the expected length, got {}, expected one of [{}]", secret.len(), shown.join(" "))));
            }
            Ok(secret) => read.push((format!("{kind}/{}", key.name), secret)),
        }
    }
    read
}

fn plugin(section: KmsSection, path: &Path, plugins: &mut Vec<String>, errors: &mut Vec<FieldError>) -> Provider {
    let mut wrong = |field: &str, value: &str, why: String| errors.push(FieldError::invalid(&path.child(field), value, why));
    match section.api_version.as_deref().unwrap_or("v1") {
        "v2" => {}
        "v1" => wrong("apiVersion", "v1", "KMS API version 1 is not served: use a plugin of version v2".into()),
        other => wrong("apiVersion", other, "unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported".into()),
    }
    if section.name.is_empty() {
        wrong("name", "", "name is a mandatory field for a provider".into());
    } else if section.name.contains(':') {
        wrong("name", &section.name, format!("invalid KMS provider name {}, must not contain ':'", section.name));
    } else if plugins.contains(&section.name) {
        wrong("name", &section.name, format!("duplicate KMS provider name {}, names must be unique", section.name));
    }
    plugins.push(section.name.clone());
    if section.cache_size.is_some() {
        wrong("cachesize", "", "cachesize is not supported in v2".into());
    }
    // Upstream: three seconds where nothing is said.
    let timeout = gotime::at_least_zero(section.timeout.as_deref().unwrap_or("3s")).filter(|t| !t.is_zero()).unwrap_or_else(|| {
        wrong("timeout", section.timeout.as_deref().unwrap_or_default(), "timeout should be a positive value".into());
        Duration::ZERO
    });
    let socket = section.endpoint.strip_prefix("unix://");
    match (section.endpoint.as_str(), socket) {
        ("", _) => wrong("endpoint", "", "endpoint is a mandatory field for a kms".into()),
        (_, Some(path)) if path.starts_with('/') || path.starts_with('@') => {}
        (other, _) => wrong("endpoint", other, format!("unsupported scheme {:?} for KMS provider, only unix is supported", other.split("://").next().unwrap_or_default())),
    }
    Provider::Kms { name: section.name, socket: socket.unwrap_or_default().into(), timeout }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n";

    #[test]
    fn groups_are_read_in_their_order() {
        let text = format!("{HEAD}- resources: [secrets, '*.apps']\n  providers:\n  - kms: {{apiVersion: v2, name: vault, endpoint: 'unix:///run/kms.sock'}}\n  - aescbc: {{keys: [{{name: k, secret: AAAAAAAAAAAAAAAAAAAAAA==}}]}}\n  - identity: {{}}\n");
        let groups = read(&text).unwrap();
        assert_eq!(groups[0].resources, ["secrets", "*.apps"]);
        assert_eq!(groups[0].providers, [Provider::Kms { name: "vault".into(), socket: "/run/kms.sock".into(), timeout: Duration::from_secs(3) }, Provider::Keys(vec![("aescbc/k".into(), vec![0; 16])]), Provider::Identity]);
    }

    #[test]
    fn faults_are_told_and_keys_are_not() {
        let refused = |rest: &str| read(&format!("{HEAD}{rest}")).unwrap_err();
        for (rest, why) in [
            ("- resources: [Secrets]\n  providers: [{identity: {}}]\n", "resource name should not contain capital letters"),
            ("- resources: [secrets, '*.']\n  providers: [{identity: {}}]\n", "using overlapping resources"),
            ("- resources: ['*']\n  providers: [{identity: {}}]\n", "use '*.' to encrypt all"),
            ("- resources: [a]\n  providers: [{}]\n", "does not contain any of the expected providers"),
            ("- resources: [a]\n  providers: [{identity: {}, aesgcm: {keys: [{name: k, secret: AAAAAAAAAAAAAAAAAAAAAA==}]}}]\n", "more than one provider specified"),
            ("- resources: [a]\n  providers: [{aesgcm: {keys: [{name: k, secret: c2VjcmV0}]}}]\n", "secret is not of the expected length, got 6, expected one of [16 24 32]"),
            ("- resources: [a]\n  providers: [{kms: {apiVersion: v1, name: k, endpoint: 'unix:///a'}}]\n", "use a plugin of version v2"),
            ("- resources: [a]\n  providers: [{kms: {apiVersion: v2, name: 'a:b', endpoint: 'tcp://a', timeout: 0s, cachesize: 5}}]\n", "must not contain ':'"),
        ] {
            let told = refused(rest);
            assert!(told.contains(why) && !told.contains("c2VjcmV0"), "{told}");
        }
        assert!(!refused("- secret: c2VjcmV0\n").contains("c2VjcmV0"));
    }
}
