//! Names that follow: hashes of generated objects, and every place that names a renamed object.
// Upstream: kustomize api/konfig/builtinpluginconsts/namereference.go (the places), api/hasher.

use serde_json::{Value, json};

use super::Item;
use crate::commands::create::content_hash;

/// Adds the content's hash to the names of generated objects.
// Upstream: the hasher looks the name up where it is not, so the name is no part of the hash.
pub fn add_hashes(items: &mut [Item]) {
    for item in items.iter_mut().filter(|i| i.hashed) {
        let object = &item.object;
        let mut of = json!({"kind": item.kind(), "name": "", "data": if object["data"].is_null() { json!("") } else { object["data"].clone() }});
        if !object["binaryData"].is_null() {
            of["binaryData"] = object["binaryData"].clone();
        }
        if item.kind() == "Secret" {
            of["type"] = object["type"].clone();
        }
        if !object["immutable"].is_null() {
            of["immutable"] = object["immutable"].clone();
        }
        let name = format!("{}-{}", item.name(), content_hash(&of));
        item.rename(name);
    }
}

struct Renamed {
    kind: String,
    before: Vec<String>,
    now: String,
}

/// Lets every reference follow its object's new name.
pub fn fix_references(items: &mut [Item]) {
    let renamed: Vec<Renamed> = items.iter().filter(|i| !i.before.is_empty()).map(|i| Renamed { kind: i.kind().to_owned(), before: i.before.clone(), now: i.name().to_owned() }).collect();
    if renamed.is_empty() {
        return;
    }
    for item in items {
        let kind = item.kind().to_owned();
        walk(&mut item.object, &kind, &renamed);
    }
}

fn follow(value: &mut Value, kind: &str, renamed: &[Renamed]) {
    let Some(name) = value.as_str() else { return };
    if let Some(found) = renamed.iter().find(|r| r.kind == kind && r.before.iter().any(|b| b == name)) {
        *value = found.now.as_str().into();
    }
}

fn follow_in(value: Option<&mut Value>, key: &str, kind: &str, renamed: &[Renamed]) {
    if let Some(name) = value.and_then(|v| v.get_mut(key)) {
        follow(name, kind, renamed);
    }
}

fn walk(value: &mut Value, kind: &str, renamed: &[Renamed]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, kind, renamed)),
        Value::Object(map) => {
            for (key, name, of) in [
                ("configMapKeyRef", "name", "ConfigMap"),
                ("configMapRef", "name", "ConfigMap"),
                ("configMap", "name", "ConfigMap"),
                ("secretKeyRef", "name", "Secret"),
                ("secretRef", "name", "Secret"),
                ("secret", "name", "Secret"),
                ("secret", "secretName", "Secret"),
                ("service", "name", "Service"),
                ("persistentVolumeClaim", "claimName", "PersistentVolumeClaim"),
            ] {
                follow_in(map.get_mut(key), name, of, renamed);
            }
            for (key, of) in [("secretName", "Secret"), ("serviceAccountName", "ServiceAccount"), ("priorityClassName", "PriorityClass"), ("storageClassName", "StorageClass"), ("ingressClassName", "IngressClass")] {
                if let Some(name) = map.get_mut(key) {
                    follow(name, of, renamed);
                }
            }
            if kind == "StatefulSet"
                && let Some(name) = map.get_mut("serviceName")
            {
                follow(name, "Service", renamed);
            }
            for key in ["scaleTargetRef", "roleRef", "targetRef"] {
                let of = map.get(key).and_then(|r| r["kind"].as_str()).unwrap_or_default().to_owned();
                follow_in(map.get_mut(key), "name", &of, renamed);
            }
            for secret in map.get_mut("imagePullSecrets").and_then(Value::as_array_mut).into_iter().flatten() {
                follow_in(Some(secret), "name", "Secret", renamed);
            }
            for subject in map.get_mut("subjects").and_then(Value::as_array_mut).into_iter().flatten().filter(|s| s["kind"] == "ServiceAccount") {
                follow_in(Some(subject), "name", "ServiceAccount", renamed);
            }
            map.values_mut().for_each(|v| walk(v, kind, renamed));
        }
        _ => {}
    }
}
