//! Objects reduced to their metadata.

use serde_json::{Value, json};

/// `PartialObjectMetadata` of an object.
pub fn object(value: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value.get("metadata").cloned().unwrap_or_default()})
}
