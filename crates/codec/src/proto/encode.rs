//! Values to wire messages. Writes only what is present; numbers ascend as Go's generated code writes them.

use schema::{Field, List, Of, Special, Type, WireField, WireTarget};
use serde_json::{Map, Value};

use crate::error::EncodeError;
use crate::scalar;
use crate::wire::{FIXED64, put_bytes, put_message, put_number, put_tag};

type Written = Result<(), EncodeError>;

pub(super) fn object(out: &mut Vec<u8>, value: &Value, of: &Type) -> Written {
    if let Some(special) = of.special {
        return schema_choice(out, value, special, of);
    }
    let Value::Object(map) = value else { return Err(bad("", "an object")) };
    fields(out, map, of, &of.wire)
}

fn fields(out: &mut Vec<u8>, map: &Map<String, Value>, of: &Type, wire: &[WireField]) -> Written {
    for entry in wire {
        match &entry.target {
            WireTarget::Field(index) => {
                let field = &of.fields[*index];
                if let Some(value) = map.get(field.name.as_ref()).filter(|v| !v.is_null()) {
                    one(out, entry.number, value, &field.of).map_err(|e| under(e, field))?;
                }
            }
            // Upstream: inlined structs are no pointers, so Go always writes them; an empty one says the same as none.
            WireTarget::Inline(inner) => {
                let mut body = Vec::new();
                fields(&mut body, map, of, inner)?;
                put_bytes(out, entry.number, &body);
            }
        }
    }
    Ok(())
}

fn one(out: &mut Vec<u8>, number: u16, value: &Value, of: &Of) -> Written {
    match of {
        // A null inside a list or map is Go's zero value, which is an empty message.
        _ if value.is_null() => put_bytes(out, number, &[]),
        Of::Bool => put_number(out, number, u64::from(value.as_bool().ok_or_else(|| bad("", "a bool"))?)),
        Of::Int32 | Of::Int64 => put_number(out, number, value.as_i64().ok_or_else(|| bad("", "an integer"))? as u64),
        Of::Float | Of::Double => {
            put_tag(out, number, FIXED64);
            out.extend_from_slice(&value.as_f64().ok_or_else(|| bad("", "a number"))?.to_le_bytes());
        }
        Of::Str => put_bytes(out, number, text(value)?.as_bytes()),
        Of::Bytes => put_bytes(out, number, &scalar::decode_bytes(text(value)?).map_err(|_| bad("", "base64"))?),
        Of::Json => {}
        Of::Object(of) => put_message(out, number, |out| object(out, value, of.get()))?,
        Of::List(list) => items(out, number, value, list)?,
        Of::Map(map) => {
            for (key, value) in value.as_object().ok_or_else(|| bad("", "a map"))? {
                put_message(out, number, |out| {
                    put_bytes(out, 1, key.as_bytes());
                    one(out, 2, value, &map.value).map_err(|e| EncodeError { field: format!("[{key}]{}", e.field), ..e })
                })?;
            }
        }
        Of::Quantity => put_message(out, number, |out| {
            put_bytes(out, 1, quantity_text(value)?.as_bytes());
            Ok(())
        })?,
        Of::IntOrString => put_message(out, number, |out| int_or_string(out, value))?,
        Of::Time | Of::MicroTime => put_message(out, number, |out| {
            let at: jiff::Timestamp = text(value)?.parse().map_err(|_| bad("", "a time"))?;
            put_number(out, 1, at.as_second() as u64);
            put_number(out, 2, at.subsec_nanosecond() as u64);
            Ok(())
        })?,
        Of::Duration => put_message(out, number, |out| {
            put_number(out, 1, gotime::parse(text(value)?).map_err(|_| bad("", "a duration"))? as u64);
            Ok(())
        })?,
        Of::Fields | Of::Raw | Of::JsonText => put_message(out, number, |out| {
            put_bytes(out, 1, value.to_string().as_bytes());
            Ok(())
        })?,
    }
    Ok(())
}

fn items(out: &mut Vec<u8>, number: u16, value: &Value, list: &List) -> Written {
    let items = value.as_array().ok_or_else(|| bad("", "a list"))?;
    if list.wrapped {
        return put_message(out, number, |out| items.iter().try_for_each(|item| one(out, 1, item, &list.item)));
    }
    items.iter().enumerate().try_for_each(|(i, item)| one(out, number, item, &list.item).map_err(|e| EncodeError { field: format!("[{i}]{}", e.field), ..e }))
}

fn int_or_string(out: &mut Vec<u8>, value: &Value) -> Written {
    let (kind, number, text) = match value {
        Value::String(text) => (1, 0, text.as_str()),
        other => (0, other.as_i64().ok_or_else(|| bad("", "an integer or a string"))?, ""),
    };
    put_number(out, 1, kind);
    put_number(out, 2, number as u64);
    put_bytes(out, 3, text.as_bytes());
    Ok(())
}

fn schema_choice(out: &mut Vec<u8>, value: &Value, special: Special, of: &Type) -> Written {
    let schema = schema::by_name(of.name.rsplit_once("Or").map_or(of.name.as_ref(), |(base, _)| base)).ok_or_else(|| bad("", "a schema"))?;
    match (special, value) {
        (Special::SchemaOrBool, Value::Bool(allowed)) => put_number(out, 1, u64::from(*allowed)),
        (Special::SchemaOrBool, value) => {
            // Upstream: a schema in this place also means "allowed".
            put_number(out, 1, 1);
            put_message(out, 2, |out| object(out, value, schema))?;
        }
        (Special::SchemaOrArray, Value::Array(items)) => items.iter().try_for_each(|item| put_message(out, 2, |out| object(out, item, schema)))?,
        (Special::SchemaOrStrings, Value::Array(items)) => {
            for item in items {
                put_bytes(out, 2, text(item)?.as_bytes());
            }
        }
        (Special::SchemaOrArray | Special::SchemaOrStrings, value) => put_message(out, 1, |out| object(out, value, schema))?,
        (Special::Scalar, _) => {}
    }
    Ok(())
}

fn text(value: &Value) -> Result<&str, EncodeError> {
    value.as_str().ok_or_else(|| bad("", "a string"))
}

fn quantity_text(value: &Value) -> Result<String, EncodeError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(n) => Ok(n.to_string()),
        _ => Err(bad("", "a quantity")),
    }
}

fn bad(field: &str, expected: &'static str) -> EncodeError {
    EncodeError { field: field.to_owned(), expected }
}

fn under(error: EncodeError, field: &Field) -> EncodeError {
    let dot = if error.field.is_empty() || error.field.starts_with('[') { "" } else { "." };
    EncodeError { field: format!("{}{dot}{}", field.name, error.field), ..error }
}
