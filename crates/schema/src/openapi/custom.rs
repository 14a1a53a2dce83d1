//! What definitions of custom resources publish, in either dialect.
//!
//! Upstream: apiextensions-apiserver `pkg/controller/openapi/{builder/builder.go,v2/conversion.go}`.

use serde_json::{Map, Value, json};

use super::schemas::{Definitions, META, gvk};
use super::{Dialect, Resource};

const API_VERSION: &str = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const METADATA: &str = "Standard object's metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";
const LIST_METADATA: &str = "Standard list metadata. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
const EMBEDDED_API_VERSION: &str = "apiVersion defines the versioned schema of this representation of an object. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const EMBEDDED_KIND: &str = "kind is a string value representing the type of this object. In CamelCase. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
/// No schema nests deeper: definitions come as JSON, whose nesting is bounded.
const MAX_DEPTH: usize = 130;

/// `com.example.stable.v1.CronTab` of stable.example.com/v1.
pub(super) fn name(resource: &Resource, list: bool) -> String {
    let mut parts: Vec<&str> = resource.group.split('.').collect();
    parts.reverse();
    let kind = if list { list_kind(resource) } else { resource.kind.clone() };
    format!("{}.{}.{kind}", parts.join("."), resource.version)
}

fn list_kind(resource: &Resource) -> String {
    if resource.list_kind.is_empty() { format!("{}List", resource.kind) } else { resource.list_kind.clone() }
}

impl Definitions {
    pub(super) fn of_custom(&mut self, resource: &Resource, list: bool) -> Value {
        if list { self.list_of_custom(resource) } else { self.object_of_custom(resource) }
    }

    fn list_of_custom(&mut self, resource: &Resource) -> Value {
        let (kind, item) = (list_kind(resource), self.reference(&name(resource, false)));
        let text = format!("List of {}. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md", resource.plural);
        let metadata = self.metadata("ListMeta", LIST_METADATA);
        json!({ "description": format!("{kind} is a list of {}", resource.kind), "type": "object", "required": ["items"],
            "properties": { "items": { "type": "array", "items": item, "description": text }, "metadata": metadata,
                "apiVersion": { "type": "string", "description": API_VERSION }, "kind": { "type": "string", "description": KIND } },
            "x-kubernetes-group-version-kind": [gvk(&resource.group, &resource.version, &kind)] })
    }

    fn object_of_custom(&mut self, resource: &Resource) -> Value {
        let kinds = json!([gvk(&resource.group, &resource.version, &resource.kind)]);
        let v2 = self.dialect() == Dialect::V2;
        let custom = resource.custom.clone().unwrap_or_default();
        let keeps_all = custom.schema.as_ref().is_some_and(|s| keeps(s, "x-kubernetes-preserve-unknown-fields"));
        let schema = custom.schema.filter(|_| !(v2 && (keeps_all || custom.preserves)));
        // Without a schema nothing is said of fields: clients would take what is said for all there is.
        let Some(schema) = schema else { return json!({ "type": "object", "x-kubernetes-group-version-kind": kinds }) };
        let mut schema = (*schema).clone();
        if v2 {
            downgrade(&mut schema, 0);
        }
        self.embedded(&mut schema, 0);
        let metadata = self.metadata("ObjectMeta", METADATA);
        let Some(out) = schema.as_object_mut() else { return schema };
        if let Value::Object(properties) = out.entry("properties").or_insert_with(|| json!({})) {
            properties.insert("apiVersion".into(), json!({ "type": "string", "description": API_VERSION }));
            properties.insert("kind".into(), json!({ "type": "string", "description": KIND }));
            properties.insert("metadata".into(), metadata);
        }
        out.insert("x-kubernetes-group-version-kind".into(), kinds);
        schema
    }

    fn metadata(&mut self, of: &str, text: &str) -> Value {
        let reference = self.reference(&format!("{META}.{of}"));
        if self.dialect() == Dialect::V3 {
            return json!({ "allOf": [reference], "description": text });
        }
        let mut reference = reference;
        reference["description"] = text.into();
        reference
    }

    /// What every embedded resource has, whether its schema says so or not. What is no part of a structural schema goes.
    fn embedded(&mut self, schema: &mut Value, depth: usize) {
        let Some(map) = schema.as_object_mut().filter(|_| depth < MAX_DEPTH) else { return };
        for gone in ["example", "externalDocs", "$schema", "id"] {
            map.remove(gone);
        }
        for child in ["items", "additionalProperties"] {
            if let Some(child) = map.get_mut(child) {
                self.embedded(child, depth + 1);
            }
        }
        for child in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
            self.embedded(child, depth + 1);
        }
        let is = |map: &Map<String, Value>, key: &str| map.get(key) == Some(&Value::Bool(true));
        if !is(map, "x-kubernetes-embedded-resource") || (self.dialect() == Dialect::V2 && is(map, "x-kubernetes-preserve-unknown-fields")) {
            return;
        }
        let metadata = self.metadata("ObjectMeta", METADATA);
        if let Value::Object(properties) = map.entry("properties").or_insert_with(|| json!({})) {
            properties.insert("apiVersion".into(), json!({ "type": "string", "description": EMBEDDED_API_VERSION }));
            properties.insert("kind".into(), json!({ "type": "string", "description": EMBEDDED_KIND }));
            properties.insert("metadata".into(), metadata);
        }
        if let Value::Array(required) = map.entry("required").or_insert_with(|| json!([])) {
            for key in ["kind", "apiVersion"] {
                if !required.iter().any(|r| r == key) {
                    required.push(key.into());
                }
            }
        }
    }
}

fn keeps(schema: &Value, name: &str) -> bool {
    schema.get(name) == Some(&Value::Bool(true))
}

/// What version 2 cannot say, or its readers cannot bear, is left out.
fn downgrade(schema: &mut Value, depth: usize) {
    let (Some(map), true) = (schema.as_object_mut(), depth < MAX_DEPTH) else { return };
    let nullable = map.get("nullable") == Some(&Value::Bool(true));
    let preserves = map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    for keyword in ["oneOf", "anyOf", "not", "allOf", "nullable", "default"] {
        map.remove(keyword);
    }
    if nullable || preserves {
        map.remove("items");
        map.remove("properties");
    }
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
    if nullable || kind == "array" && !map.contains_key("items") || kind == "object" && preserves {
        map.remove("type");
    }
    let nullables: Vec<String> = map.get("properties").and_then(Value::as_object).into_iter().flatten().filter(|(_, p)| keeps(p, "nullable")).map(|(name, _)| name.clone()).collect();
    if map.get("additionalProperties").is_some_and(|a| keeps(a, "nullable")) {
        map.remove("required");
    }
    if let Some(required) = map.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|r| !nullables.iter().any(|n| r == n));
        if required.is_empty() {
            map.remove("required");
        }
    }
    for child in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(child) {
            downgrade(child, depth + 1);
        }
    }
    for child in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        downgrade(child, depth + 1);
    }
}
