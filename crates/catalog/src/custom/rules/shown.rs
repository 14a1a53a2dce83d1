//! The parts of a definition as faults print them: upstream validates a form of its own, whose fields Go's JSON names as Go does.
//!
//! Upstream: apiextensions-apiserver `pkg/apis/apiextensions/{types,types_jsonschema}.go`, in the order of their fields.

use api::field::escape_html;
use serde_json::Value;

/// What a field is where it is not set.
#[derive(Clone, Copy)]
enum Zero {
    Null,
    Text,
    False,
}

/// How what is set is printed.
#[derive(Clone, Copy)]
enum As {
    Json,
    Schema,
    Schemas,
    SchemasByName,
    /// `additionalProperties`: a flag, or a schema.
    SchemaOrFlag,
    /// `items`: a schema, or several.
    SchemaOrList,
    Columns,
    Fields,
    Whole,
    Subresources,
}

type Field = (&'static str, &'static str, Zero, As);

const RULE: [Field; 6] = [
    ("Rule", "rule", Zero::Text, As::Json),
    ("Message", "message", Zero::Text, As::Json),
    ("MessageExpression", "messageExpression", Zero::Text, As::Json),
    ("Reason", "reason", Zero::Null, As::Json),
    ("FieldPath", "fieldPath", Zero::Text, As::Json),
    ("OptionalOldSelf", "optionalOldSelf", Zero::Null, As::Json),
];

const VERSION: [Field; 9] = [
    ("Name", "name", Zero::Text, As::Json),
    ("Served", "served", Zero::False, As::Json),
    ("Storage", "storage", Zero::False, As::Json),
    ("Deprecated", "deprecated", Zero::False, As::Json),
    ("DeprecationWarning", "deprecationWarning", Zero::Null, As::Json),
    ("Schema", "schema", Zero::Null, As::Whole),
    ("Subresources", "subresources", Zero::Null, As::Subresources),
    ("AdditionalPrinterColumns", "additionalPrinterColumns", Zero::Null, As::Columns),
    ("SelectableFields", "selectableFields", Zero::Null, As::Fields),
];

const COLUMN: [Field; 6] = [
    ("Name", "name", Zero::Text, As::Json),
    ("Type", "type", Zero::Text, As::Json),
    ("Format", "format", Zero::Text, As::Json),
    ("Description", "description", Zero::Text, As::Json),
    ("Priority", "priority", Zero::False, As::Json),
    ("JSONPath", "jsonPath", Zero::Text, As::Json),
];

const SCALE: [Field; 3] = [
    ("SpecReplicasPath", "specReplicasPath", Zero::Text, As::Json),
    ("StatusReplicasPath", "statusReplicasPath", Zero::Text, As::Json),
    ("LabelSelectorPath", "labelSelectorPath", Zero::Null, As::Json),
];

/// The fields of a schema, also in the order in which upstream looks for those that may not stand at the root.
const SCHEMA: [Field; 44] = [
    ("ID", "id", Zero::Text, As::Json),
    ("Schema", "$schema", Zero::Text, As::Json),
    ("Ref", "$ref", Zero::Null, As::Json),
    ("Description", "description", Zero::Text, As::Json),
    ("Type", "type", Zero::Text, As::Json),
    ("Nullable", "nullable", Zero::False, As::Json),
    ("Format", "format", Zero::Text, As::Json),
    ("Title", "title", Zero::Text, As::Json),
    ("Default", "default", Zero::Null, As::Json),
    ("Maximum", "maximum", Zero::Null, As::Json),
    ("ExclusiveMaximum", "exclusiveMaximum", Zero::False, As::Json),
    ("Minimum", "minimum", Zero::Null, As::Json),
    ("ExclusiveMinimum", "exclusiveMinimum", Zero::False, As::Json),
    ("MaxLength", "maxLength", Zero::Null, As::Json),
    ("MinLength", "minLength", Zero::Null, As::Json),
    ("Pattern", "pattern", Zero::Text, As::Json),
    ("MaxItems", "maxItems", Zero::Null, As::Json),
    ("MinItems", "minItems", Zero::Null, As::Json),
    ("UniqueItems", "uniqueItems", Zero::False, As::Json),
    ("MultipleOf", "multipleOf", Zero::Null, As::Json),
    ("Enum", "enum", Zero::Null, As::Json),
    ("MaxProperties", "maxProperties", Zero::Null, As::Json),
    ("MinProperties", "minProperties", Zero::Null, As::Json),
    ("Required", "required", Zero::Null, As::Json),
    ("Items", "items", Zero::Null, As::SchemaOrList),
    ("AllOf", "allOf", Zero::Null, As::Schemas),
    ("OneOf", "oneOf", Zero::Null, As::Schemas),
    ("AnyOf", "anyOf", Zero::Null, As::Schemas),
    ("Not", "not", Zero::Null, As::Schema),
    ("Properties", "properties", Zero::Null, As::SchemasByName),
    ("AdditionalProperties", "additionalProperties", Zero::Null, As::SchemaOrFlag),
    ("PatternProperties", "patternProperties", Zero::Null, As::SchemasByName),
    ("Dependencies", "dependencies", Zero::Null, As::Json),
    ("AdditionalItems", "additionalItems", Zero::Null, As::SchemaOrFlag),
    ("Definitions", "definitions", Zero::Null, As::SchemasByName),
    ("ExternalDocs", "externalDocs", Zero::Null, As::Json),
    ("Example", "example", Zero::Null, As::Json),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", Zero::Null, As::Json),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", Zero::False, As::Json),
    ("XIntOrString", "x-kubernetes-int-or-string", Zero::False, As::Json),
    ("XListMapKeys", "x-kubernetes-list-map-keys", Zero::Null, As::Json),
    ("XListType", "x-kubernetes-list-type", Zero::Null, As::Json),
    ("XMapType", "x-kubernetes-map-type", Zero::Null, As::Json),
    ("XValidations", "x-kubernetes-validations", Zero::Null, As::Fields),
];

