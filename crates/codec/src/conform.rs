//! A value made to fit its type: what Go's decode into a struct and encode back would leave of it.
//!
//! Wrong types fail in upstream's words, unknown fields are dropped and told, empty values that Go omits are dropped, values
//! that Go always prints are filled in. Conforming twice changes nothing more.

use schema::{Field, Map as MapOf, Of, Special, Type, Unknown};
use serde_json::{Map, Value};

use crate::error::DecodeError;
use crate::path::Path;
use crate::scalar;

/// Upstream stops collecting here too.
pub(crate) const MAX_STRICT_ERRORS: usize = 100;

/// Whether unknown and duplicate fields are worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strictness {
    #[default]
    Ignore,
    Collect,
}

/// A decoded value and what strict decoding has to say about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decoded {
    pub value: Value,
    /// `unknown field "spec.foo"`, `duplicate field "spec.bar"`; empty unless collected.
    pub strict_errors: Vec<String>,
}

/// Makes `value` fit `of`.
pub fn conform(value: Value, of: &Type, strictness: Strictness) -> Result<Decoded, DecodeError> {
    let mut walk = Walk { path: Path::default(), strict: Vec::new(), collect: strictness == Strictness::Collect, of };
    let value = match value {
        Value::Object(map) => walk.object(map, of)?,
        other => return Err(DecodeError::Type(format!("json: cannot unmarshal {} into Go value of type {}", go_kind(&other), of.go_name()))),
    };
    Ok(Decoded { value, strict_errors: walk.strict })
}

struct Walk<'a> {
    path: Path,
    strict: Vec<String>,
    collect: bool,
    /// The struct whose fields are being read, for Go's messages.
    of: &'a Type,
}

impl<'a> Walk<'a> {
    fn object(&mut self, map: Map<String, Value>, of: &'a Type) -> Result<Value, DecodeError> {
        if let Some(special) = of.special {
            return self.special(Value::Object(map), special, of);
        }
        let outer = std::mem::replace(&mut self.of, of);
        let mut out = Map::new();
        for (name, value) in map {
            let Some(field) = of.field(&name) else {
                match of.unknown {
                    Unknown::Keep => {
                        out.insert(name, value);
                    }
                    Unknown::Drop => self.unknown(&name),
                }
                continue;
            };
            if value.is_null() {
                if field.nullable {
                    out.insert(name, value);
                }
                continue;
            }
            self.path.push_name(&name);
            let value = self.value(value, &field.of)?;
            self.path.pop();
            if !omitted(&value, field) {
                out.insert(name, value);
            }
        }
        for field in of.fields.iter().filter(|f| f.always) {
            if !out.contains_key(field.name.as_ref())
                && let Some(zero) = self.zero(field)?
            {
                out.insert(field.name.to_string(), zero);
            }
        }
        self.of = outer;
        Ok(Value::Object(out))
    }

    fn unknown(&mut self, name: &str) {
        if self.collect && self.strict.len() < MAX_STRICT_ERRORS {
            self.strict.push(format!("unknown field \"{}\"", self.path.strict(name)));
        }
    }

    /// What Go prints for a field that was never set; lists, maps and times that it prints as null stay out.
    fn zero(&mut self, field: &'a Field) -> Result<Option<Value>, DecodeError> {
        Ok(match &field.of {
            Of::Bool => Some(Value::Bool(false)),
            Of::Int32 | Of::Int64 | Of::Float | Of::Double | Of::IntOrString => Some(Value::from(0)),
            Of::Str => Some(Value::from("")),
            Of::Quantity => Some(Value::from("0")),
            Of::Object(of) if of.get().special.is_none() => Some(self.object(Map::new(), of.get())?),
            _ => None,
        })
    }

