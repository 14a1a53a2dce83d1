//! ResourceQuotas and LimitRanges.

use serde_json::Value;

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn limit_range() -> Resource {
    Resource::new("", "v1", "LimitRange", "limitranges", true).short(&["limits"]).columns(columns(&["Name", "Created At"]), crate::columns::name_and_age_cells)
}

pub fn resource_quota() -> Resource {
    Resource::new("", "v1", "ResourceQuota", "resourcequotas", true)
        .short(&["quota"])
        .status_only()
        .rules(|rules| rules.prepare = |object, old| walk::keep(object, old, "status"))
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
