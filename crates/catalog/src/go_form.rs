//! Values as faults print them where upstream judges a form of its own: fields by their names in Go, all of them, in their order.
//!
//! Upstream: apimachinery `pkg/util/validation/field/errors.go` prints what is no text or number as Go's JSON of it, and internal
//! types name no JSON fields.

use api::field::escape_html;
use serde_json::Value;

/// What a field is where it is not set.
#[derive(Clone, Copy)]
pub enum Zero {
    Null,
    Text,
    False,
    Number,
}

/// How what is set is printed.
#[derive(Clone, Copy)]
pub enum Form {
    Json,
    Of(&'static [Field]),
    List(&'static [Field]),
    /// A struct that is always there, set or not.
    Inner(&'static [Field]),
    By(fn(&Value) -> String),
}

/// The name in Go, the name in JSON.
pub type Field = (&'static str, &'static str, Zero, Form);

pub fn object(of: &Value, fields: &[Field]) -> String {
    let parts = fields.iter().map(|(name, key, zero, form)| {
        let text = match (set(of, key, *zero), zero, form) {
            (None, _, Form::Inner(fields)) => object(&Value::Null, fields),
            (Some(value), ..) => print(value, *form),
            (None, Zero::Null, _) => "null".to_owned(),
            (None, Zero::Text, _) => "\"\"".to_owned(),
            (None, Zero::False, _) => "false".to_owned(),
            (None, Zero::Number, _) => "0".to_owned(),
        };
        format!("\"{name}\":{text}")
    });
    format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
}

/// What a field holds, where that is more than nothing.
pub fn set<'a>(of: &'a Value, key: &str, zero: Zero) -> Option<&'a Value> {
    of.get(key).filter(|value| match (zero, value) {
        (_, Value::Null) => false,
        (Zero::Text, Value::String(text)) => !text.is_empty(),
        (Zero::False, Value::Bool(flag)) => *flag,
        _ => true,
    })
}

pub fn list(items: &[Value], print: impl Fn(&Value) -> String) -> String {
    format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(","))
}

pub fn json(value: &Value) -> String {
    escape_html(&value.to_string())
}

fn print(value: &Value, form: Form) -> String {
    match form {
        Form::Json => json(value),
        Form::Of(fields) | Form::Inner(fields) => object(value, fields),
        Form::List(fields) => list(value.as_array().map(Vec::as_slice).unwrap_or_default(), |item| object(item, fields)),
        Form::By(print) => print(value),
    }
}
