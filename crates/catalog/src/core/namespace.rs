//! Namespaces.

use api::names;
use serde_json::json;

use crate::columns::{age, columns, name};
use crate::resource::{Resource, Subresource, Verbs};
use crate::walk;

pub fn resource() -> Resource {
    let finalize = Subresource { verbs: Verbs { update: true, ..Verbs::NONE }, ..Subresource::part("finalize") };
    let verbs = Verbs { deletecollection: false, ..Verbs::ALL };
    Resource { verbs, ..Resource::new("", "v1", "Namespace", "namespaces", false) }
        .short(&["ns"])
        .sub(finalize)
        .status_only()
        .select(&["status.phase"])
        .rules(|rules| {
            rules.name = names::dns1123_label;
            rules.default = |object| {
                let label = api::meta::name(object).to_owned();
                if !label.is_empty()
                    && let Some(labels) = walk::object_mut(object, "metadata.labels")
                {
                    labels.insert("kubernetes.io/metadata.name".into(), label.into());
                }
            };
            rules.prepare = |object, old| {
                walk::keep(object, old, "status");
                walk::keep(object, old, "spec");
                if old.is_none() {
                    object["spec"] = json!({"finalizers": ["kubernetes"]});
                    object["status"] = json!({"phase": "Active"});
                }
            };
        })
        .columns(columns(&["Name", "Status", "Age"]), |object, now| vec![name(object), walk::text(object, "status.phase").into(), age(object, now)])
}
