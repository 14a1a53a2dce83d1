//! Objects of manifests, with the place each has in the cluster.

use serde_json::{Map, Value};

use super::discovery::{Discovery, Resource};
use crate::failure::{Failure, Outcome};

/// An object and where it is, or would be.
#[derive(Debug, Clone)]
pub struct Object {
    pub value: Value,
    pub resource: Resource,
    /// Nothing where the kind has no namespaces.
    pub namespace: Option<String>,
    pub name: String,
}

impl Object {
    pub fn path(&self) -> String {
        format!("{}/{}", self.resource.collection(self.namespace.as_deref()), self.name)
    }

    pub fn collection(&self) -> String {
        self.resource.collection(self.namespace.as_deref())
    }

    pub fn kind(&self) -> &str {
        &self.resource.kind
    }

    /// Whether two stand for the same object: kind and group count, the version does not.
    // Upstream: helm pkg/kube/resource.go isMatchingInfo.
    pub fn is_same(&self, other: &Object) -> bool {
        let group = |r: &Resource| r.group_version.split_once('/').map_or(String::new(), |(g, _)| g.to_string());
        self.name == other.name && self.namespace == other.namespace && self.resource.kind == other.resource.kind && group(&self.resource) == group(&other.resource)
    }

    /// `Deployment/default/name`, as readiness is told.
    pub fn slashed(&self) -> String {
        format!("{}/{}/{}", self.resource.kind, self.namespace.as_deref().unwrap_or_default(), self.name)
    }

    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.value["metadata"]["annotations"][key].as_str()
    }

    /// Sets a label or an annotation.
    pub fn mark(&mut self, field: &str, key: &str, value: &str) {
        let Some(metadata) = self.value["metadata"].as_object_mut() else { return };
        let marks = metadata.entry(field).or_insert_with(|| Value::Object(Map::new()));
        if !marks.is_object() {
            *marks = Value::Object(Map::new());
        }
        marks[key] = Value::String(value.to_string());
    }
}

/// The objects of a text of documents, lists opened.
// Upstream: cli-runtime's resource builder over a stream.
pub fn parse_objects(text: &str, discovery: &Discovery, namespace: &str) -> Outcome<Vec<Object>> {
    let mut out = Vec::new();
    let mut faults = Vec::new();
    for document in charts::manifest::split(text) {
        let value = goyaml::from_yaml(&document).map_err(|e| Failure::new(format!("error parsing : error converting YAML to JSON: {e}")))?;
        place(value, discovery, namespace, &mut out, &mut faults)?;
    }
    match faults.len() {
        0 => Ok(out),
        1 => Err(Failure::new(faults.remove(0))),
        _ => Err(Failure::new(format!("[{}]", faults.join(", ")))),
    }
}

fn place(value: Value, discovery: &Discovery, namespace: &str, out: &mut Vec<Object>, faults: &mut Vec<String>) -> Outcome {
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    if value.is_null() {
        return Ok(());
    }
    if kind.is_empty() || api_version.is_empty() {
        // Upstream: the validation of manifests comes before they are decoded.
        let missing = match (api_version.is_empty(), kind.is_empty()) {
            (true, true) => "[apiVersion not set, kind not set]",
            (true, false) => "apiVersion not set",
            _ => "kind not set",
        };
        return Err(Failure::new(format!("error validating \"\": error validating data: {missing}")));
    }
    if kind.ends_with("List") && value["items"].is_array() {
        for item in value["items"].as_array().into_iter().flatten() {
            place(item.clone(), discovery, namespace, out, faults)?;
        }
        return Ok(());
    }
    let name = value["metadata"]["name"].as_str().unwrap_or_default().to_string();
    let own = value["metadata"]["namespace"].as_str().unwrap_or_default().to_string();
    let Some(resource) = discovery.find(&api_version, &kind) else {
        faults.push(format!(
            "resource mapping not found for name: {name:?} namespace: {own:?} from \"\": no matches for kind {kind:?} in version {api_version:?}\nensure CRDs are installed first"
        ));
        return Ok(());
    };
    let mut value = value;
    let namespace = resource.namespaced.then(|| if own.is_empty() { namespace.to_string() } else { own });
    if let (Some(namespace), Some(metadata)) = (&namespace, value["metadata"].as_object_mut()) {
        metadata.insert("namespace".into(), Value::String(namespace.clone()));
    }
    out.push(Object { value, resource: resource.clone(), namespace, name });
    Ok(())
}