/// A rule in CEL.
pub fn rule(rule: &Value) -> String {
    object(rule, &RULE)
}

pub fn versions(versions: &[Value]) -> String {
    list(versions, |version| object(version, &VERSION))
}

pub fn schema(schema: &Value) -> String {
    object(schema, &SCHEMA)
}

/// The names of a schema's fields that are set: in JSON, and in Go.
pub fn fields_set(schema: &Value) -> impl Iterator<Item = (&'static str, &'static str)> {
    SCHEMA.iter().filter(|(_, key, zero, _)| set(schema, key, *zero).is_some()).map(|(name, key, _, _)| (*key, *name))
}

fn set<'a>(of: &'a Value, key: &str, zero: Zero) -> Option<&'a Value> {
    of.get(key).filter(|value| match (zero, value) {
        (_, Value::Null) => false,
        (Zero::Text, Value::String(text)) => !text.is_empty(),
        (Zero::False, Value::Bool(flag)) => *flag,
        _ => true,
    })
}

fn list(items: &[Value], print: impl Fn(&Value) -> String) -> String {
    format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(","))
}

fn json(value: &Value) -> String {
    escape_html(&value.to_string())
}

fn object(of: &Value, fields: &[Field]) -> String {
    let parts = fields.iter().map(|(name, key, zero, form)| {
        let text = match (set(of, key, *zero), zero) {
            (Some(value), _) => print(key, value, *form),
            (None, Zero::Null) => "null".to_owned(),
            (None, Zero::Text) => "\"\"".to_owned(),
            (None, Zero::False) => if *key == "priority" { "0" } else { "false" }.to_owned(),
        };
        format!("\"{name}\":{text}")
    });
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}

fn print(key: &str, value: &Value, form: As) -> String {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    match form {
        As::Json => json(value),
        As::Schema => schema(value),
        As::Schemas => list(items, schema),
        As::SchemasByName => {
            let named = value.as_object().into_iter().flatten().map(|(name, of)| format!("{}:{}", json(&name.as_str().into()), schema(of)));
            format!("{{{}}}", named.collect::<Vec<_>>().join(","))
        }
        As::SchemaOrFlag if value.is_object() => format!("{{\"Allows\":true,\"Schema\":{}}}", schema(value)),
        As::SchemaOrFlag => format!("{{\"Allows\":{value},\"Schema\":null}}"),
        As::SchemaOrList if value.is_object() => format!("{{\"Schema\":{},\"JSONSchemas\":null}}", schema(value)),
        As::SchemaOrList => format!("{{\"Schema\":null,\"JSONSchemas\":{}}}", list(items, schema)),
        As::Columns => list(items, |column| object(column, &COLUMN)),
        As::Fields if key == "selectableFields" => list(items, |field| format!("{{\"JSONPath\":{}}}", json(field.get("jsonPath").unwrap_or(&Value::Null)))),
        As::Fields => list(items, rule),
        As::Subresources => {
            let part = |key: &str, fields: &[Field]| value.get(key).filter(|v| v.is_object()).map_or_else(|| "null".to_owned(), |part| object(part, fields));
            format!("{{\"Status\":{},\"Scale\":{}}}", part("status", &[]), part("scale", &SCALE))
        }
        As::Whole => format!("{{\"OpenAPIV3Schema\":{}}}", value.get("openAPIV3Schema").map_or_else(|| "null".to_owned(), schema)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parts_are_named_as_go_names_them() {
        assert_eq!(rule(&json!({"rule": "a > b", "reason": "X"})), r#"{"Rule":"a \u003e b","Message":"","MessageExpression":"","Reason":"X","FieldPath":"","OptionalOldSelf":null}"#);
        assert_eq!(
            versions(&[json!({"name": "v1", "served": true, "additionalPrinterColumns": [{"name": "a", "type": "string", "jsonPath": ".a"}]})]),
            r#"[{"Name":"v1","Served":true,"Storage":false,"Deprecated":false,"DeprecationWarning":null,"Schema":null,"Subresources":null,"AdditionalPrinterColumns":[{"Name":"a","Type":"string","Format":"","Description":"","Priority":0,"JSONPath":".a"}],"SelectableFields":null}]"#
        );
        let shown = schema(&json!({"type": "object", "properties": {"a": {"type": "array", "items": {"type": "string"}}}, "additionalProperties": false}));
        assert!(shown.starts_with(r#"{"ID":"","Schema":"","Ref":null,"Description":"","Type":"object","Nullable":false,"#), "{shown}");
        assert!(shown.contains(r#""Items":{"Schema":{"ID":"","#) && shown.contains(r#""AdditionalProperties":{"Allows":false,"Schema":null}"#), "{shown}");
    }
}
