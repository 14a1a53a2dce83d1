//! The parts of a definition as faults print them: upstream validates a form of its own, whose fields Go's JSON names as Go does.
//!
//! Upstream: apiextensions-apiserver `pkg/apis/apiextensions/{types,types_jsonschema}.go`, in the order of their fields.

use serde_json::Value;

use crate::go_form::{self, Field, Form, Zero, json, list, object};

const RULE: &[Field] = &[
    ("Rule", "rule", Zero::Text, Form::Json),
    ("Message", "message", Zero::Text, Form::Json),
    ("MessageExpression", "messageExpression", Zero::Text, Form::Json),
    ("Reason", "reason", Zero::Null, Form::Json),
    ("FieldPath", "fieldPath", Zero::Text, Form::Json),
    ("OptionalOldSelf", "optionalOldSelf", Zero::Null, Form::Json),
];

const VERSION: &[Field] = &[
    ("Name", "name", Zero::Text, Form::Json),
    ("Served", "served", Zero::False, Form::Json),
    ("Storage", "storage", Zero::False, Form::Json),
    ("Deprecated", "deprecated", Zero::False, Form::Json),
    ("DeprecationWarning", "deprecationWarning", Zero::Null, Form::Json),
    ("Schema", "schema", Zero::Null, Form::Of(WHOLE)),
    ("Subresources", "subresources", Zero::Null, Form::Of(SUBRESOURCES)),
    ("AdditionalPrinterColumns", "additionalPrinterColumns", Zero::Null, Form::List(COLUMN)),
    ("SelectableFields", "selectableFields", Zero::Null, Form::List(SELECTABLE)),
];

const COLUMN: &[Field] = &[
    ("Name", "name", Zero::Text, Form::Json),
    ("Type", "type", Zero::Text, Form::Json),
    ("Format", "format", Zero::Text, Form::Json),
    ("Description", "description", Zero::Text, Form::Json),
    ("Priority", "priority", Zero::Number, Form::Json),
    ("JSONPath", "jsonPath", Zero::Text, Form::Json),
];

const WHOLE: &[Field] = &[("OpenAPIV3Schema", "openAPIV3Schema", Zero::Null, Form::By(schema))];

const SELECTABLE: &[Field] = &[("JSONPath", "jsonPath", Zero::Text, Form::Json)];

const SUBRESOURCES: &[Field] = &[("Status", "status", Zero::Null, Form::Of(&[])), ("Scale", "scale", Zero::Null, Form::Of(SCALE))];

const SCALE: &[Field] = &[
    ("SpecReplicasPath", "specReplicasPath", Zero::Text, Form::Json),
    ("StatusReplicasPath", "statusReplicasPath", Zero::Text, Form::Json),
    ("LabelSelectorPath", "labelSelectorPath", Zero::Null, Form::Json),
];

