//! Conversion by webhook: objects go out in a ConversionReview, come back at the version asked for, and are not trusted with
//! anything but their labels, annotations and content.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/conversion/webhook_converter.go`.

use std::time::Duration;

use api::{ApiError, GroupVersionKind, meta};
use catalog::walk;
use serde_json::{Map, Value, json};

use crate::object;
use crate::server::Server;
use crate::webhook::Target;

/// Upstream: the client of conversion webhooks waits this long.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of objects in one review; upstream sends lists whole, however long.
const REVIEW: usize = 4 << 20;

/// Objects at the version wanted. All come from other versions; the answer keeps their order.
pub async fn convert(server: &Server, webhook: &Value, objects: Vec<Value>, wanted: &str) -> Result<Vec<Value>, ApiError> {
    let Some(first) = objects.first() else { return Ok(objects) };
    let kind = GroupVersionKind::from_api_version(walk::text(first, "apiVersion"), walk::text(first, "kind")).to_string();
    let failed = |why: String| ApiError::internal(format!("conversion webhook for {kind} {why}"));
    let mut converted = Vec::with_capacity(objects.len());
    for batch in batches(&objects) {
        converted.extend(review(server, webhook, batch, wanted).await.map_err(failed)?);
    }
    Ok(converted)
}

/// Stretches of objects that fit one review; each holds at least one.
fn batches(objects: &[Value]) -> Vec<&[Value]> {
    let (mut all, mut from, mut size) = (Vec::new(), 0, 0);
    for (at, object) in objects.iter().enumerate() {
        let length = object::to_bytes(object).len();
        if size + length > REVIEW && at > from {
            all.push(&objects[from..at]);
            (from, size) = (at, 0);
        }
        size += length;
    }
    all.push(&objects[from..]);
    all
}

async fn review(server: &Server, webhook: &Value, objects: &[Value], wanted: &str) -> Result<Vec<Value>, String> {
    let target = Target::of(walk::at(webhook, "clientConfig")).map_err(|why| format!("failed: {why}"))?;
    let understood = walk::list(webhook, "conversionReviewVersions").iter().filter_map(Value::as_str).find(|v| matches!(*v, "v1" | "v1beta1"));
    let api_version = format!("apiextensions.k8s.io/{}", understood.ok_or("failed: webhook does not accept known ConversionReview versions (v1, v1beta1)")?);
    let uid = uuid::Uuid::new_v4().to_string();
    let question = json!({"kind": "ConversionReview", "apiVersion": api_version, "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": objects}});
    let answer = server.hooks.post(&target, object::to_bytes(&question), TIMEOUT).await.map_err(|error| format!("failed: {error}"))?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|error| format!("failed: {error}"))?;
    let given = answered(&answer, &api_version, &uid).map_err(|why| format!("failed: {why}"))?;
    if given.len() != objects.len() {
        return Err(format!("returned {} objects, expected {}", given.len(), objects.len()));
    }
    let one = |(at, (before, after)): (usize, (&Value, &Value))| checked(before, after, wanted).map_err(|why| format!("returned invalid converted object at index {at}: {why}"));
    objects.iter().zip(given).enumerate().map(one).collect()
}

/// The objects of an answer that is one to this question.
fn answered<'a>(answer: &'a Value, api_version: &str, uid: &str) -> Result<&'a [Value], String> {
    let found = GroupVersionKind::from_api_version(walk::text(answer, "apiVersion"), walk::text(answer, "kind"));
    let expected = GroupVersionKind::from_api_version(api_version, "ConversionReview");
    if found != expected && api_version.ends_with("/v1") {
        return Err(format!("expected webhook response of {expected}, got {found}"));
    }
    let response = answer.get("response").filter(|r| r.is_object()).ok_or("no response provided")?;
    let given = walk::text(response, "uid");
    if given != uid && api_version.ends_with("/v1") {
        return Err(format!("expected response.uid={uid:?}, got {given:?}"));
    }
    let (status, message) = (walk::text(response, "result.status"), walk::text(response, "result.message"));
    if status != "Success" {
        return Err(if message.is_empty() { format!("response.result.status was '{status}', not 'Success'") } else { message.to_owned() });
    }
    Ok(walk::list(response, "convertedObjects"))
}

