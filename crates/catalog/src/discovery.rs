//! The `discovery.k8s.io` group: endpoint slices.

use serde_json::Value;

use crate::columns::{age, columns, name, or_none};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let mut slice = Resource::new("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true)
        .rules(|rules| {
            rules.generation = true;
            rules.default = |object| {
                for port in object.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut) {
                    walk::fill(port, "name", "");
                    walk::fill(port, "protocol", "TCP");
                }
            };
        })
        .columns(columns(&["Name", "AddressType", "Ports", "Endpoints", "Age"]), |object, now| {
            let ports = walk::list(object, "ports").iter().map(|p| p.get("port").and_then(Value::as_i64).map_or("*".to_owned(), |n| n.to_string()));
            let addresses = walk::list(object, "endpoints").iter().flat_map(|e| walk::list(e, "addresses")).filter_map(Value::as_str).map(str::to_owned);
            let ports = shortened(ports.collect());
            vec![name(object), walk::text(object, "addressType").into(), if ports.is_empty() { "<unset>".into() } else { ports.into() }, { let text = shortened(addresses.collect()); if text.is_empty() { "<unset>".into() } else { or_none(text) } }, age(object, now)]
        });
    slice.table = "/registry/endpointslices".into();
    vec![slice]
}

/// Upstream: three shown, the rest counted.
fn shortened(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(3);
    all.truncate(3);
    let text = all.join(",");
    if more > 0 { format!("{text} + {more} more...") } else { text }
}
