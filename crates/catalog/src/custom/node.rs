//! A schema of a custom resource, compiled once per version of its definition.
//!
//! Never judges whether the schema itself is allowed: that is `rules`. What it keeps: one node per place of the schema, its
//! pattern compiled and its format known, so that pruning, defaulting and validating walk it without reading JSON again.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::formats::Format;
use crate::walk;

/// Schemas nest less: definitions come as JSON, whose nesting is bounded before.
const MAX_DEPTH: usize = 128;

#[derive(Debug, Default)]
pub struct Node {
    /// The type named, empty where none is.
    pub kind: String,
    /// The types that a value may have, empty for any.
    pub types: Vec<&'static str>,
    pub nullable: bool,
    pub format: Option<(String, Format)>,
    pub maximum: Option<f64>,
    pub exclusive_maximum: bool,
    pub minimum: Option<f64>,
    pub exclusive_minimum: bool,
    pub multiple_of: Option<f64>,
    pub max_length: Option<i64>,
    pub min_length: Option<i64>,
    pub pattern: Option<Pattern>,
    pub max_items: Option<i64>,
    pub min_items: Option<i64>,
    pub max_properties: Option<i64>,
    pub min_properties: Option<i64>,
    pub choices: Option<Vec<Value>>,
    pub required: Vec<String>,
    pub properties: BTreeMap<String, Self>,
    pub additional: Option<Additional>,
    pub items: Option<Box<Self>>,
    pub all_of: Vec<Self>,
    pub any_of: Vec<Self>,
    pub one_of: Vec<Self>,
    pub not: Option<Box<Self>>,
    /// `x-kubernetes-preserve-unknown-fields`
    pub preserves: bool,
    /// `x-kubernetes-embedded-resource`
    pub embedded: bool,
    pub int_or_string: bool,
    pub list_type: Option<String>,
    pub list_keys: Vec<String>,
    pub default: Option<Value>,
}

/// `additionalProperties`: of any form, none at all, or of a schema.
#[derive(Debug)]
pub enum Additional {
    Any,
    None,
    Of(Box<Node>),
}

#[derive(Debug)]
pub struct Pattern {
    pub text: String,
    pub compiled: Result<Regex, String>,
}

impl Pattern {
    pub fn new(text: &str) -> Self {
        Self { text: text.to_owned(), compiled: sprig::regex::compile(text.as_bytes()).map(|regex| (*regex).clone()) }
    }
}

impl Node {
    pub fn compile(schema: &Value) -> Self {
        compile(schema, 0)
    }

    /// The schema of what lies below a key.
    pub fn under(&self, key: &str) -> Option<&Self> {
        self.properties.get(key).or_else(|| self.of_additional())
    }

    pub fn of_additional(&self) -> Option<&Self> {
        match &self.additional {
            Some(Additional::Of(node)) => Some(node),
            _ => None,
        }
    }
}

fn number(schema: &Value, key: &str) -> Option<f64> {
    schema.get(key).and_then(Value::as_f64)
}

fn count(schema: &Value, key: &str) -> Option<i64> {
    schema.get(key).and_then(Value::as_i64)
}

fn texts(schema: &Value, key: &str) -> Vec<String> {
    walk::list(schema, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The list at a key that holds dots or dashes, which a path could not name.
fn keyed<'a>(schema: &'a Value, key: &str) -> &'a Value {
    schema.get(key).unwrap_or(&Value::Null)
}

fn compile(schema: &Value, depth: usize) -> Node {
    if depth > MAX_DEPTH {
        return Node { preserves: true, ..Node::default() };
    }
    let each = |key: &str| walk::list(schema, key).iter().map(|s| compile(s, depth + 1)).collect::<Vec<_>>();
    let flag = |key: &str| keyed(schema, key) == &Value::Bool(true);
    let kind = walk::text(schema, "type").to_owned();
    let int_or_string = flag("x-kubernetes-int-or-string");
    let format = walk::text(schema, "format");
    Node {
        types: if int_or_string { vec!["integer", "string"] } else { type_of(&kind).into_iter().collect() },
        kind,
        nullable: flag("nullable"),
        format: Format::of(format).map(|f| (format.to_owned(), f)),
        maximum: number(schema, "maximum"),
        exclusive_maximum: flag("exclusiveMaximum"),
        minimum: number(schema, "minimum"),
        exclusive_minimum: flag("exclusiveMinimum"),
        multiple_of: number(schema, "multipleOf"),
        max_length: count(schema, "maxLength"),
        min_length: count(schema, "minLength"),
        pattern: schema.get("pattern").and_then(Value::as_str).filter(|p| !p.is_empty()).map(Pattern::new),
        max_items: count(schema, "maxItems"),
        min_items: count(schema, "minItems"),
        max_properties: count(schema, "maxProperties"),
        min_properties: count(schema, "minProperties"),
        choices: schema.get("enum").and_then(Value::as_array).filter(|c| !c.is_empty()).cloned(),
        required: texts(schema, "required"),
        properties: walk::map(schema, "properties").into_iter().flatten().map(|(name, s)| (name.clone(), compile(s, depth + 1))).collect(),
        additional: additional(schema, depth),
        items: schema.get("items").filter(|i| i.is_object()).map(|i| Box::new(compile(i, depth + 1))),
        all_of: each("allOf"),
        any_of: each("anyOf"),
        one_of: each("oneOf"),
        not: schema.get("not").filter(|n| n.is_object()).map(|n| Box::new(compile(n, depth + 1))),
        preserves: flag("x-kubernetes-preserve-unknown-fields"),
        embedded: flag("x-kubernetes-embedded-resource"),
        int_or_string,
        list_type: schema.get("x-kubernetes-list-type").and_then(Value::as_str).map(str::to_owned),
        list_keys: texts(schema, "x-kubernetes-list-map-keys"),
        default: schema.get("default").filter(|d| !d.is_null()).cloned(),
    }
}

fn additional(schema: &Value, depth: usize) -> Option<Additional> {
    match schema.get("additionalProperties")? {
        Value::Bool(true) => Some(Additional::Any),
        Value::Bool(false) => Some(Additional::None),
        inner @ Value::Object(_) => Some(Additional::Of(Box::new(compile(inner, depth + 1)))),
        _ => None,
    }
}

fn type_of(kind: &str) -> Option<&'static str> {
    ["array", "boolean", "integer", "null", "number", "object", "string"].into_iter().find(|t| *t == kind)
}
