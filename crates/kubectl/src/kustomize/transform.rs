//! Namespace, prefix, suffix, labels, annotations, replicas, images, replacements.
// Upstream: kustomize api/konfig/builtinpluginconsts (the fields that each changes).

use std::path::Path;

use serde_json::Value;

use super::{Item, strings};
use crate::failure::{Failure, Outcome, fail};

const CLUSTER_SCOPED: [&str; 24] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterTrustBundle",
    "ComponentStatus",
    "CustomResourceDefinition",
    "DeviceClass",
    "FlowSchema",
    "IngressClass",
    "MutatingAdmissionPolicy",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
];
/// Their names are words of other systems: prefixes leave them.
const UNPREFIXED: [&str; 3] = ["Namespace", "CustomResourceDefinition", "APIService"];

pub fn run(kustomization: &Value, items: &mut [Item]) -> Outcome {
    if let Some(namespace) = kustomization["namespace"].as_str().filter(|n| !n.is_empty()) {
        set_namespace(namespace, items);
    }
    let (prefix, suffix) = (kustomization["namePrefix"].as_str().unwrap_or_default(), kustomization["nameSuffix"].as_str().unwrap_or_default());
    if !prefix.is_empty() || !suffix.is_empty() {
        for item in items.iter_mut().filter(|i| !UNPREFIXED.contains(&i.kind())) {
            let name = format!("{prefix}{}{suffix}", item.name());
            item.rename(name);
        }
    }
    for entry in kustomization["labels"].as_array().into_iter().flatten() {
        labels(items, &entry["pairs"], entry["includeSelectors"] == true, entry["includeTemplates"] == true);
    }
    labels(items, &kustomization["commonLabels"], true, true);
    if let Some(all) = kustomization["commonAnnotations"].as_object() {
        for item in items.iter_mut() {
            for (key, value) in all {
                item.object["metadata"]["annotations"][key] = value.clone();
                if let Some(template) = template(&mut item.object) {
                    template["metadata"]["annotations"][key] = value.clone();
                }
            }
        }
    }
    Ok(())
}

fn set_namespace(namespace: &str, items: &mut [Item]) {
    for item in items.iter_mut() {
        let kind = item.kind().to_owned();
        if kind == "Namespace" {
            item.rename(namespace.to_owned());
        } else if !CLUSTER_SCOPED.contains(&kind.as_str()) {
            item.object["metadata"]["namespace"] = namespace.into();
        }
        if kind.ends_with("RoleBinding") {
            for subject in item.object["subjects"].as_array_mut().into_iter().flatten() {
                if subject["kind"] == "ServiceAccount" && subject["name"] == "default" {
                    subject["namespace"] = namespace.into();
                }
            }
        }
    }
    // Subjects of accounts that are among the objects follow them.
    let accounts: Vec<String> = items.iter().filter(|i| i.kind() == "ServiceAccount").map(|i| i.name().to_owned()).collect();
    for item in items.iter_mut().filter(|i| i.kind().ends_with("RoleBinding")) {
        for subject in item.object["subjects"].as_array_mut().into_iter().flatten() {
            if subject["kind"] == "ServiceAccount" && accounts.iter().any(|a| subject["name"] == **a) {
                subject["namespace"] = namespace.into();
            }
        }
    }
}

/// The pod template of a workload.
fn template(object: &mut Value) -> Option<&mut Value> {
    let spec = if object["kind"] == "CronJob" { object.get_mut("spec")?.get_mut("jobTemplate")?.get_mut("spec")? } else { object.get_mut("spec")? };
    spec.get_mut("template").filter(|t| t.is_object() && t["spec"].is_object())
}

