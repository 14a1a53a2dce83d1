//! Values of charts as texts and tables: how they are read, laid over one another, looked up and printed.
// Upstream: helm pkg/chart/common/values.go.

use serde_json::{Map, Number, Value};

pub type Table = Map<String, Value>;

/// Lays `over` upon `base`: maps are merged, all else replaced. This is how value files follow one another.
// Upstream: helm pkg/chart/v2/loader MergeMaps.
pub fn overlay(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => overlay(old, new),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// A value as Go prints it with `%v`.
pub fn go_text(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.as_f64().filter(|_| n.is_f64()).map_or_else(|| n.to_string(), goyaml::float_g),
        Value::String(s) => s.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(go_text).collect::<Vec<_>>().join(" ")),
        Value::Object(map) => format!("map[{}]", map.iter().map(|(k, v)| format!("{k}:{}", go_text(v))).collect::<Vec<_>>().join(" ")),
    }
}

/// Numbers made floating point, as Go reads JSON into `interface{}`.
pub fn as_floats(value: Value) -> Value {
    match value {
        Value::Number(n) => n.as_f64().and_then(Number::from_f64).map_or(Value::Number(n), Value::Number),
        Value::Array(items) => Value::Array(items.into_iter().map(as_floats).collect()),
        Value::Object(map) => Value::Object(map.into_iter().map(|(k, v)| (k, as_floats(v))).collect()),
        other => other,
    }
}

/// Reads a text of values, e.g. values.yaml; nothing is an empty table.
pub fn read(text: &str) -> Result<Table, String> {
    match goyaml::from_yaml(text) {
        Ok(Value::Null) => Ok(Table::new()),
        Ok(value @ Value::Object(_)) => match as_floats(value) {
            Value::Object(table) => Ok(table),
            _ => Ok(Table::new()),
        },
        Ok(other) => Err(format!("error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of type map[string]interface {{}}", json_kind(&other))),
        Err(e) => Err(format!("error converting YAML to JSON: {e}")),
    }
}

/// What Go's JSON decoder calls the value.
pub fn json_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The table at a dotted path.
fn table_at<'a>(values: &'a Table, path: &str) -> Option<&'a Table> {
    path.split('.').try_fold(values, |table, key| table.get(key)?.as_object())
}

/// The value at a dotted path that is no table.
// Upstream: helm pkg/chart/common/values.go PathValue.
pub fn value_at<'a>(values: &'a Table, path: &str) -> Option<&'a Value> {
    let (parent, key) = path.rsplit_once('.').unwrap_or(("", path));
    let table = if parent.is_empty() { values } else { table_at(values, parent)? };
    table.get(key).filter(|v| !v.is_object())
}
