//! Parts of objects and actions on them.

use api::{ApiError, meta};
use catalog::{Resource, walk};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::{Call, connect, delete, patch, scale, token_request, update};
use crate::admission::{extension, topology};
use crate::respond::{self, Body};
use crate::wire;

pub async fn serve(call: Call) -> Result<Response<Body>, ApiError> {
    let Some(part) = call.served.resource.subresource(&call.info.subresource) else { return Err(ApiError::no_such_path()) };
    let verbs = part.verbs;
    match (call.info.subresource.as_str(), call.info.verb) {
        ("scale", _) => scale::serve(&call).await,
        ("binding", "create") => bind(&call).await,
        ("eviction", "create") => evict(&call).await,
        ("token", "create") => token_request::serve(&call).await,
        ("log", "get") => connect::log(call).await,
        ("finalize", "update") => update::serve(&call).await,
        (_, "get") if verbs.get => {
            let record = call.found().await?;
            Ok(call.respond(StatusCode::OK, &record))
        }
        (_, "update") if verbs.update => update::serve(&call).await,
        (_, "patch") if verbs.patch => patch::serve(&call).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// Keeps a write to a part of an object to that part.
pub fn prepare(resource: &Resource, part: &str, object: &mut Value, old: &Value) {
    match part {
        "" => {
            if resource.has_status() {
                walk::keep(object, Some(old), "status");
            }
            resource.prepare(object, Some(old));
        }
        // Upstream: of a custom resource nothing else changes with its status.
        "status" if resource.custom.is_some() => {
            let fields = object["metadata"].get("managedFields").cloned().unwrap_or_default();
            let status = object.get("status").cloned();
            *object = old.clone();
            meta::set(object, "managedFields", fields);
            match (status, object.as_object_mut()) {
                (Some(status), Some(map)) => drop(map.insert("status".into(), status)),
                (None, Some(map)) => drop(map.remove("status")),
                _ => {}
            }
        }
        "status" => keep_all_but(resource, object, old, &["status"]),
        "approval" => {
            let conditions = walk::at(object, "status.conditions").clone();
            *object = with_metadata(old, object);
            if let Some(status) = walk::object_mut(object, "status") {
                status.insert("conditions".into(), conditions);
            }
        }
        "finalize" => {
            let finalizers = walk::at(object, "spec.finalizers").clone();
            *object = with_metadata(old, object);
            if let Some(spec) = walk::object_mut(object, "spec") {
                spec.insert("finalizers".into(), finalizers);
            }
        }
        "ephemeralcontainers" => {
            let containers = walk::at(object, "spec.ephemeralContainers").clone();
            let mut kept = old.clone();
            if let (Some(spec), false) = (walk::object_mut(&mut kept, "spec"), containers.is_null()) {
                spec.insert("ephemeralContainers".into(), containers);
            }
            *object = kept;
        }
        "resize" => resize(object, old),
        _ => {}
    }
    if !part.is_empty() {
        (resource.rules.prepare_part)(part, object, old, jiff::Timestamp::now());
    }
}

fn with_metadata(old: &Value, new: &Value) -> Value {
    let mut kept = old.clone();
    kept["metadata"] = new["metadata"].clone();
    kept
}

/// Upstream: a write of status keeps spec, labels and owners; annotations and finalizers may change with it.
fn keep_all_but(resource: &Resource, object: &mut Value, old: &Value, parts: &[&str]) {
    let mut kept = with_metadata(old, object);
    for part in parts {
        match object.get(*part) {
            Some(value) => kept[*part] = value.clone(),
            None => {
                if let Some(map) = kept.as_object_mut() {
                    map.remove(*part);
                }
            }
        }
    }
    let labels_may_change = resource.group.is_empty() || resource.group.contains("certificates");
    if !labels_may_change {
        meta::set(&mut kept, "labels", old["metadata"].get("labels").cloned().unwrap_or_default());
    }
    meta::set(&mut kept, "ownerReferences", old["metadata"].get("ownerReferences").cloned().unwrap_or_default());
    *object = kept;
}

/// A resize changes amounts, of the pod and of its containers, and what they do to a container; nothing else.
/// Upstream: `dropNonResizeUpdates`.
fn resize(object: &mut Value, old: &Value) {
    let mut kept = old.clone();
    let take = |into: &mut Value, from: &Value, key: &str| walk::keep(into, Some(from), key);
    if let Some(spec) = kept.get_mut("spec") {
        take(spec, walk::at(object, "spec"), "resources");
    }
    for list in ["spec.containers", "spec.initContainers"] {
        let wanted = walk::list(object, list);
        for container in walk::list_mut(&mut kept, list) {
            if let Some(new) = wanted.iter().find(|c| c["name"] == container["name"]) {
                take(container, new, "resources");
                take(container, new, "resizePolicy");
            }
        }
    }
    *object = kept;
}

/// Upstream: `ValidatePodBinding`.
fn binding_faults(binding: &Value) -> api::FieldErrors {
    let (target, mut faults) = (walk::at(binding, "target"), api::FieldErrors::new());
    let (kind, path) = (walk::text(target, "kind"), api::Path::new("target"));
    if !matches!(kind, "" | "Node") {
        faults.push(api::FieldError::not_supported(&path.child("kind"), kind, &["Node", "<empty>"]));
    }
    if walk::text(target, "name").is_empty() {
        faults.push(api::FieldError::required(&path.child("name"), ""));
    }
    faults
}

/// Binds a pod to a node. Upstream: `pkg/registry/core/pod/storage` `assignPod`.
pub async fn bind(call: &Call) -> Result<Response<Body>, ApiError> {
    let expected = api::GroupVersionKind::from_api_version("v1", "Binding");
    let mut value = wire::decode_object(call, expected)?;
    extension::post(call, &mut value).await?;
    let target = walk::text(&value, "target.name").to_owned();
    let faults = binding_faults(&value);
    if !faults.is_empty() {
        return Err(ApiError::invalid("", "Binding", &call.info.name, &faults));
    }
    topology::label(call, &mut value, &target);
    let given = |key: &str| walk::map(&value, key).cloned().unwrap_or_default();
    let (annotations, labels) = (given("metadata.annotations"), given("metadata.labels"));
    let uid = meta::uid(&value).to_owned();
    let set = |old: &Value| {
        let conflict = |why: String| Err(ApiError::conflict(&api::GroupResource::new("", "pods/binding"), &call.info.name, why));
        if !uid.is_empty() && uid != meta::uid(old) {
            return conflict(format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", meta::uid(old)));
        }
        if meta::is_deleting(old) {
            return conflict(format!("pod {} is being deleted, cannot be assigned to a host", call.info.name));
        }
        let node = walk::text(old, "spec.nodeName");
        if !node.is_empty() {
            return conflict(format!("pod {} is already assigned to node {node:?}", call.info.name));
        }
        if !walk::list(old, "spec.schedulingGates").is_empty() {
            return conflict(format!("pod {} has non-empty .spec.schedulingGates", call.info.name));
        }
        let mut pod = old.clone();
        pod["spec"]["nodeName"] = target.clone().into();
        for (key, value) in &annotations {
            meta::set_annotation(&mut pod, key, value.as_str().unwrap_or_default());
        }
        // Upstream: what the pod has stays.
        for (key, value) in labels.iter().filter(|(key, _)| meta::label(old, key).is_none()) {
            if let Some(all) = meta::metadata_mut(&mut pod).entry("labels").or_insert_with(|| json!({})).as_object_mut() {
                all.insert(key.clone(), value.clone());
            }
        }
        set_condition(&mut pod, json!({"type": "PodScheduled", "status": "True"}));
        Ok(pod)
    };
    update::update(call, &set).await?;
    Ok(call.respond_value(StatusCode::CREATED, success()))
}

fn set_condition(pod: &mut Value, mut condition: Value) {
    condition["lastProbeTime"] = Value::Null;
    condition["lastTransitionTime"] = api::time::rfc3339(jiff::Timestamp::now()).into();
    let kind = condition["type"].clone();
    let Some(status) = walk::object_mut(pod, "status") else { return };
    let conditions = status.entry("conditions").or_insert_with(|| json!([]));
    if let Some(list) = conditions.as_array_mut() {
        list.retain(|c| c["type"] != kind);
        list.push(condition);
    }
}

pub fn success() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})
}