fn labels(items: &mut [Item], pairs: &Value, selectors: bool, templates: bool) {
    let Some(pairs) = pairs.as_object().filter(|p| !p.is_empty()) else { return };
    for item in items {
        let kind = item.kind().to_owned();
        for (key, value) in pairs {
            item.object["metadata"]["labels"][key] = value.clone();
            if (selectors || templates)
                && let Some(template) = template(&mut item.object)
            {
                template["metadata"]["labels"][key] = value.clone();
            }
            if !selectors {
                continue;
            }
            let Some(spec) = item.object.get_mut("spec").filter(|s| s.is_object()) else { continue };
            match kind.as_str() {
                "Service" | "ReplicationController" if spec["selector"].is_object() => spec["selector"][key] = value.clone(),
                "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => spec["selector"]["matchLabels"][key] = value.clone(),
                "PodDisruptionBudget" | "Job" if spec["selector"].is_object() => spec["selector"]["matchLabels"][key] = value.clone(),
                "NetworkPolicy" if spec["podSelector"].is_object() => spec["podSelector"]["matchLabels"][key] = value.clone(),
                _ => {}
            }
        }
    }
}

/// What comes after patches: sizes and images.
pub fn run_last(kustomization: &Value, items: &mut [Item]) -> Outcome {
    for entry in kustomization["replicas"].as_array().into_iter().flatten() {
        let name = entry["name"].as_str().unwrap_or_default();
        let mut some = false;
        for item in items.iter_mut().filter(|i| ["Deployment", "ReplicationController", "ReplicaSet", "StatefulSet"].contains(&i.kind()) && (i.name() == name || i.before.iter().any(|b| b == name))) {
            item.object["spec"]["replicas"] = entry["count"].clone();
            some = true;
        }
        if !some {
            return fail(format!("resource with name {name} does not match a config with the following GVK [Deployment.[noVer].[noGrp] ReplicationController.[noVer].[noGrp] ReplicaSet.[noVer].[noGrp] StatefulSet.[noVer].[noGrp]]"));
        }
    }
    for entry in kustomization["images"].as_array().into_iter().flatten() {
        for item in items.iter_mut() {
            images(&mut item.object, entry);
        }
    }
    Ok(())
}

/// Containers wherever they stand.
fn images(value: &mut Value, entry: &Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|v| images(v, entry)),
        Value::Object(map) => {
            for (key, below) in map.iter_mut() {
                if key == "containers" || key == "initContainers" {
                    for container in below.as_array_mut().into_iter().flatten() {
                        if let Some(image) = container["image"].as_str().and_then(|i| new_image(i, entry)) {
                            container["image"] = image.into();
                        }
                    }
                }
                images(below, entry);
            }
        }
        _ => {}
    }
}

/// `name:tag@digest` with what the entry says, where it is for this image.
fn new_image(image: &str, entry: &Value) -> Option<String> {
    let (rest, digest) = image.split_once('@').map_or((image, None), |(r, d)| (r, Some(d)));
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (rest, None),
    };
    if entry["name"].as_str()? != name {
        return None;
    }
    let text = |key: &str| entry[key].as_str().filter(|t| !t.is_empty()).map(str::to_owned).or_else(|| entry[key].as_i64().map(|n| n.to_string()));
    let mut out = text("newName").unwrap_or_else(|| name.to_owned());
    match (text("newTag"), text("digest")) {
        (new_tag, Some(digest)) => {
            if let Some(tag) = new_tag {
                out.push_str(&format!(":{tag}"));
            }
            out.push_str(&format!("@{digest}"));
        }
        (Some(tag), None) => out.push_str(&format!(":{tag}")),
        (None, None) => {
            if let Some(tag) = tag {
                out.push_str(&format!(":{tag}"));
            }
            if let Some(digest) = digest {
                out.push_str(&format!("@{digest}"));
            }
        }
    }
    Some(out)
}

/// Values copied from a field of one object to fields of others.
pub fn replacements(folder: &Path, kustomization: &Value, items: &mut [Item]) -> Outcome {
    let mut all = Vec::new();
    for entry in kustomization["replacements"].as_array().into_iter().flatten() {
        match entry["path"].as_str() {
            None => all.push(entry.clone()),
            Some(file) => {
                let path = folder.join(file);
                let text = std::fs::read_to_string(&path).map_err(|e| Failure::Text(crate::failure::path_error("open", &path.display().to_string(), &e)))?;
                let value = goyaml::from_yaml(&text).map_err(|e| Failure::Text(format!("{}: {e}", path.display())))?;
                match value {
                    Value::Array(list) => all.extend(list),
                    other => all.push(other),
                }
            }
        }
    }
    for entry in &all {
        replace(entry, items)?;
    }
    Ok(())
}

