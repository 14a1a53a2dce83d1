//! The EgressSelectorConfiguration: which ways there are, and for whom.
//!
//! Upstream: apiserver `pkg/server/egressselector/config.go`, `pkg/apis/apiserver/v1beta1/types.go`.

use std::path::{Path as FilePath, PathBuf};

use api::{FieldError, Path};
use serde::{Deserialize, Serialize};

const VERSIONS: [&str; 2] = ["apiserver.k8s.io/v1beta1", "apiserver.k8s.io/v1alpha1"];
const PROTOCOLS: [&str; 3] = ["Direct", "GRPC", "HTTPConnect"];
const NAMES: [&str; 3] = ["cluster", "controlplane", "etcd"];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    egress_selections: Vec<Selection>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub connection: Connection,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Connection {
    #[serde(default)]
    pub proxy_protocol: String,
    pub transport: Option<Transport>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transport {
    pub tcp: Option<Tcp>,
    pub uds: Option<Uds>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tcp {
    #[serde(default)]
    pub url: String,
    pub tls_config: Option<Tls>,
}

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    #[serde(default)]
    pub ca_bundle: PathBuf,
    #[serde(default)]
    pub client_key: PathBuf,
    #[serde(default)]
    pub client_cert: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Uds {
    #[serde(default)]
    pub uds_name: PathBuf,
}

/// Reads and judges a configuration; all faults are told at once.
pub fn read(text: &str) -> Result<Vec<Selection>, String> {
    let document: Document = codec::yaml_as(text).map_err(|why| format!("failed to read egress selector config: {why}"))?;
    if document.kind != "EgressSelectorConfiguration" {
        return Err(format!("failed to read egress selector config: invalid service configuration object {:?}", document.kind));
    }
    if !VERSIONS.contains(&document.api_version.as_str()) {
        return Err(format!("failed to read egress selector config: apiVersion {:?} is not known: it is {}", document.api_version, VERSIONS[0]));
    }
    let errors = judge(&document.egress_selections);
    if errors.is_empty() { Ok(document.egress_selections) } else { Err(format!("failed to validate egress selector configuration: {}", api::field::aggregate(&errors))) }
}

fn judge(selections: &[Selection]) -> Vec<FieldError> {
    let at = Path::new("service").child("connection");
    let mut errors = Vec::new();
    for Selection { connection, .. } in selections {
        let transport = connection.transport.as_ref();
        match (connection.proxy_protocol.as_str(), transport) {
            ("Direct", None) => {}
            ("Direct", Some(_)) => errors.push(FieldError::invalid(&at.child("transport"), "direct", "Transport config should be absent for direct connect")),
            ("HTTPConnect", None) => errors.push(FieldError::required(&at.child("transport"), "transport must be set for HTTPConnect")),
            ("HTTPConnect", Some(transport)) => judge_connect(transport, &at, &mut errors),
            ("GRPC", None) => errors.push(FieldError::required(&at.child("transport"), "transport must be set for GRPC")),
            ("GRPC", Some(Transport { uds: Some(uds), .. })) => judge_uds(uds, &at, &mut errors),
            ("GRPC", Some(_)) => errors.push(FieldError::required(&at.child("uds"), "UDS must be set with GRPC")),
            (other, _) => errors.push(FieldError::not_supported(&at.child("protocol"), other, &PROTOCOLS)),
        }
    }
    let mut seen: Vec<String> = Vec::new();
    for (index, selection) in selections.iter().enumerate() {
        let name = selection.name.to_lowercase();
        if seen.contains(&name) {
            errors.push(FieldError::duplicate(&at.index(index), name));
            continue;
        }
        if !NAMES.contains(&name.as_str()) {
            errors.push(FieldError::not_supported(&at, name.as_str(), &NAMES));
        }
        seen.push(name);
    }
    errors
}

fn judge_connect(transport: &Transport, at: &Path, errors: &mut Vec<FieldError>) {
    match (&transport.tcp, &transport.uds) {
        (Some(tcp), Some(_)) => errors.push(FieldError::invalid(&at.child("tcp"), serde_json::to_value(tcp).unwrap_or_default(), "TCP and UDS cannot both be set")),
        (None, None) => errors.push(FieldError::required(&at.child("tcp"), "One of TCP or UDS must be set")),
        (None, Some(uds)) => judge_uds(uds, at, errors),
        (Some(tcp), None) if tcp.url.starts_with("http://") => {
            if tcp.tls_config.is_some() {
                errors.push(FieldError::invalid(&at.child("tlsConfig"), "nil", "TLSConfig config should not be present when using HTTP"));
            }
        }
        (Some(tcp), None) if tcp.url.starts_with("https://") => match &tcp.tls_config {
            Some(tls) => judge_tls(tls, &at.child("tlsConfig"), errors),
            None => errors.push(FieldError::required(&at.child("tlsConfig"), "TLSConfig must be present when using HTTPS")),
        },
        (Some(tcp), None) => errors.push(FieldError::invalid(&at.child("url"), tcp.url.as_str(), "supported connection protocols are http:// and https://")),
    }
}

fn judge_uds(uds: &Uds, at: &Path, errors: &mut Vec<FieldError>) {
    if uds.uds_name.as_os_str().is_empty() {
        errors.push(FieldError::invalid(&at.child("udsName"), "nil", "UDSName should be present for UDS connections"));
    }
}

fn judge_tls(tls: &Tls, at: &Path, errors: &mut Vec<FieldError>) {
    let is_given = |file: &FilePath| !file.as_os_str().is_empty();
    let mut exists = |file: &FilePath, key: &str, what: &str| {
        if is_given(file) && !file.exists() {
            errors.push(FieldError::invalid(&at.child(key), file.display().to_string(), format!("TLS {what} does not exist")));
        }
    };
    exists(&tls.ca_bundle, "caBundle", "config ca bundle");
    exists(&tls.client_cert, "clientCert", "client cert");
    exists(&tls.client_key, "clientKey", "client key");
    for (file, key) in [(&tls.client_cert, "clientCert"), (&tls.client_key, "clientKey")] {
        if !is_given(file) {
            errors.push(FieldError::invalid(&at.child(key), "nil", format!("Using TLS requires {key}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(selections: &str) -> String {
        read(&format!("apiVersion: apiserver.k8s.io/v1beta1\nkind: EgressSelectorConfiguration\negressSelections: {selections}\n")).unwrap_err()
    }

    #[test]
    fn faults_are_told_in_upstreams_words() {
        assert!(read("kind: Other").unwrap_err().ends_with("invalid service configuration object \"Other\""));
        assert!(read("kind: EgressSelectorConfiguration\nmore: 1").unwrap_err().starts_with("failed to read egress selector config: "));
        let all = refused("[{name: cluster, connection: {proxyProtocol: HTTPConnect, transport: {tcp: {url: 'https://a:1', tlsConfig: {caBundle: /none}}}}}, {name: Cluster, connection: {proxyProtocol: Direct}}]");
        assert_eq!(
            all,
            "failed to validate egress selector configuration: [service.connection.tlsConfig.caBundle: Invalid value: \"/none\": TLS config ca bundle does not exist, \
             service.connection.tlsConfig.clientCert: Invalid value: \"nil\": Using TLS requires clientCert, service.connection.tlsConfig.clientKey: Invalid value: \"nil\": Using TLS requires clientKey, \
             service.connection[1]: Duplicate value: \"cluster\"]"
        );
        for (selection, wanted) in [
            ("[{name: nodes, connection: {proxyProtocol: Direct}}]", "service.connection: Unsupported value: \"nodes\": supported values: \"cluster\", \"controlplane\", \"etcd\""),
            ("[{name: etcd, connection: {proxyProtocol: SOCKS}}]", "service.connection.protocol: Unsupported value: \"SOCKS\": supported values: \"Direct\", \"GRPC\", \"HTTPConnect\""),
            ("[{name: etcd, connection: {proxyProtocol: GRPC, transport: {tcp: {url: 'http://a'}}}}]", "service.connection.uds: Required value: UDS must be set with GRPC"),
            ("[{name: etcd, connection: {proxyProtocol: HTTPConnect, transport: {}}}]", "service.connection.tcp: Required value: One of TCP or UDS must be set"),
            ("[{name: etcd, connection: {proxyProtocol: HTTPConnect, transport: {tcp: {url: 'ftp://a'}}}}]", "service.connection.url: Invalid value: \"ftp://a\": supported connection protocols are http:// and https://"),
        ] {
            assert_eq!(refused(selection), format!("failed to validate egress selector configuration: {wanted}"));
        }
    }
}
