//! Values in Go's own syntax (`%#v`), as upstream shows the object that a template failed on.

use gotemplate::text::quote;
use serde_json::Value;

pub fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => n.to_string(),
        Value::String(s) => quote(s.as_bytes()),
        Value::Array(items) => format!("[]interface {{}}{{{}}}", items.iter().map(go_syntax).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => format!("map[string]interface {{}}{{{}}}", map.iter().map(|(k, v)| format!("{}:{}", quote(k.as_bytes()), go_syntax(v))).collect::<Vec<_>>().join(", ")),
    }
}
