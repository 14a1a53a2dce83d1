//! The `networking.k8s.io` group.

pub mod address;
pub mod ingress;
mod ingress_rules;
pub mod network_policy;

use crate::resource::Resource;

const GROUP: &str = "networking.k8s.io";

fn resource(kind: &'static str, plural: &'static str, namespaced: bool) -> Resource {
    let mut resource = Resource::new(GROUP, "v1", kind, plural, namespaced);
    resource.table = format!("/registry/{plural}").into();
    resource
}

pub fn resources() -> Vec<Resource> {
    vec![ingress::ingress_class(), ingress::ingress(), address::ip_address(), network_policy::network_policy(), address::service_cidr()]
}
