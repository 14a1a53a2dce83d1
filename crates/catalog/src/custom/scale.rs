//! The scale of a custom resource: where its replicas and selector lie.
//!
//! Upstream: apiextensions-apiserver `pkg/registry/customresource/{etcd,validator}.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Map, Value, json};

use crate::walk;

#[derive(Debug, Clone)]
pub struct Scale {
    pub spec_replicas: String,
    pub status_replicas: String,
    pub selector: String,
}

impl Scale {
    /// The scale that a version declares.
    pub fn of_version(version: &Value) -> Option<Self> {
        let scale = version.get("subresources")?.get("scale").filter(|s| s.is_object())?;
        let text = |key: &str| walk::text(scale, key).to_owned();
        Some(Self { spec_replicas: text("specReplicasPath"), status_replicas: text("statusReplicasPath"), selector: text("labelSelectorPath") })
    }

    /// The scale of an object. Fails where it says no replicas, or something else in their place.
    pub fn of(&self, object: &Value) -> Result<Value, String> {
        let wanted = whole(object, &self.spec_replicas)?;
        let mut status = json!({"replicas": whole(object, &self.status_replicas)?.unwrap_or_default()});
        if !self.selector.is_empty()
            && let Some(selector) = text(object, &self.selector)?.filter(|s| !s.is_empty())
        {
            status["selector"] = selector.into();
        }
        let mut spec = json!({});
        if let Some(replicas) = wanted.filter(|r| *r != 0) {
            spec["replicas"] = replicas.into();
        }
        let keys = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
        let metadata: Map<String, Value> = keys.iter().filter_map(|key| Some(((*key).to_owned(), object["metadata"].get(*key)?.clone()))).collect();
        Ok(json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}))
    }

    pub fn has_replicas(&self, object: &Value) -> bool {
        matches!(whole(object, &self.spec_replicas), Ok(Some(_)))
    }

    /// Writes the replicas wanted into the object.
    pub fn set(&self, object: &mut Value, replicas: i64) -> Result<(), String> {
        let (parents, last) = self.spec_replicas.trim_start_matches('.').rsplit_once('.').ok_or_else(|| format!("{} is no path below spec", self.spec_replicas))?;
        let map = walk::object_mut(object, parents).ok_or_else(|| format!("value cannot be set because {} is not a map[string]interface{{}}", self.spec_replicas))?;
        map.insert(last.to_owned(), replicas.into());
        Ok(())
    }

    pub fn validate(&self, object: &Value, with_spec: bool) -> FieldErrors {
        let mut errors = FieldErrors::new();
        if with_spec {
            count(&mut errors, object, &self.spec_replicas);
        }
        count(&mut errors, object, &self.status_replicas);
        if !self.selector.is_empty()
            && let Err(why) = text(object, &self.selector)
        {
            errors.push(FieldError::invalid(&Path::new(&self.selector), "", why));
        }
        errors
    }
}

fn count(errors: &mut FieldErrors, object: &Value, path: &str) {
    let at = Path::new(path);
    match whole(object, path) {
        Err(why) => errors.push(FieldError::invalid(&at, 0, why)),
        Ok(Some(n)) if n < 0 => errors.push(FieldError::invalid(&at, n, "should be a non-negative integer")),
        Ok(Some(n)) if n > i64::from(i32::MAX) => errors.push(FieldError::invalid(&at, n, format!("should be less than or equal to {}", i32::MAX))),
        Ok(_) => {}
    }
}

fn found<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.trim_start_matches('.').split('.').try_fold(object, |value, key| value.get(key))
}

fn whole(object: &Value, path: &str) -> Result<Option<i64>, String> {
    match found(object, path) {
        None => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(|| mismatch(path, value, "int64")),
    }
}

fn text<'a>(object: &'a Value, path: &str) -> Result<Option<&'a str>, String> {
    match found(object, path) {
        None => Ok(None),
        Some(value) => value.as_str().map(Some).ok_or_else(|| mismatch(path, value, "string")),
    }
}

fn mismatch(path: &str, value: &Value, expected: &str) -> String {
    let (shown, kind) = match value {
        Value::Null => ("<nil>".to_owned(), "<nil>"),
        Value::Bool(b) => (b.to_string(), "bool"),
        Value::Number(n) => (n.to_string(), if n.is_f64() { "float64" } else { "int64" }),
        Value::String(s) => (s.clone(), "string"),
        Value::Array(_) => (value.to_string(), "[]interface {}"),
        Value::Object(_) => (value.to_string(), "map[string]interface {}"),
    };
    format!("{path} accessor error: {shown} is of the type {kind}, expected {expected}")
}
