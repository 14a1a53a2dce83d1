//! The core group.

pub mod config;
pub mod endpoints;
pub mod event;
pub mod namespace;
pub mod node;
pub mod pod;
pub mod pod_columns;
pub mod quota;
pub mod replication_controller;
pub mod service;
pub mod volume;

use crate::resource::Resource;

pub fn resources() -> Vec<Resource> {
    vec![
        Resource { verbs: crate::Verbs::CREATE, list_kind: "".into(), ..Resource::new("", "v1", "Binding", "bindings", true) },
        component_status(),
        config::config_map(),
        endpoints::resource(),
        event::resource(),
        quota::limit_range(),
        namespace::resource(),
        node::resource(),
        volume::claim(),
        volume::volume(),
        pod::resource(),
        pod::template(),
        replication_controller::resource(),
        quota::resource_quota(),
        config::secret(),
        config::service_account(),
        service::resource(),
    ]
}

fn component_status() -> Resource {
    let verbs = crate::Verbs { get: true, list: true, ..crate::Verbs::NONE };
    Resource { verbs, ..Resource::new("", "v1", "ComponentStatus", "componentstatuses", false) }.short(&["cs"])
}