/// One converted object: of the version asked for, the very same object otherwise, its metadata as it was.
fn checked(before: &Value, after: &Value, wanted: &str) -> Result<Value, String> {
    let got = walk::text(after, "apiVersion");
    if got != wanted {
        return Err(format!("invalid groupVersion (expected {wanted}, received {got})"));
    }
    let (kind, given) = (walk::text(before, "kind"), walk::text(after, "kind"));
    if kind != given {
        return Err(format!("invalid kind (expected {kind}, received {given})"));
    }
    for (what, old, new) in [("name", meta::name(before), meta::name(after)), ("namespace", meta::namespace(before), meta::namespace(after)), ("UID", meta::uid(before), meta::uid(after))] {
        if old != new {
            return Err(format!("must have the same {what}: {old} != {new}"));
        }
    }
    let given = match after.get("metadata") {
        None => return Err("missing metadata in converted object".into()),
        Some(Value::Object(metadata)) => metadata,
        Some(_) => return Err("invalid metadata of converted object: it is no object".into()),
    };
    let mut object = after.clone();
    object["metadata"] = Value::Object(metadata(before, given)?);
    Ok(object)
}

fn metadata(before: &Value, given: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut kept = before.get("metadata").and_then(Value::as_object).cloned().unwrap_or_default();
    for key in ["labels", "annotations"] {
        kept.remove(key);
        let Some(value) = given.get(key).filter(|v| !v.is_null()) else { continue };
        let path = api::Path::new("metadata").child(key);
        let map = value.as_object().ok_or_else(|| format!("invalid metadata.{key}: it is no map"))?;
        if let Some((name, _)) = map.iter().find(|(_, v)| !v.is_string()) {
            return Err(format!("metadata.{key}[{name}] is no text"));
        }
        let faults = if key == "labels" { catalog::metadata::validate_labels(value, &path) } else { catalog::metadata::validate_annotations(value, &path) };
        if !faults.is_empty() {
            return Err(api::field::aggregate(&faults));
        }
        kept.insert(key.to_owned(), value.clone());
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_back_must_be_the_same_object() {
        let before = json!({"apiVersion": "g/v1", "kind": "X", "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"old": "1"}}, "a": 1});
        let after = json!({"apiVersion": "g/v2", "kind": "X", "metadata": {"name": "a", "uid": "u", "labels": {"new": "2"}, "finalizers": ["evil"]}, "b": 1});
        let converted = checked(&before, &after, "g/v2").expect("it is the same");
        assert_eq!(converted["metadata"], json!({"name": "a", "uid": "u", "resourceVersion": "7", "labels": {"new": "2"}}));
        assert_eq!(checked(&before, &before, "g/v2"), Err("invalid groupVersion (expected g/v2, received g/v1)".into()));
        let other = json!({"apiVersion": "g/v2", "kind": "X", "metadata": {"name": "b", "uid": "u"}});
        assert_eq!(checked(&before, &other, "g/v2"), Err("must have the same name: a != b".into()));
    }

    #[test]
    fn answers_must_answer_the_question() {
        let answer = |status: &str| json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": {"uid": "1", "result": {"status": status}, "convertedObjects": [{}]}});
        assert_eq!(answered(&answer("Success"), "apiextensions.k8s.io/v1", "1").map(<[Value]>::len), Ok(1));
        assert_eq!(answered(&answer("Success"), "apiextensions.k8s.io/v1", "2"), Err("expected response.uid=\"2\", got \"1\"".into()));
        assert_eq!(answered(&answer("Failed"), "apiextensions.k8s.io/v1", "1"), Err("response.result.status was 'Failed', not 'Success'".into()));
        assert_eq!(answered(&json!({}), "apiextensions.k8s.io/v1", "1"), Err("expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got , Kind=".into()));
    }
}
