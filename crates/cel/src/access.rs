//! Members of values: selection, presence, indexing, and the same through optionals.
//!
//! Upstream: cel-go interpreter/attributes.go (qualifiers), cel/library.go (optional types).

use crate::functions::fail;
use crate::value::{EvalError, Evaluated, Value};

pub(crate) fn missing<'a>(key: &str) -> Evaluated<'a> {
    fail(format!("no such key: {key}"))
}

/// `value.field`; through an optional, an optional.
pub(crate) fn select<'a>(value: &Value<'a>, field: &str) -> Evaluated<'a> {
    match value {
        Value::Map(map) => map.get_str(field).unwrap_or_else(|| missing(field)),
        Value::Object(object) => object.get(field).unwrap_or_else(|| missing(field)),
        Value::Optional(None) => Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => select_optional(inner, field),
        other => fail(unsupported(other)),
    }
}

fn unsupported(value: &Value<'_>) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Uint(_) | Value::Double(_) | Value::String(_) | Value::Bytes(_) | Value::List(_) => "no such overload".into(),
        other => format!("no such overload: {}", other.ty().name()),
    }
}

/// `value.?field`.
pub(crate) fn select_optional<'a>(value: &Value<'a>, field: &str) -> Evaluated<'a> {
    let found = match value {
        Value::Map(map) => map.get_str(field),
        Value::Object(object) => object.get(field),
        Value::Optional(None) => None,
        Value::Optional(Some(inner)) => return select_optional(inner, field),
        other => return fail(unsupported(other)),
    };
    Ok(match found {
        None => Value::Optional(None),
        Some(value) => value?.some(),
    })
}

/// `has(value.field)`.
pub(crate) fn has(value: &Value<'_>, field: &str) -> Result<bool, EvalError> {
    match value {
        Value::Map(map) => Ok(map.get_str(field).is_some()),
        Value::Object(object) => Ok(object.has(field)),
        Value::Optional(None) => Ok(false),
        Value::Optional(Some(inner)) => has(inner, field),
        other => Err(EvalError::new(unsupported(other))),
    }
}

/// An index into a list: whole numbers of any type.
fn place(key: &Value<'_>) -> Option<i128> {
    match key {
        Value::Int(i) => Some(i128::from(*i)),
        Value::Uint(u) => Some(i128::from(*u)),
        Value::Double(d) if d.fract() == 0.0 => Some(*d as i128),
        _ => None,
    }
}

fn shown(key: &Value<'_>) -> String {
    match key {
        Value::String(s) => s.to_string(),
        Value::Int(i) => i.to_string(),
        Value::Uint(u) => u.to_string(),
        Value::Double(d) => d.to_string(),
        Value::Bool(b) => b.to_string(),
        other => other.ty().name().to_owned(),
    }
}

/// `container[key]`.
pub(crate) fn index<'a>(container: &Value<'a>, key: &Value<'a>) -> Evaluated<'a> {
    match container {
        Value::List(list) => match place(key) {
            None => fail(format!("unsupported index type '{}' in list", key.ty().name())),
            Some(at) => usize::try_from(at).ok().and_then(|i| list.get(i)).unwrap_or_else(|| fail(format!("index out of bounds: {at}"))),
        },
        Value::Map(map) => map.get(key).unwrap_or_else(|| missing(&shown(key))),
        Value::Object(object) => match key {
            Value::String(field) => object.get(field).unwrap_or_else(|| missing(field)),
            _ => fail("no such overload"),
        },
        Value::Optional(None) => Ok(Value::Optional(None)),
        Value::Optional(Some(inner)) => index_optional(inner, key),
        other => fail(unsupported(other)),
    }
}

/// `container[?key]`.
pub(crate) fn index_optional<'a>(container: &Value<'a>, key: &Value<'a>) -> Evaluated<'a> {
    let found = match container {
        Value::List(list) => match place(key) {
            None => return fail(format!("unsupported index type '{}' in list", key.ty().name())),
            Some(at) => usize::try_from(at).ok().and_then(|i| list.get(i)),
        },
        Value::Map(map) => map.get(key),
        Value::Object(object) => key.as_str().and_then(|field| object.get(field)),
        Value::Optional(None) => None,
        Value::Optional(Some(inner)) => return index_optional(inner, key),
        other => return fail(unsupported(other)),
    };
    Ok(match found {
        None => Value::Optional(None),
        Some(value) => value?.some(),
    })
}
