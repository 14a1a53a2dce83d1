//! ResourceQuotas.

use serde_json::{Value, json};

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "ResourceQuota", "resourcequotas", true)
        .gives_deleted()
        .short(&["quota"])
        .status_only()
        .rules(|rules| {
            rules.validate = super::quota_rules::validate;
            rules.validate_status = super::quota_rules::validate_status;
            rules.default = |object| {
                if let Some(spec) = walk::existing_mut(object, "spec") {
                    crate::core::pod::defaults::quantities(spec.get_mut("hard"));
                }
            };
            rules.prepare = |object, old| walk::own_status(object, old, json!({}));
        })
        .columns(columns(&["Name", "Request", "Limit", "Age"]), |object, now| {
            let (limits, requests): (Vec<_>, Vec<_>) = used_of_hard(object).into_iter().partition(|(key, _)| key.starts_with("limits"));
            let join = |pairs: Vec<(String, String)>| pairs.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(", ");
            vec![name(object), join(requests).into(), join(limits).into(), age(object, now)]
        })
}

fn used_of_hard(object: &Value) -> Vec<(String, String)> {
    let text = |value: Option<&Value>| value.map_or("0".to_owned(), |v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
    let used = walk::at(object, "status.used");
    walk::map(object, "status.hard").into_iter().flatten().map(|(key, hard)| (key.clone(), format!("{key}: {}/{}", text(used.get(key)), text(Some(hard))))).collect()
}
