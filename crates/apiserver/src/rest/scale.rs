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
        "get" => {
            let record = call.found().await?;
            require_replicas(call, &call.read(&record))?;
            record
        }
        "update" => {
            let expected = api::GroupVersionKind::from_api_version("autoscaling/v1", "Scale");
            let scale = wire::decode_object(call, expected)?;
            update::update(call, &|old| with_scale(call, old, &scale)).await?
        }
        "patch" => update::update(call, &|old| with_scale(call, old, &patch::patched(call, &scale_of(call, old)?)?)).await?,
        _ => return Err(ApiError::method_not_allowed()),
    };
    Ok(respond::encoded(StatusCode::OK, &scale_of(call, &call.read(&record))?, call.accept.form))
}

/// The scale of an object of the call's resource.
pub fn scale_of(call: &Call, object: &Value) -> Result<Value, ApiError> {
    match custom_scale(call) {
        Some(scale) => scale.of(object).map_err(ApiError::internal),
        None => Ok(of(object)),
    }
}

fn custom_scale(call: &Call) -> Option<&catalog::custom::Scale> {
    call.served.resource.custom.as_ref()?.scale.as_ref()
}

/// Upstream: a custom resource that says no replicas has no scale to show.
fn require_replicas(call: &Call, object: &Value) -> Result<(), ApiError> {
    match custom_scale(call) {
        Some(scale) if !scale.has_replicas(object) => Err(ApiError::internal(format!("the spec replicas field {:?} does not exist", scale.spec_replicas))),
        _ => Ok(()),
    }
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
    match custom_scale(call) {
        // Upstream: a patch that leaves absent replicas absent is refused.
        Some(own) if call.info.verb == "patch" && scale["spec"].get("replicas").is_none() && !own.has_replicas(old) => {
            return Err(ApiError::bad_request(format!("the spec replicas field {:?} cannot be empty", own.spec_replicas)));
        }
        Some(own) => own.set(&mut object, replicas).map_err(ApiError::internal)?,
        None => object["spec"]["replicas"] = replicas.into(),
    }
    let revision = meta::resource_version(scale);
    meta::set(&mut object, "resourceVersion", if revision.is_empty() { Value::Null } else { revision.into() });
    if !meta::uid(scale).is_empty() {
        meta::set(&mut object, "uid", meta::uid(scale));
    }
    Ok(object)
}
