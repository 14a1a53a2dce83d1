//! Writing a pod's status to the API: only what changed, and only to the very pod it is about.
//!
//! Never touches conditions of other owners: the patch merges by type. Upstream: pkg/kubelet/status/status_manager.go.

use k8s_openapi::api::core::v1::{Pod, PodStatus};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::{Map, Value, json};

use crate::agent::Agent;

const OWNED: [&str; 5] = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

pub enum Published {
    Written,
    /// The pod is gone, or another has its name.
    Gone,
    Failed(String),
}

pub async fn publish(agent: &Agent, pod: &Pod, old: &PodStatus, new: &PodStatus) -> Published {
    let Some(status) = status_patch(old, new) else { return Published::Written };
    let (namespace, name) = (pod.metadata.namespace.as_deref().unwrap_or_default(), pod.metadata.name.as_deref().unwrap_or_default());
    let patch = json!({"metadata": {"uid": pod.metadata.uid}, "status": status});
    let api: Api<Pod> = Api::namespaced(agent.client.clone(), namespace);
    match api.patch_status(name, &PatchParams::default(), &Patch::Strategic(patch)).await {
        Ok(_) => Published::Written,
        Err(error) if client::is_not_found(&error) || client::is_conflict(&error) => Published::Gone,
        Err(error) => Published::Failed(client::api_message(&error)),
    }
}

/// The difference as a strategic merge patch.
pub fn status_patch(old: &PodStatus, new: &PodStatus) -> Option<Value> {
    let (Ok(Value::Object(old)), Ok(Value::Object(new))) = (serde_json::to_value(old), serde_json::to_value(new)) else { return None };
    let mut patch = Map::new();
    for (name, value) in &new {
        if old.get(name) == Some(value) {
            continue;
        }
        let value = match name.as_str() {
            "conditions" => {
                let before = old.get(name).and_then(Value::as_array);
                let changed: Vec<Value> = value.as_array().into_iter().flatten().filter(|c| is_owned(c) && before.is_none_or(|b| !b.contains(c))).map(condition_patch).collect();
                if changed.is_empty() {
                    continue;
                }
                Value::Array(changed)
            }
            // These merge by address, which would keep the old one.
            "podIPs" | "hostIPs" if old.get(name).and_then(Value::as_array).is_some_and(|a| !a.is_empty()) => {
                let mut list = vec![json!({"$patch": "replace"})];
                list.extend(value.as_array().into_iter().flatten().cloned());
                Value::Array(list)
            }
            _ => value.clone(),
        };
        patch.insert(name.clone(), value);
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

fn is_owned(condition: &Value) -> bool {
    condition.get("type").and_then(Value::as_str).is_some_and(|t| OWNED.contains(&t))
}

/// A merge by key keeps what the patch leaves out: reason and message are taken back by name.
fn condition_patch(condition: &Value) -> Value {
    let mut condition = condition.clone();
    if let Some(fields) = condition.as_object_mut() {
        for name in ["reason", "message"] {
            fields.entry(name).or_insert(Value::Null);
        }
    }
    condition
}

/// The last word on a deleted pod: it ended here and its name is free.
pub async fn delete(agent: &Agent, pod: &Pod) -> Result<(), String> {
    let (namespace, name) = (pod.metadata.namespace.as_deref().unwrap_or_default(), pod.metadata.name.as_deref().unwrap_or_default());
    let preconditions = Preconditions { uid: pod.metadata.uid.clone(), resource_version: None };
    let params = DeleteParams { grace_period_seconds: Some(0), preconditions: Some(preconditions), ..DeleteParams::default() };
    let api: Api<Pod> = Api::namespaced(agent.client.clone(), namespace);
    match api.delete(name, &params).await {
        Ok(_) => Ok(()),
        Err(error) if client::is_not_found(&error) || client::is_conflict(&error) => Ok(()),
        Err(error) => Err(client::api_message(&error)),
    }
}
