//! JSON to values by declaration, and values back to JSON.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/common/values.go (UnstructuredToVal). Differs: nothing is copied but strings with a format.

use base64::Engine;
use serde_json::Value as Json;

use crate::collection::{List, Map, Object};
use crate::decl::{Decl, DeclKind};
use crate::library::quantity;
use crate::texts;
use crate::time;
use crate::value::{EvalError, Evaluated, Value};

/// Members of the largest value that is written as JSON.
const MAX_JSON: usize = 1_000_000;

/// A JSON value as the declaration says it is to be read.
pub(crate) fn view<'a>(json: &'a Json, decl: &'a Decl) -> Evaluated<'a> {
    if json.is_null() {
        return if decl.nullable || matches!(decl.kind, DeclKind::Dyn | DeclKind::Null) { Ok(Value::Null) } else { Err(EvalError::new("invalid data, got null for schema with nullable=false")) };
    }
    match (&decl.kind, json) {
        (DeclKind::Dyn, _) => Ok(untyped(json)),
        (DeclKind::Bool, Json::Bool(b)) => Ok(Value::Bool(*b)),
        (DeclKind::Int, Json::Number(n)) => n.as_i64().map(Value::Int).ok_or_else(|| EvalError::new("invalid data, expected int, got float64")),
        (DeclKind::Double, Json::Number(n)) => Ok(Value::Double(n.as_f64().unwrap_or(f64::NAN))),
        (DeclKind::String | DeclKind::Enum(_), Json::String(s)) => Ok(Value::borrowed(s)),
        (DeclKind::Bytes, Json::String(s)) => texts::bytes(s).map(|b| Value::Bytes(b.into())).map_err(EvalError::new),
        (DeclKind::Date, Json::String(s)) => texts::date(s).map(Value::Timestamp).map_err(EvalError::new),
        (DeclKind::DateTime, Json::String(s)) => texts::date_time(s).map(Value::Timestamp).map_err(EvalError::new),
        (DeclKind::Duration, Json::String(s)) => texts::duration(s).map(Value::Duration).map_err(EvalError::new),
        (DeclKind::Quantity, Json::String(s)) => quantity::parse_text(s).map(|q| Value::Quantity(q.into())).map_err(EvalError::new),
        (DeclKind::IntOrString, Json::String(_) | Json::Number(_)) => Ok(untyped(json)),
        (DeclKind::IntOrString, _) => Err(EvalError::new("invalid data, expected XIntOrString value to be either a string or integer")),
        (DeclKind::List(list), Json::Array(items)) => Ok(Value::List(List::json(items, list))),
        (DeclKind::Map(values, _), Json::Object(map)) => Ok(Value::Map(Map::Json(map, values))),
        (DeclKind::Object(object), Json::Object(map)) => Ok(Value::Object(Object::Json(map, object))),
        (DeclKind::List(_), _) => Err(EvalError::new("invalid data, expected an array for the provided schema with type=array")),
        (DeclKind::Map(..) | DeclKind::Object(_), _) => Err(EvalError::new("invalid data, expected a map for the provided schema with type=object")),
        (kind, _) => Err(EvalError::new(format!("invalid data, expected {}, got {}", expected(kind), go_type(json)))),
    }
}

fn untyped(json: &Json) -> Value<'_> {
    match json {
        Json::Null => Value::Null,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Value::Int(i),
            (None, Some(u)) => Value::Uint(u),
            _ => Value::Double(n.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(s) => Value::borrowed(s),
        Json::Array(items) => Value::List(List::untyped(items)),
        Json::Object(map) => Value::Map(Map::Json(map, Decl::DYN)),
    }
}

fn expected(kind: &DeclKind) -> &'static str {
    match kind {
        DeclKind::Bool => "bool",
        DeclKind::Int => "int",
        DeclKind::Double => "float",
        _ => "string",
    }
}

fn go_type(json: &Json) -> &'static str {
    match json {
        Json::Null => "<nil>",
        Json::Bool(_) => "bool",
        Json::Number(n) if n.is_f64() => "float64",
        Json::Number(_) => "int64",
        Json::String(_) => "string",
        Json::Array(_) => "[]interface {}",
        Json::Object(_) => "map[string]interface {}",
    }
}

impl<'a> Value<'a> {
    /// A view of JSON by its declaration.
    pub fn json(json: &'a Json, decl: &'a Decl) -> Evaluated<'a> {
        view(json, decl)
    }

    /// The value as JSON: what a mutation writes. `None` for what JSON cannot hold (types, absent optionals, ...) and for values
    /// of more than a million members.
    pub fn to_json(&self) -> Option<Json> {
        let mut left = MAX_JSON;
        self.json_within(&mut left)
    }

    fn json_within(&self, left: &mut usize) -> Option<Json> {
        *left = left.checked_sub(1)?;
        Some(match self {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Bool(*b),
            Value::Int(i) => Json::from(*i),
            Value::Uint(u) => Json::from(*u),
            Value::Double(d) => serde_json::Number::from_f64(*d).map(Json::Number)?,
            Value::String(s) => Json::String(s.to_string()),
            Value::Bytes(b) => Json::String(base64::engine::general_purpose::STANDARD.encode(b)),
            Value::Duration(d) => Json::String(time::format_duration(*d)),
            Value::Timestamp(t) => Json::String(time::format_timestamp(*t)),
            Value::List(list) => Json::Array(list.iter().map(|v| v.ok()?.json_within(left)).collect::<Option<_>>()?),
            Value::Map(Map::Json(map, _)) | Value::Object(Object::Json(map, _)) => Json::Object((*map).clone()),
            Value::Map(map) => Json::Object(map.iter().map(|(k, v)| Some((k.text(), v.ok()?.json_within(left)?))).collect::<Option<_>>()?),
            Value::Object(Object::Built(built)) => Json::Object(built.fields.iter().map(|(k, v)| Some((k.clone(), v.json_within(left)?))).collect::<Option<_>>()?),
            Value::Optional(Some(v)) => v.json_within(left)?,
            _ => return None,
        })
    }
}
