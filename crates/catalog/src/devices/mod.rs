//! The `resource.k8s.io` group: devices, who offers them and who claims them.

pub mod claim;
mod claim_status;
mod device;
mod lists;
mod parts;
pub mod slice;

use serde_json::{Value, json};

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

const GROUP: &str = "resource.k8s.io";

fn resource(kind: &'static str, plural: &'static str, namespaced: bool) -> Resource {
    let mut resource = Resource::new(GROUP, "v1", kind, plural, namespaced).gives_deleted();
    resource.table = format!("/registry/{plural}").into();
    resource.columns(columns(&["Name", "Age"]), |object, now| vec![name(object), age(object, now)])
}

pub fn resources() -> Vec<Resource> {
    vec![
        resource("DeviceClass", "deviceclasses", false).rules(|rules| {
            rules.generation = true;
            rules.validate = claim::class;
        }),
        resource("DeviceTaintRule", "devicetaintrules", false).status().rules(|rules| {
            rules.validate = slice::taint_rule;
            rules.validate_status = slice::taint_rule_status;
            rules.prepare = |object, old| walk::own_status(object, old, json!({}));
        }),
        resource("ResourceClaim", "resourceclaims", true)
            .status_only()
            .rules(|rules| {
                rules.default = |object| claim::default(object, "spec");
                rules.validate = claim::validate;
                rules.validate_status = claim_status::validate;
                rules.prepare = |object, old| walk::own_status(object, old, json!({}));
            })
            .columns(columns(&["Name", "State", "Age"]), |object, now| vec![name(object), state(object).into(), age(object, now)]),
        resource("ResourceClaimTemplate", "resourceclaimtemplates", true).rules(|rules| {
            rules.default = |object| claim::default(object, "spec.spec");
            rules.validate = claim::validate_template;
        }),
        resource("ResourceSlice", "resourceslices", false)
            .select(&["spec.nodeName", "spec.driver"])
            .rules(|rules| {
                rules.generation = true;
                rules.validate = slice::validate;
            })
            .columns(columns(&["Name", "Node", "Driver", "Pool", "Age"]), |object, now| {
                let node = match walk::text(object, "spec.nodeName") {
                    "" if walk::flag(object, "spec.allNodes") => "<all>",
                    "" => "<unset>",
                    node => node,
                };
                vec![name(object), node.into(), walk::text(object, "spec.driver").into(), walk::text(object, "spec.pool.name").into(), age(object, now)]
            }),
    ]
}

/// Upstream: `resourceClaimState`.
fn state(object: &Value) -> String {
    let (deleted, allocated) = (api::meta::is_deleting(object), walk::at(object, "status.allocation").is_object());
    let words = [
        (deleted, "deleted"),
        (!allocated && !deleted, "pending"),
        (allocated, "allocated"),
        (allocated && !walk::list(object, "status.reservedFor").is_empty(), "reserved"),
    ];
    words.iter().filter(|(is, _)| *is).map(|(_, word)| *word).collect::<Vec<_>>().join(",")
}
