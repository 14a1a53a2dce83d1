//! Endpoints.

use serde_json::Value;

use crate::columns::{age, columns, name, or_none};
use crate::resource::Resource;
use crate::walk;

pub fn resource() -> Resource {
    Resource::new("", "v1", "Endpoints", "endpoints", true).short(&["ep"]).rules(|rules| rules.default = |object| {
        for subset in object.get_mut("subsets").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
            for port in walk::items(subset, "ports") {
                walk::fill_text(port, "protocol", "TCP");
            }
        }
    }).columns(columns(&["Name", "Endpoints", "Age"]), |object, now| vec![name(object), addresses(object), age(object, now)])
}

/// Upstream: `formatEndpoints` shows three and counts the rest.
fn addresses(object: &Value) -> Value {
    let mut shown = Vec::new();
    let mut count = 0;
    for subset in walk::list(object, "subsets") {
        let ports = walk::list(subset, "ports");
        for address in walk::list(subset, "addresses") {
            let ip = walk::text(address, "ip");
            if ports.is_empty() {
                count += 1;
                shown.push(ip.to_owned());
            }
            for port in ports {
                count += 1;
                shown.push(format!("{ip}:{}", walk::int(port, "port")));
            }
        }
    }
    shown.truncate(3);
    let text = shown.join(",");
    if count > 3 { format!("{text} + {} more...", count - 3).into() } else { or_none(text) }
}
