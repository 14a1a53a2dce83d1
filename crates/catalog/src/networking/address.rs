//! IPAddresses and ServiceCIDRs.

use serde_json::Value;

use super::resource as of_group;
use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn ip_address() -> Resource {
    of_group("IPAddress", "ipaddresses", false).short(&["ip"]).columns(columns(&["Name", "ParentRef"]), |object, _| {
        let parent = walk::at(object, "spec.parentRef");
        let resource = match walk::text(parent, "group") {
            "" => walk::text(parent, "resource").to_owned(),
            group => format!("{}.{group}", walk::text(parent, "resource")),
        };
        let place = [resource.as_str(), walk::text(parent, "namespace"), walk::text(parent, "name")];
        vec![name(object), place.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/").into()]
    })
}

pub fn service_cidr() -> Resource {
    of_group("ServiceCIDR", "servicecidrs", false).status_only().columns(columns(&["Name", "CIDRs", "Age"]), |object, now| {
        let cidrs: Vec<_> = walk::list(object, "spec.cidrs").iter().filter_map(Value::as_str).collect();
        vec![name(object), cidrs.join(",").into(), age(object, now)]
    })
}
