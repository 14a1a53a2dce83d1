//! The core group.

pub mod config_data;
pub mod config_map;
pub mod endpoints;
pub mod event;
pub mod event_rules;
mod key_pair;
pub mod limit_range;
pub mod limit_range_rules;
pub mod namespace;
pub mod node;
pub mod node_rules;
pub mod persistent_volume;
pub mod persistent_volume_claim;
pub mod persistent_volume_claim_rules;
pub mod persistent_volume_rules;
pub mod pod;
pub mod quota_rules;
pub mod replication_controller;
pub mod resource_quota;
pub mod secret;
pub mod service;
pub mod service_account;
pub mod service_addresses;
pub mod service_rules;
mod service_warnings;

use crate::resource::Resource;

pub fn resources() -> Vec<Resource> {
    vec![
        Resource { verbs: crate::Verbs::CREATE, list_kind: "".into(), ..Resource::new("", "v1", "Binding", "bindings", true) },
        component_status(),
        config_map::resource(),
        endpoints::resource(),
        event::resource(),
        limit_range::resource(),
        namespace::resource(),
        node::resource(),
        persistent_volume_claim::resource(),
        persistent_volume::resource(),
        pod::resource(),
        pod::template(),
        replication_controller::resource(),
        resource_quota::resource(),
        secret::resource(),
        service_account::resource(),
        service::resource(),
    ]
}

fn component_status() -> Resource {
    let verbs = crate::Verbs { get: true, list: true, ..crate::Verbs::NONE };
    Resource { verbs, ..Resource::new("", "v1", "ComponentStatus", "componentstatuses", false) }.short(&["cs"]).deprecated("v1 ComponentStatus is deprecated in v1.19+")
}
