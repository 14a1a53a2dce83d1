//! `configMapGenerator` and `secretGenerator`.

use std::path::Path;

use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::{Item, strings};
use crate::failure::{Failure, Outcome, fail, path_error};

pub fn run(folder: &Path, kustomization: &Value, items: &mut Vec<Item>) -> Outcome {
    for (field, kind) in [("configMapGenerator", "ConfigMap"), ("secretGenerator", "Secret")] {
        for generator in kustomization[field].as_array().into_iter().flatten() {
            one(folder, kustomization, generator, kind, items)?;
        }
    }
    Ok(())
}

fn one(folder: &Path, kustomization: &Value, generator: &Value, kind: &str, items: &mut Vec<Item>) -> Outcome {
    let name = generator["name"].as_str().unwrap_or_default();
    let pairs = pairs(folder, generator)?;
    let behaviour = generator["behavior"].as_str().unwrap_or("create");
    let known = items.iter().position(|i| i.kind() == kind && (i.name() == name || i.before.iter().any(|b| b == name)));
    let mut made = object(kustomization, generator, kind, name, &pairs);
    match (behaviour, known) {
        ("create" | "", Some(_)) => return fail(format!("merging from generator: id {kind}.v1.[noGrp]/{name}.[noNs] exists; behavior must be merge or replace")),
        ("create" | "", None) => {}
        ("replace" | "merge", None) => return fail(format!("merging from generator: id {kind}.v1.[noGrp]/{name}.[noNs] does not exist; cannot merge or replace")),
        ("replace", Some(at)) => {
            items[at].object["data"] = made["data"].take();
            return Ok(());
        }
        ("merge", Some(at)) => {
            for field in ["data", "binaryData"] {
                for (key, value) in made[field].as_object().into_iter().flatten() {
                    items[at].object[field][key] = value.clone();
                }
            }
            return Ok(());
        }
        (other, _) => return fail(format!("unknown behavior {other:?} of generator {name:?}")),
    }
    let option = |key: &str| generator["options"].get(key).or_else(|| kustomization["generatorOptions"].get(key));
    let hashed = option("disableNameSuffixHash") != Some(&Value::Bool(true));
    items.push(Item { object: made, before: Vec::new(), hashed });
    Ok(())
}

fn object(kustomization: &Value, generator: &Value, kind: &str, name: &str, pairs: &[(String, Vec<u8>)]) -> Value {
    let mut made = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
    if let Some(namespace) = generator["namespace"].as_str() {
        made["metadata"]["namespace"] = namespace.into();
    }
    for source in [&kustomization["generatorOptions"], &generator["options"]] {
        for field in ["labels", "annotations"] {
            for (key, value) in source[field].as_object().into_iter().flatten() {
                made["metadata"][field][key] = value.clone();
            }
        }
        if source["immutable"] == true {
            made["immutable"] = true.into();
        }
    }
    let encode = |bytes: &[u8]| Value::from(base64::engine::general_purpose::STANDARD.encode(bytes));
    let (mut data, mut binary) = (Map::new(), Map::new());
    for (key, bytes) in pairs {
        match (kind, std::str::from_utf8(bytes)) {
            ("Secret", _) => drop(data.insert(key.clone(), encode(bytes))),
            (_, Ok(text)) => drop(data.insert(key.clone(), text.into())),
            _ => drop(binary.insert(key.clone(), encode(bytes))),
        }
    }
    if !data.is_empty() {
        made["data"] = Value::Object(data);
    }
    if !binary.is_empty() {
        made["binaryData"] = Value::Object(binary);
    }
    if kind == "Secret" {
        made["type"] = generator["type"].as_str().unwrap_or("Opaque").into();
    }
    made
}

fn pairs(folder: &Path, generator: &Value) -> Outcome<Vec<(String, Vec<u8>)>> {
    let read = |file: &str| {
        let path = folder.join(file);
        std::fs::read(&path).map_err(|e| Failure::Text(format!("loading KV pairs: file sources: [{file}]: {}", path_error("open", &path.display().to_string(), &e))))
    };
    let mut out = Vec::new();
    for source in strings(&generator["envs"]).into_iter().chain(generator["env"].as_str().map(str::to_owned)) {
        let text = String::from_utf8_lossy(&read(&source)?).into_owned();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            out.push((key.to_owned(), value.as_bytes().to_vec()));
        }
    }
    for literal in strings(&generator["literals"]) {
        let Some((key, value)) = literal.split_once('=') else { return fail(format!("loading KV pairs: literal sources {literal}: invalid literal source {literal}, expected key=value")) };
        let value = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).or_else(|| value.strip_prefix('\'').and_then(|v| v.strip_suffix('\''))).unwrap_or(value);
        out.push((key.to_owned(), value.as_bytes().to_vec()));
    }
    for source in strings(&generator["files"]) {
        let (key, file) = source.split_once('=').map_or_else(|| (source.rsplit('/').next().unwrap_or(&source).to_owned(), source.as_str()), |(k, f)| (k.to_owned(), f));
        out.push((key, read(file)?));
    }
    Ok(out)
}
