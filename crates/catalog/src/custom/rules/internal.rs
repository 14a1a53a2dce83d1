//! The form in which upstream validates a definition: what all versions say alike is said once.
//!
//! Upstream: apiextensions-apiserver `pkg/apis/apiextensions/v1/conversion.go`.

use serde_json::{Map, Value};

use crate::walk;

/// Key of a version, key at the top.
const SHARED: [(&str, &str); 4] = [("subresources", "subresources"), ("schema", "validation"), ("additionalPrinterColumns", "additionalPrinterColumns"), ("selectableFields", "selectableFields")];

pub fn form(spec: &Value) -> Value {
    let mut form = spec.as_object().cloned().unwrap_or_default();
    let mut versions = walk::list(spec, "versions").to_vec();
    if let Some(first) = versions.first().cloned() {
        for (key, top) in SHARED {
            if versions.iter().any(|v| v.get(key) != first.get(key)) {
                continue;
            }
            if let Some(value) = first.get(key).filter(|v| !v.is_null()) {
                form.insert(top.to_owned(), value.clone());
            }
            versions.iter_mut().filter_map(Value::as_object_mut).for_each(|v| drop(v.remove(key)));
        }
        form.insert("versions".into(), Value::Array(versions));
    }
    if let Some(conversion) = form.get("conversion").map(conversion) {
        form.insert("conversion".into(), conversion);
    }
    Value::Object(form)
}

fn conversion(given: &Value) -> Value {
    let mut out = Map::new();
    out.insert("strategy".into(), given.get("strategy").cloned().unwrap_or_default());
    for (from, to) in [("clientConfig", "webhookClientConfig"), ("conversionReviewVersions", "conversionReviewVersions")] {
        if let Some(value) = given.get("webhook").and_then(|w| w.get(from)).filter(|v| !v.is_null()) {
            out.insert(to.into(), value.clone());
        }
    }
    Value::Object(out)
}
