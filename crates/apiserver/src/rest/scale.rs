//! The scale of what runs copies.

use api::{ApiError, meta};
use catalog::walk;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Call, patch, update};
use crate::respond::{self, Body};
use crate::wire;

pub async fn serve(call: &Call) -> Result<Response<Body>, ApiError> {
    let record = match call.info.verb {
        "get" => call.record()?,
        "update" => {
            let expected = api::GroupVersionKind::from_api_version("autoscaling/v1", "Scale");
            let scale = wire::decode_object(call, expected)?.value;
            update::update(call, &|old| with_scale(call, old, &scale)).await?
        }
        "patch" => update::update(call, &|old| with_scale(call, old, &patch::patched(call, &of(old))?)).await?,
        _ => return Err(ApiError::method_not_allowed()),
    };
    Ok(respond::encoded(StatusCode::OK, &of(&call.read(&record)), call.accept.form))
}

/// The scale of an object.
pub fn of(object: &Value) -> Value {
    let mut metadata = serde_json::Map::new();
    for key in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(key) {
            metadata.insert(key.into(), value.clone());
        }
    }
    let mut status = json!({"replicas": walk::int(object, "status.replicas")});
    let selector = selector_text(walk::at(object, "spec.selector"));
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    let mut spec = json!({});
    let replicas = walk::int(object, "spec.replicas");
    if replicas != 0 {
        spec["replicas"] = replicas.into();
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

/// The scale of an object of the call's resource.
pub fn scale_of(_: &Call, object: &Value) -> Result<Value, ApiError> {
    Ok(of(object))
}

/// A selector in the form of a query. A replication controller's is a plain map.
fn selector_text(selector: &Value) -> String {
    if selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some() {
        return match catalog::columns::selector(selector) {
            Value::String(text) if text != "<none>" => text,
            _ => String::new(),
        };
    }
    let pairs: Vec<_> = selector.as_object().into_iter().flatten().map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    pairs.join(",")
}

pub fn with_scale(call: &Call, old: &Value, scale: &Value) -> Result<Value, ApiError> {
    let replicas = walk::int(scale, "spec.replicas");
    if replicas < 0 {
        let error = api::FieldError::invalid(&api::Path::new("spec.replicas"), replicas, "must be greater than or equal to 0");
        return Err(ApiError::invalid("autoscaling", "Scale", &call.info.name, &[error]));
    }
    let mut object = old.clone();
    object["spec"]["replicas"] = replicas.into();
    let revision = meta::resource_version(scale);
    meta::set(&mut object, "resourceVersion", if revision.is_empty() { Value::Null } else { revision.into() });
    if !meta::uid(scale).is_empty() {
        meta::set(&mut object, "uid", meta::uid(scale));
    }
    Ok(object)
}
