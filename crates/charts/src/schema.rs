//! values.schema.json: whether the values of a chart and of those below fit the schemas that they bring.
// Upstream: helm pkg/chart/common/util/jsonschema.go.

use serde_json::{Map, Value};

use crate::chart::Chart;

/// No schema needs more; deeper ones are attacks.
const MAX_SCHEMA: usize = 2 * 1024 * 1024;
const MAX_DEPTH: usize = 120;

/// What does not fit, chart by chart; empty where all fits.
pub fn validate(chart: &Chart, values: &Map<String, Value>) -> Result<String, String> {
    let mut out = String::new();
    check(chart, values, &mut out)?;
    Ok(out)
}

fn check(chart: &Chart, values: &Map<String, Value>, out: &mut String) -> Result<(), String> {
    if let Some(schema) = &chart.schema {
        let faults = single(schema, values)?;
        if !faults.is_empty() {
            out.push_str(&format!("{}:\n{faults}", chart.name()));
        }
    }
    for below in &chart.dependencies {
        match values.get(below.name()) {
            Some(Value::Object(own)) => check(below, own, out)?,
            None => check(below, &Map::new(), out)?,
            Some(other) => out.push_str(&format!("{}:\ninvalid type for values: expected object (map), got {}\n", below.name(), crate::values::json_kind(other))),
        }
    }
    Ok(())
}

/// What does not fit a schema, a line each.
pub fn single(schema: &[u8], values: &Map<String, Value>) -> Result<String, String> {
    if schema.len() > MAX_SCHEMA {
        return Err(format!("values.schema.json is larger than {MAX_SCHEMA} bytes"));
    }
    let schema: Value = serde_json::from_slice(schema).map_err(|e| format!("invalid values.schema.json: {e}"))?;
    if depth(&schema) > MAX_DEPTH {
        return Err(format!("values.schema.json is nested deeper than {MAX_DEPTH}"));
    }
    let validator = jsonschema::validator_for(&schema).map_err(|e| format!("invalid values.schema.json: {e}"))?;
    let whole = Value::Object(values.clone());
    let faults: Vec<jsonschema::ValidationError<'_>> = validator.iter_errors(&whole).collect();
    let place = |e: &jsonschema::ValidationError<'_>| (e.instance_path().to_string(), e.schema_path().to_string().rsplit_once('/').map(|(p, _)| p.to_string()));
    let is_type = |e: &jsonschema::ValidationError<'_>| matches!(e.kind(), jsonschema::error::ValidationErrorKind::Type { .. });
    // Upstream: where the type is wrong, nothing else is said of a value.
    let wrong: Vec<_> = faults.iter().filter(|e| is_type(e)).map(place).collect();
    let mut lines: Vec<String> = faults.iter().filter(|e| is_type(e) || !wrong.contains(&place(e))).map(line).collect();
    lines.sort();
    Ok(lines.concat())
}

fn depth(value: &Value) -> usize {
    let mut deepest = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, level)) = open.pop() {
        deepest = deepest.max(level);
        match value {
            Value::Array(items) => open.extend(items.iter().map(|v| (v, level + 1))),
            Value::Object(map) => open.extend(map.values().map(|v| (v, level + 1))),
            _ => {}
        }
    }
    deepest
}

// Upstream: santhosh-tekuri/jsonschema's text of an error.
fn line(error: &jsonschema::ValidationError<'_>) -> String {
    use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
    let at = error.instance_path().to_string();
    let kind = |v: &Value| match v {
        Value::Number(n) if n.as_f64().is_some_and(|f| f.fract() == 0.0) => "integer",
        other => crate::values::json_kind(other),
    };
    let got = |v: &Value| if matches!(v, Value::Number(_)) { "number" } else if v.is_boolean() { "boolean" } else { kind(v) };
    let quote = |s: &str| format!("'{s}'");
    let text = match error.kind() {
        Kind::Type { kind: TypeKind::Single(wanted) } => format!("got {}, want {wanted}", got(error.instance())),
        Kind::Type { kind: TypeKind::Multiple(wanted) } => {
            format!("got {}, want {}", got(error.instance()), wanted.iter().map(|t| t.to_string()).collect::<Vec<_>>().join(" or "))
        }
        Kind::Required { property } => format!("missing property {}", quote(property.as_str().unwrap_or_default())),
        Kind::AdditionalProperties { unexpected } => format!(
            "additional properties {} not allowed",
            unexpected.iter().map(|p| quote(p)).collect::<Vec<_>>().join(", ")
        ),
        Kind::Minimum { limit } => format!("minimum: got {}, want {}", number(error.instance()), number(limit)),
        Kind::Maximum { limit } => format!("maximum: got {}, want {}", number(error.instance()), number(limit)),
        Kind::MinLength { limit } => format!("minLength: got {}, want {limit}", error.instance().as_str().map_or(0, |s| s.chars().count())),
        Kind::MaxLength { limit } => format!("maxLength: got {}, want {limit}", error.instance().as_str().map_or(0, |s| s.chars().count())),
        Kind::Pattern { pattern } => format!("{} does not match pattern {}", quote(error.instance().as_str().unwrap_or_default()), quote(pattern)),
        Kind::Enum { options } => {
            let all: Vec<String> = options.as_array().into_iter().flatten().map(|v| v.as_str().map_or_else(|| number(v), quote)).collect();
            format!("value must be {}", if all.len() > 1 { format!("one of {}", all.join(", ")) } else { all.concat() })
        }
        _ => error.to_string(),
    };
    format!("- at '{at}': {text}\n")
}

fn number(value: &Value) -> String {
    crate::values::go_text(value)
}