    fn value(&mut self, value: Value, of: &'a Of) -> Result<Value, DecodeError> {
        match (of, value) {
            (Of::Json | Of::JsonText | Of::Raw | Of::Fields, value) => Ok(value),
            (Of::Object(of), Value::Object(map)) => self.object(map, of.get()),
            (Of::Object(of), value) => match of.get().special {
                Some(special) => self.special(value, special, of.get()),
                None => Err(self.mismatch(&value, of.get().go_name())),
            },
            (Of::List(list), Value::Array(items)) => {
                let mut out = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    self.path.push_index(index);
                    out.push(self.element(item, &list.item)?);
                    self.path.pop();
                }
                Ok(Value::Array(out))
            }
            (Of::Map(of), Value::Object(map)) => self.map(map, of),
            (Of::Str, value @ Value::String(_)) | (Of::Bool, value @ Value::Bool(_)) => Ok(value),
            (Of::IntOrString, value @ Value::String(_)) => Ok(value),
            (Of::Int32, Value::Number(n)) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => Ok(Value::Number(n)),
            (Of::Int64, Value::Number(n)) if n.as_i64().is_some() => Ok(Value::Number(n)),
            (Of::Double | Of::Float, value @ Value::Number(_)) => Ok(value),
            (Of::IntOrString, Value::Number(n)) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => Ok(Value::Number(n)),
            (Of::IntOrString, value) => Err(DecodeError::Type(format!("json: cannot unmarshal {} into Go value of type int32", go_number(&value)))),
            (Of::Quantity, Value::Number(n)) => own(scalar::quantity(&n.to_string())),
            (Of::Quantity, Value::String(s)) => own(scalar::quantity(&s)),
            (Of::Time, Value::String(s)) => own(scalar::time(&s)),
            (Of::MicroTime, Value::String(s)) => own(scalar::micro_time(&s)),
            (Of::Duration, Value::String(s)) => own(gotime::parse(&s).map(gotime::shown)),
            (Of::Bytes, Value::String(s)) => own(scalar::bytes(&s)),
            (of, value) => Err(self.mismatch(&value, &go_type(of))),
        }
    }

    /// Null elements are zero values in Go.
    fn element(&mut self, item: Value, of: &'a Of) -> Result<Value, DecodeError> {
        match (item, of) {
            (Value::Null, Of::Str) => Ok(Value::from("")),
            (Value::Null, Of::Object(of)) if of.get().special.is_none() => self.object(Map::new(), of.get()),
            (Value::Null, Of::Int32 | Of::Int64) => Ok(Value::from(0)),
            (Value::Null, _) => Ok(Value::Null),
            (item, of) => self.value(item, of),
        }
    }

    fn map(&mut self, map: Map<String, Value>, of: &'a MapOf) -> Result<Value, DecodeError> {
        let mut out = Map::new();
        for (key, value) in map {
            self.path.push_name(&key);
            let value = match (&of.value, value) {
                (Of::Bytes | Of::Str, Value::Null) => Value::from(""),
                (Of::Quantity, Value::Null) => Value::from("0"),
                (_, value) => self.element(value, &of.value)?,
            };
            self.path.pop();
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }

    fn special(&mut self, value: Value, special: Special, of: &'a Type) -> Result<Value, DecodeError> {
        let schema = schema::by_name(of.name.rsplit_once("Or").map_or(of.name.as_ref(), |(base, _)| base));
        match (special, schema, value) {
            (Special::SchemaOrArray | Special::SchemaOrBool | Special::SchemaOrStrings, Some(schema), Value::Object(map)) => self.object(map, schema),
            (Special::SchemaOrArray, Some(schema), Value::Array(items)) => {
                let items = items.into_iter().enumerate().map(|(index, item)| match item {
                    Value::Object(map) => {
                        self.path.push_index(index);
                        let out = self.object(map, schema);
                        self.path.pop();
                        out
                    }
                    other => Err(self.mismatch(&other, schema.go_name())),
                });
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
            (Special::SchemaOrBool, _, value @ Value::Bool(_)) => Ok(value),
            (Special::SchemaOrStrings, _, value @ Value::Array(_)) => Ok(value),
            (Special::Scalar, _, value) => Ok(value),
            (_, _, value) => Err(self.mismatch(&value, of.go_name())),
        }
    }

    fn mismatch(&self, value: &Value, go_type: &str) -> DecodeError {
        let found = if matches!(go_type, "int32" | "int64") { go_number(value) } else { go_kind(value).to_owned() };
        DecodeError::Type(format!("json: cannot unmarshal {found} into Go struct field {}.{} of type {go_type}", self.of.short_name(), self.path.go()))
    }
}

fn own(parsed: Result<String, String>) -> Result<Value, DecodeError> {
    parsed.map(Value::String).map_err(DecodeError::Type)
}

/// True for what Go's `omitempty` leaves out.
fn omitted(value: &Value, field: &Field) -> bool {
    if field.always {
        return false;
    }
    match (value, &field.of) {
        (Value::Array(items), _) => !field.pointer && items.is_empty(),
        (Value::Object(map), Of::Map(_)) => !field.pointer && map.is_empty(),
        (Value::String(s), Of::Str | Of::Bytes) => !field.pointer && s.is_empty(),
        (Value::Bool(b), Of::Bool) => !field.pointer && !b,
        (Value::Number(n), Of::Int32 | Of::Int64 | Of::Double | Of::Float) => !field.pointer && n.as_f64() == Some(0.0),
        _ => false,
    }
}

fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Go names the number when it does not fit an integer.
fn go_number(value: &Value) -> String {
    match value {
        Value::Number(n) => format!("number {n}"),
        other => go_kind(other).to_owned(),
    }
}

fn go_type(of: &Of) -> String {
    match of {
        Of::Bool => "bool".into(),
        Of::Int32 => "int32".into(),
        Of::Int64 => "int64".into(),
        Of::Float => "float32".into(),
        Of::Double => "float64".into(),
        Of::Bytes => "[]uint8".into(),
        Of::Quantity => "resource.Quantity".into(),
        Of::IntOrString => "intstr.IntOrString".into(),
        Of::Object(of) => of.get().go_name().to_owned(),
        Of::List(list) => format!("[]{}", go_type(&list.item)),
        Of::Map(map) => format!("map[string]{}", go_type(&map.value)),
        Of::Json | Of::JsonText | Of::Raw | Of::Fields => "interface {}".into(),
        Of::Str | Of::Time | Of::MicroTime | Of::Duration => "string".into(),
    }
}