/// Evicts a pod where its disruption budgets allow it. Upstream: `pkg/registry/core/pod/storage/eviction.go`.
async fn evict(call: &Call) -> Result<Response<Body>, ApiError> {
    let version = if call.headers.get("content-type").is_some() { eviction_version(&call.body) } else { "v1" };
    let expected = api::GroupVersionKind::from_api_version(&format!("policy/{version}"), "Eviction");
    let mut value = wire::decode_object(call, expected)?;
    if meta::name(&value) != call.info.name {
        return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
    }
    extension::post(call, &mut value).await?;
    let record = call.record()?;
    let pod = call.read(&record);
    let free = matches!(walk::text(&pod, "status.phase"), "Succeeded" | "Failed" | "Pending") || meta::is_deleting(&pod);
    if !free {
        call.server.budgets.take(call, &pod).await?;
    }
    let options = delete::Options {
        grace: walk::at(&value, "deleteOptions.gracePeriodSeconds").as_i64(),
        propagation: walk::at(&value, "deleteOptions.propagationPolicy").as_str().map(str::to_owned),
        uid: walk::text(&value, "deleteOptions.preconditions.uid").to_owned(),
        dry_run: call.dry_run()? || !walk::list(&value, "deleteOptions.dryRun").is_empty(),
        ..delete::Options::default()
    };
    if !options.dry_run {
        // Who reads the pod's end knows that it was driven out.
        let told = |old: &Value| {
            let mut pod = old.clone();
            set_condition(&mut pod, json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}));
            Ok(pod)
        };
        update::update(call, &told).await?;
    }
    delete::delete(call, &options).await?;
    Ok(respond::encoded(StatusCode::CREATED, &success(), call.accept.form))
}

fn eviction_version(body: &[u8]) -> &'static str {
    let has = |text: &[u8]| body.windows(text.len()).any(|w| w == text);
    if has(b"policy/v1beta1") { "v1beta1" } else { "v1" }
}