/// The fields of a schema, also in the order in which upstream looks for those that may not stand at the root.
const SCHEMA: &[Field] = &[
    ("ID", "id", Zero::Text, Form::Json),
    ("Schema", "$schema", Zero::Text, Form::Json),
    ("Ref", "$ref", Zero::Null, Form::Json),
    ("Description", "description", Zero::Text, Form::Json),
    ("Type", "type", Zero::Text, Form::Json),
    ("Nullable", "nullable", Zero::False, Form::Json),
    ("Format", "format", Zero::Text, Form::Json),
    ("Title", "title", Zero::Text, Form::Json),
    ("Default", "default", Zero::Null, Form::Json),
    ("Maximum", "maximum", Zero::Null, Form::Json),
    ("ExclusiveMaximum", "exclusiveMaximum", Zero::False, Form::Json),
    ("Minimum", "minimum", Zero::Null, Form::Json),
    ("ExclusiveMinimum", "exclusiveMinimum", Zero::False, Form::Json),
    ("MaxLength", "maxLength", Zero::Null, Form::Json),
    ("MinLength", "minLength", Zero::Null, Form::Json),
    ("Pattern", "pattern", Zero::Text, Form::Json),
    ("MaxItems", "maxItems", Zero::Null, Form::Json),
    ("MinItems", "minItems", Zero::Null, Form::Json),
    ("UniqueItems", "uniqueItems", Zero::False, Form::Json),
    ("MultipleOf", "multipleOf", Zero::Null, Form::Json),
    ("Enum", "enum", Zero::Null, Form::Json),
    ("MaxProperties", "maxProperties", Zero::Null, Form::Json),
    ("MinProperties", "minProperties", Zero::Null, Form::Json),
    ("Required", "required", Zero::Null, Form::Json),
    ("Items", "items", Zero::Null, Form::By(items)),
    ("AllOf", "allOf", Zero::Null, Form::By(schemas)),
    ("OneOf", "oneOf", Zero::Null, Form::By(schemas)),
    ("AnyOf", "anyOf", Zero::Null, Form::By(schemas)),
    ("Not", "not", Zero::Null, Form::By(schema)),
    ("Properties", "properties", Zero::Null, Form::By(schemas_by_name)),
    ("AdditionalProperties", "additionalProperties", Zero::Null, Form::By(schema_or_flag)),
    ("PatternProperties", "patternProperties", Zero::Null, Form::By(schemas_by_name)),
    ("Dependencies", "dependencies", Zero::Null, Form::Json),
    ("AdditionalItems", "additionalItems", Zero::Null, Form::By(schema_or_flag)),
    ("Definitions", "definitions", Zero::Null, Form::By(schemas_by_name)),
    ("ExternalDocs", "externalDocs", Zero::Null, Form::Json),
    ("Example", "example", Zero::Null, Form::Json),
    ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", Zero::Null, Form::Json),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", Zero::False, Form::Json),
    ("XIntOrString", "x-kubernetes-int-or-string", Zero::False, Form::Json),
    ("XListMapKeys", "x-kubernetes-list-map-keys", Zero::Null, Form::Json),
    ("XListType", "x-kubernetes-list-type", Zero::Null, Form::Json),
    ("XMapType", "x-kubernetes-map-type", Zero::Null, Form::Json),
    ("XValidations", "x-kubernetes-validations", Zero::Null, Form::List(RULE)),
];

/// A rule in CEL.
pub fn rule(rule: &Value) -> String {
    object(rule, RULE)
}

pub fn versions(versions: &[Value]) -> String {
    list(versions, |version| object(version, VERSION))
}

pub fn schema(schema: &Value) -> String {
    object(schema, SCHEMA)
}

/// The names of a schema's fields that are set: in JSON, and in Go.
pub fn fields_set(schema: &Value) -> impl Iterator<Item = (&'static str, &'static str)> {
    SCHEMA.iter().filter(|(_, key, zero, _)| go_form::set(schema, key, *zero).is_some()).map(|(name, key, _, _)| (*key, *name))
}

fn schemas(value: &Value) -> String {
    list(value.as_array().map(Vec::as_slice).unwrap_or_default(), schema)
}

fn schemas_by_name(value: &Value) -> String {
    let named = value.as_object().into_iter().flatten().map(|(name, of)| format!("{}:{}", json(&name.as_str().into()), schema(of)));
    format!("{{{}}}", named.collect::<Vec<_>>().join(","))
}

/// `additionalProperties`: a flag, or a schema.
fn schema_or_flag(value: &Value) -> String {
    if value.is_object() { format!("{{\"Allows\":true,\"Schema\":{}}}", schema(value)) } else { format!("{{\"Allows\":{value},\"Schema\":null}}") }
}

/// `items`: a schema, or several.
pub fn items(value: &Value) -> String {
    if value.is_object() { format!("{{\"Schema\":{},\"JSONSchemas\":null}}", schema(value)) } else { format!("{{\"Schema\":null,\"JSONSchemas\":{}}}", schemas(value)) }
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
