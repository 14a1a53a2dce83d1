//! Which store holds the objects, and how values that others wrote into etcd are read.
//!
//! Upstream writes protobuf for built-in kinds and JSON for custom ones, both without a resourceVersion; this server writes
//! JSON that upstream can read. Objects in an older version of their kind are read as the version that is stored here,
//! where the field numbers are the same.

use bytes::Bytes;
use serde_json::Value;
use store::{DEFAULT_HISTORY_BYTES, DiskOptions, EtcdOptions, Layout, Stamped, Store};

use crate::config::{Config, EtcdConfig};
use api::request::Info;
use api::query::Query;
use crate::server::StartError;
use crate::encryption::Encryption;
use crate::object;

/// Tables that lie under names of old. Upstream: `SpecialDefaultResourcePrefixes` in `pkg/kubeapiserver/default_storage_factory_builder.go`.
const RENAMED: [(&str, &str); 6] = [
    ("/registry/nodes", "/registry/minions"),
    ("/registry/replicationcontrollers", "/registry/controllers"),
    ("/registry/endpoints", "/registry/services/endpoints"),
    ("/registry/ingresses", "/registry/ingress"),
    ("/registry/flowcontrol.apiserver.k8s.io/flowschemas", "/registry/flowschemas"),
    ("/registry/flowcontrol.apiserver.k8s.io/prioritylevelconfigurations", "/registry/prioritylevelconfigurations"),
];

pub async fn open(config: &Config, encryption: &Encryption) -> Result<Store, StartError> {
    if let Some(etcd) = &config.etcd {
        return Ok(Store::etcd(options(etcd, encryption)).await?);
    }
    Ok(match &config.store_dir {
        Some(folder) => Store::open(folder, DiskOptions { seal: Some(encryption.options()), ..DiskOptions::default() })?,
        None => Store::in_memory(),
    })
}

fn options(etcd: &EtcdConfig, encryption: &Encryption) -> EtcdOptions {
    let renamed = RENAMED.iter().map(|(table, stored)| ((*table).to_owned(), (*stored).to_owned())).collect();
    EtcdOptions {
        endpoints: etcd.servers.clone(),
        tls: etcd.tls.clone(),
        layout: Layout { prefix: etcd.prefix.trim_end_matches('/').to_owned(), renamed },
        read,
        history_bytes: DEFAULT_HISTORY_BYTES,
        seal: Some(encryption.options()),
    }
}

/// Whether a request may only be answered from what was there when it came, and others write to the store too.
pub fn wants_fresh(store: &Store, info: &Info, query: &Query) -> bool {
    if !store.is_shared() {
        return false;
    }
    let asks_for = query.get("resourceVersion");
    match info.verb {
        _ if !info.is_resource => info.path.starts_with("/readyz") || info.path.starts_with("/healthz"),
        "list" | "get" => asks_for != "0",
        "watch" => asks_for.is_empty(),
        _ => true,
    }
}

/// How the bytes of every object here begin, up to its revision, after kind and apiVersion.
const GAP: &[u8] = b"\"metadata\":{\"resourceVersion\":\"\"";
/// Kinds and versions are short: the gap lies within this.
const HEAD: usize = 300;

/// A stored value as the bytes that readers get.
fn read(bytes: Bytes) -> Option<Stamped> {
    if bytes.starts_with(b"{\"kind\":\"") {
        let head = &bytes[..bytes.len().min(HEAD)];
        if let Some(at) = head.windows(GAP.len()).position(|w| w == GAP) {
            return Some(Stamped { at: at + GAP.len() - 1, bytes });
        }
    }
    let mut value = if bytes.starts_with(codec::MAGIC) { from_protobuf(&bytes)? } else { serde_json::from_slice(&bytes).ok()? };
    let metadata = value.get_mut("metadata")?.as_object_mut()?;
    metadata.remove("selfLink");
    metadata.remove("resourceVersion");
    Some(object::encode(&value))
}

/// Versions of upstream's stored objects, of old, whose fields are those of the version stored here.
const OLDER: [(&str, &str); 10] = [
    ("policy/v1beta1", "policy/v1"),
    ("batch/v1beta1", "batch/v1"),
    ("discovery.k8s.io/v1beta1", "discovery.k8s.io/v1"),
    ("flowcontrol.apiserver.k8s.io/v1beta1", "flowcontrol.apiserver.k8s.io/v1"),
    ("node.k8s.io/v1beta1", "node.k8s.io/v1"),
    ("storage.k8s.io/v1beta1", "storage.k8s.io/v1"),
    ("rbac.authorization.k8s.io/v1beta1", "rbac.authorization.k8s.io/v1"),
    ("scheduling.k8s.io/v1beta1", "scheduling.k8s.io/v1"),
    ("coordination.k8s.io/v1beta1", "coordination.k8s.io/v1"),
    ("events.k8s.io/v1beta1", "v1"),
];

fn from_protobuf(bytes: &[u8]) -> Option<Value> {
    match codec::decode_proto(bytes) {
        Ok(object) => Some(object.value),
        Err(codec::DecodeError::UnknownKind { api_version, kind }) => {
            let (_, now) = OLDER.iter().find(|(old, _)| *old == api_version)?;
            let gvk = api::GroupVersionKind::from_api_version(now, &kind);
            let mut value = codec::decode_proto_as(bytes, schema::by_kind(&gvk.group, &gvk.version, &gvk.kind)?).ok()?.value;
            value["apiVersion"] = (*now).into();
            Some(value)
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn own_values_keep_their_bytes_and_upstreams_are_read() {
        let own = object::encode(&json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "7"}, "data": {"x": "y"}}));
        let back = read(own.bytes.clone()).expect("own bytes");
        assert_eq!((back.at, &back.bytes), (own.at, &own.bytes));

        let theirs = json!({"kind": "Widget", "apiVersion": "example.com/v1", "metadata": {"name": "a", "selfLink": "/x"}});
        let back = read(theirs.to_string().into()).expect("JSON without a revision");
        let text = String::from_utf8(back.bytes.to_vec()).expect("text");
        assert!(text.starts_with("{\"kind\":\"Widget\",\"apiVersion\":\"example.com/v1\",\"metadata\":{\"resourceVersion\":\"\",\"name\":\"a\"}"), "{text}");

        let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "namespace": "b"}, "spec": {"containers": [{"name": "c"}]}});
        let of = schema::by_kind("", "v1", "Pod").expect("pods are known");
        let back = read(codec::encode_proto(&pod, of).expect("it encodes").into()).expect("protobuf");
        let value: Value = serde_json::from_slice(&back.bytes).expect("JSON");
        assert_eq!((&value["kind"], &value["metadata"]["name"]), (&json!("Pod"), &json!("a")));
        assert!(read(Bytes::from_static(b"ranges\x00\x01")).is_none());
    }
}
