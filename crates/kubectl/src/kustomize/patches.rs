//! `patches`, `patchesStrategicMerge`, `patchesJson6902`.

use std::path::Path;

use regex::Regex;
use serde_json::Value;

use super::{Item, strings};
use crate::failure::{Failure, Outcome, fail, path_error};

/// Which objects a patch is for.
struct Target {
    group: String,
    version: String,
    kind: String,
    name: String,
    namespace: String,
    labels: String,
    annotations: String,
}

impl Target {
    fn of(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Self { group: text("group"), version: text("version"), kind: text("kind"), name: text("name"), namespace: text("namespace"), labels: text("labelSelector"), annotations: text("annotationSelector") }
    }

    fn fits(&self, item: &Item) -> Outcome<bool> {
        let object = &item.object;
        let api_version = object["apiVersion"].as_str().unwrap_or_default();
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let matches = |pattern: &str, text: &str| -> Outcome<bool> {
            if pattern.is_empty() {
                return Ok(true);
            }
            let pattern = Regex::new(&format!("^(?:{pattern})$")).map_err(|e| Failure::Text(format!("invalid target {pattern:?}: {e}")))?;
            Ok(pattern.is_match(text))
        };
        let selects = |selector: &str, field: &str| -> Outcome<bool> {
            if selector.is_empty() {
                return Ok(true);
            }
            let parsed = api::selector::LabelSelector::parse(selector).map_err(Failure::Text)?;
            Ok(parsed.matches(|key| object["metadata"][field][key].as_str()))
        };
        let mut named = matches(&self.name, item.name())?;
        for before in &item.before {
            named = named || matches(&self.name, before)?;
        }
        Ok((self.group.is_empty() || self.group == group)
            && (self.version.is_empty() || self.version == version)
            && matches(&self.kind, item.kind())?
            && named
            && matches(&self.namespace, api::meta::namespace(object))?
            && selects(&self.labels, "labels")?
            && selects(&self.annotations, "annotations")?)
    }
}

fn text_of(folder: &Path, entry: &Value) -> Outcome<String> {
    if let Some(text) = entry["patch"].as_str().filter(|t| !t.is_empty()) {
        return Ok(text.to_owned());
    }
    let Some(file) = entry["path"].as_str() else { return fail("must specify one of patch and path in patches") };
    read(folder, file)
}

fn read(folder: &Path, file: &str) -> Outcome<String> {
    let path = folder.join(file);
    std::fs::read_to_string(&path).map_err(|e| Failure::Text(path_error("open", &path.display().to_string(), &e)))
}

pub fn run(folder: &Path, kustomization: &Value, items: &mut Vec<Item>) -> Outcome {
    for entry in strings(&kustomization["patchesStrategicMerge"]) {
        let text = if folder.join(&entry).is_file() { read(folder, &entry)? } else { entry };
        merge_documents(&text, items)?;
    }
    for entry in kustomization["patches"].as_array().into_iter().flatten() {
        let text = text_of(folder, entry)?;
        if entry["target"].is_object() {
            targeted(&text, &Target::of(&entry["target"]), &entry["options"], items)?;
        } else {
            merge_documents(&text, items)?;
        }
    }
    Ok(())
}

pub fn run_json(folder: &Path, kustomization: &Value, items: &mut Vec<Item>) -> Outcome {
    for entry in kustomization["patchesJson6902"].as_array().into_iter().flatten() {
        let text = text_of(folder, entry)?;
        targeted(&text, &Target::of(&entry["target"]), &Value::Null, items)?;
    }
    Ok(())
}

fn parse(text: &str) -> Outcome<Value> {
    goyaml::from_yaml(text).map_err(|e| Failure::Text(format!("unable to parse SM or JSON patch from [{text}]: {e}")))
}

fn targeted(text: &str, target: &Target, options: &Value, items: &mut Vec<Item>) -> Outcome {
    let patch = parse(text)?;
    let mut at = 0;
    while at < items.len() {
        if !target.fits(&items[at])? {
            at += 1;
            continue;
        }
        if let Value::Array(_) = patch {
            items[at].object = patch::apply_json_patch(&items[at].object, patch.to_string().as_bytes()).map_err(|e| Failure::Text(e.to_string()))?;
        } else {
            let mut patch = patch.clone();
            // A target may be another object than the patch names: who it is stays, unless it is allowed to change.
            if options["allowNameChange"] != true {
                patch["metadata"]["name"] = items[at].object["metadata"]["name"].clone();
            }
            if options["allowKindChange"] != true {
                patch["kind"] = items[at].object["kind"].clone();
                patch["apiVersion"] = items[at].object["apiVersion"].clone();
            }
            if patch["$patch"] == "delete" {
                items.remove(at);
                continue;
            }
            items[at].object = merged(&items[at].object, patch)?;
        }
        at += 1;
    }
    Ok(())
}

/// Patches that name their objects themselves.
fn merge_documents(text: &str, items: &mut Vec<Item>) -> Outcome {
    for document in codec::split_documents(text) {
        let patch = parse(document)?;
        let (kind, name) = (patch["kind"].as_str().unwrap_or_default().to_owned(), api::meta::name(&patch).to_owned());
        let version = patch["apiVersion"].as_str().unwrap_or_default().to_owned();
        let group = |v: &str| v.rsplit_once('/').map_or("", |(g, _)| g).to_owned();
        let is = |i: &Item| i.kind() == kind && (i.name() == name || i.before.contains(&name)) && group(i.object["apiVersion"].as_str().unwrap_or_default()) == group(&version);
        let Some(at) = items.iter().position(is) else {
            let shown = if group(&version).is_empty() { "[noGrp]".to_owned() } else { group(&version) };
            let v = version.rsplit('/').next().unwrap_or_default();
            return fail(format!("no resource matches strategic merge patch \"{kind}.{v}.{shown}/{name}.[noNs]\": no matches for Id {kind}.{v}.{shown}/{name}.[noNs]; failed to find unique target for patch {kind}.{v}.{shown}/{name}.[noNs]"));
        };
        if patch["$patch"] == "delete" {
            items.remove(at);
            continue;
        }
        items[at].object = merged(&items[at].object, patch)?;
    }
    Ok(())
}

fn merged(object: &Value, change: Value) -> Outcome<Value> {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
    match schema::by_kind(group, version, object["kind"].as_str().unwrap_or_default()) {
        Some(of) => patch::apply_strategic(object, change, of).map_err(|e| Failure::Text(e.to_string())),
        None => {
            let mut object = object.clone();
            patch::apply_merge_patch(&mut object, change);
            Ok(object)
        }
    }
}