fn selects(selector: &Value, item: &Item) -> bool {
    let same = |key: &str, text: &str| selector[key].as_str().is_none_or(|s| s.is_empty() || s == text);
    let named = selector["name"].as_str().is_none_or(|n| n.is_empty() || n == item.name() || item.before.iter().any(|b| b == n));
    same("kind", item.kind()) && named && same("namespace", api::meta::namespace(&item.object))
}

/// A field's path: dots, `[key=value]` for list items, `\.` for a dot in a key.
fn steps(path: &str) -> Vec<String> {
    let (mut out, mut word, mut escaped, mut bracket) = (Vec::new(), String::new(), false, false);
    for c in path.chars() {
        match c {
            '\\' if !escaped => escaped = true,
            '[' => {
                bracket = true;
                word.push(c);
            }
            ']' => {
                bracket = false;
                word.push(c);
            }
            '.' if !escaped && !bracket => out.push(std::mem::take(&mut word)),
            c => {
                word.push(c);
                escaped = false;
            }
        }
    }
    out.push(word);
    out
}

fn places<'a>(value: &'a mut Value, steps: &[String], create: bool, out: &mut Vec<&'a mut Value>) {
    let Some((step, rest)) = steps.split_first() else {
        out.push(value);
        return;
    };
    match value {
        Value::Array(items) => {
            let wanted = step.strip_prefix('[').and_then(|s| s.strip_suffix(']')).and_then(|s| s.split_once('='));
            for (i, item) in items.iter_mut().enumerate() {
                let fits = match wanted {
                    Some((key, text)) => item[key].as_str() == Some(text),
                    None => step == "*" || step.parse() == Ok(i),
                };
                if fits {
                    places(item, rest, create, out);
                }
            }
        }
        Value::Object(map) => {
            if create {
                map.entry(step.clone()).or_insert(Value::Null);
            }
            if let Some(below) = map.get_mut(step) {
                places(below, rest, create, out);
            }
        }
        empty @ Value::Null if create => {
            *empty = Value::Object(serde_json::Map::new());
            places(empty, steps, create, out);
        }
        _ => {}
    }
}

fn replace(entry: &Value, items: &mut [Item]) -> Outcome {
    let source = &entry["source"];
    let Some(from) = items.iter().find(|i| selects(source, i)) else { return fail(format!("nothing selected by {}", crate::print::compact(source))) };
    let mut object = from.object.clone();
    let path = source["fieldPath"].as_str().unwrap_or("metadata.name");
    let mut found = Vec::new();
    places(&mut object, &steps(path), false, &mut found);
    let Some(value) = found.first().map(|v| (**v).clone()) else { return fail(format!("fieldPath `{path}` is missing for replacement source {}", crate::print::compact(source))) };
    let part = |value: &Value, options: &Value| -> Value {
        match (options["delimiter"].as_str(), value.as_str()) {
            (Some(delimiter), Some(text)) => text.split(delimiter).nth(options["index"].as_u64().unwrap_or(0) as usize).unwrap_or_default().into(),
            _ => value.clone(),
        }
    };
    let value = part(&value, &source["options"]);
    for target in entry["targets"].as_array().into_iter().flatten() {
        let options = &target["options"];
        for item in items.iter_mut().filter(|i| selects(&target["select"], i) && !target["reject"].as_array().into_iter().flatten().any(|r| selects(r, i))) {
            for path in strings(&target["fieldPaths"]) {
                let mut found = Vec::new();
                places(&mut item.object, &steps(&path), options["create"] == true, &mut found);
                for place in found {
                    *place = match (options["delimiter"].as_str(), place.as_str()) {
                        (Some(delimiter), Some(text)) => {
                            let mut parts: Vec<String> = text.split(delimiter).map(str::to_owned).collect();
                            let index = options["index"].as_u64().unwrap_or(0) as usize;
                            if let Some(part) = parts.get_mut(index) {
                                *part = value.as_str().unwrap_or_default().to_owned();
                            }
                            parts.join(delimiter).into()
                        }
                        _ => value.clone(),
                    };
                }
            }
        }
    }
    Ok(())
}
