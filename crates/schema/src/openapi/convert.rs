//! What another server publishes in the second version alone, in the form of the third.
// Upstream: kube-openapi pkg/openapiconv/convert.go

use serde_json::{Map, Value, json};

use super::merge::Content;

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "options", "head", "patch"];
/// What describes the value of a parameter, and in the third version stands in its schema.
const OF_SCHEMA: [&str; 17] = [
    "type", "format", "items", "default", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "enum", "multipleOf", "collectionFormat",
];

/// The document of one group and version.
pub(super) fn document(content: Content, title: &str, version: &str) -> Value {
    let paths: Map<String, Value> = content.paths.into_iter().map(|(path, item)| (path, path_item(item))).collect();
    let schemas: Map<String, Value> = content.definitions.into_iter().map(|(name, schema)| (name, renamed(schema))).collect();
    let mut components = json!({ "schemas": schemas });
    if !content.parameters.is_empty() {
        components["parameters"] = content.parameters.into_iter().map(|(name, shared)| (name, parameter(shared))).collect::<Map<_, _>>().into();
    }
    json!({"openapi": "3.0.0", "info": {"title": title, "version": version}, "paths": paths, "components": components})
}

/// The same with references into the third version's places.
fn renamed(mut value: Value) -> Value {
    super::merge::references(&mut value, &mut |reference| {
        let schema = reference.strip_prefix("#/definitions/").map(|name| format!("#/components/schemas/{name}"));
        schema.or_else(|| reference.strip_prefix("#/parameters/").map(|name| format!("#/components/parameters/{name}")))
    });
    value
}

fn path_item(item: Value) -> Value {
    let Value::Object(fields) = item else { return item };
    let of = |(name, value): (String, Value)| {
        let value = match name.as_str() {
            method if METHODS.contains(&method) => operation(value),
            "parameters" => parameters(value).0.into(),
            _ => renamed(value),
        };
        (name, value)
    };
    Value::Object(fields.into_iter().map(of).collect())
}

fn operation(value: Value) -> Value {
    let Value::Object(mut fields) = value else { return value };
    let media = |value: Option<Value>| {
        let listed: Vec<String> = value.as_ref().and_then(Value::as_array).into_iter().flatten().filter_map(|m| m.as_str().map(str::to_owned)).collect();
        if listed.is_empty() { vec!["*/*".to_owned()] } else { listed }
    };
    let (takes, gives) = (media(fields.remove("consumes")), media(fields.remove("produces")));
    fields.remove("schemes");
    let content = |media: &[String], schema: &Value| media.iter().map(|m| (m.clone(), json!({ "schema": schema }))).collect::<Map<_, _>>();
    if let Some(listed) = fields.remove("parameters") {
        let (others, body) = parameters(listed);
        if !others.is_empty() {
            fields.insert("parameters".into(), others.into());
        }
        if let Some(body) = body {
            let mut request = json!({ "content": content(&takes, &renamed(body["schema"].clone())) });
            for field in ["required", "description"] {
                if let Some(told) = body.get(field) {
                    request[field] = told.clone();
                }
            }
            fields.insert("requestBody".into(), request);
        }
    }
    if let Some(Value::Object(responses)) = fields.remove("responses") {
        let of = |(code, response): (String, Value)| {
            let Value::Object(mut response) = response else { return (code, response) };
            if let Some(schema) = response.remove("schema") {
                response.insert("content".into(), content(&gives, &renamed(schema)).into());
            }
            (code, Value::Object(response))
        };
        fields.insert("responses".into(), responses.into_iter().map(of).collect::<Map<_, _>>().into());
    }
    Value::Object(fields)
}

/// Those of path, query and header, and the one that was the body.
fn parameters(listed: Value) -> (Vec<Value>, Option<Value>) {
    let Value::Array(listed) = listed else { return (Vec::new(), None) };
    let (mut body, others): (Vec<Value>, Vec<Value>) = listed.into_iter().partition(|p| p["in"] == "body");
    (others.into_iter().map(parameter).collect(), body.pop())
}

fn parameter(value: Value) -> Value {
    let Value::Object(fields) = renamed(value) else { return Value::Null };
    if fields.contains_key("$ref") {
        return Value::Object(fields);
    }
    let (schema, mut rest): (Map<_, _>, Map<_, _>) = fields.into_iter().partition(|(name, _)| OF_SCHEMA.contains(&name.as_str()));
    if !schema.is_empty() {
        rest.insert("schema".into(), schema.into());
    }
    Value::Object(rest)
}
