//! PodTopologyLabels: pods carry the zone and region of the node they are bound to.
//!
//! Upstream: `plugin/pkg/admission/podtopologylabels/admission.go`.

use api::meta;
use serde_json::{Value, json};

use crate::object;
use crate::rest::Call;

const LABELS: [&str; 2] = ["topology.kubernetes.io/zone", "topology.kubernetes.io/region"];

/// Gives labels of a node to a pod, or to the binding that leads it there; what it has stays.
pub fn label(call: &Call, object: &mut Value, node: &str) {
    if node.is_empty() || !call.server.plugins.has("PodTopologyLabels") {
        return;
    }
    let table = call.server.store.table("/registry/nodes");
    let Some(node) = call.server.store.view().get(table, node).map(|r| object::parse(&r.value)) else { return };
    for key in LABELS {
        let Some(value) = meta::label(&node, key).filter(|_| meta::label(object, key).is_none()) else { continue };
        if let Some(labels) = meta::metadata_mut(object).entry("labels").or_insert_with(|| json!({})).as_object_mut() {
            labels.insert(key.to_owned(), value.into());
        }
    }
}
