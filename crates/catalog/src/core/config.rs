//! ConfigMaps, Secrets, ServiceAccounts.

use crate::columns::{age, columns, name};
use crate::resource::{Resource, Subresource, Verbs};
use crate::walk;

pub fn config_map() -> Resource {
    Resource::new("", "v1", "ConfigMap", "configmaps", true).short(&["cm"]).columns(columns(&["Name", "Data", "Age"]), |object, now| {
        let count = ["data", "binaryData"].iter().filter_map(|key| walk::map(object, key)).map(serde_json::Map::len).sum::<usize>();
        vec![name(object), count.into(), age(object, now)]
    })
}

pub fn secret() -> Resource {
    Resource::new("", "v1", "Secret", "secrets", true).select(&["type"]).columns(columns(&["Name", "Type", "Data#", "Age"]), |object, now| {
        let count = walk::map(object, "data").map_or(0, serde_json::Map::len);
        vec![name(object), walk::text(object, "type").into(), count.into(), age(object, now)]
    })
}

pub fn service_account() -> Resource {
    Resource::new("", "v1", "ServiceAccount", "serviceaccounts", true)
        .short(&["sa"])
        .sub(Subresource::of_kind("token", "authentication.k8s.io/v1", "TokenRequest", Verbs::CREATE))
        .columns(columns(&["Name", "Secrets", "Age"]), |object, now| vec![name(object), walk::list(object, "secrets").len().into(), age(object, now)])
}
