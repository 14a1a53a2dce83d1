//! LimitRanges.

use serde_json::{Map, Value};

use crate::columns::columns;
use crate::resource::Resource;
use crate::walk::{self, made};

pub fn resource() -> Resource {
    Resource::new("", "v1", "LimitRange", "limitranges", true).short(&["limits"]).rules(|rules| {
        rules.default = default;
        rules.validate = super::limit_range_rules::validate;
    }).columns(columns(&["Name", "Created At"]), crate::columns::name_and_age_cells)
}

/// Upstream: for containers a default limit comes from the most allowed, a default request from the default limit or the
/// least allowed.
fn default(object: &mut Value) {
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    for item in walk::items(spec, "limits") {
        for list in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
            crate::core::pod::defaults::quantities(item.get_mut(list));
        }
        if item.get("type").and_then(Value::as_str) == Some("Container") {
            take_over(item, "max", "default");
            take_over(item, "default", "defaultRequest");
            take_over(item, "min", "defaultRequest");
        }
    }
}

fn take_over(item: &mut Map<String, Value>, from: &str, to: &str) {
    let Some(given) = item.get(from).and_then(Value::as_object).filter(|m| !m.is_empty()).cloned() else { return };
    if let Some(list) = made(item, to) {
        for (key, value) in given {
            list.entry(key).or_insert(value);
        }
    }
}
