//! Wire messages to values. Unknown numbers are skipped, as protobuf demands; what Go would omit is dropped afterwards by conform.

use schema::{Map as MapOf, Of, Special, Type, WireField, WireTarget};
use serde_json::{Map, Value};

use super::{MAGIC, MAX_DEPTH, decode_enveloped};
use crate::error::DecodeError;
use crate::scalar;
use crate::wire::{Piece, Reader};

pub(super) fn message(bytes: &[u8], of: &Type, depth: usize) -> Result<Value, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::Wire("proto: nesting is too deep"));
    }
    if let Some(special) = of.special {
        return schema_choice(bytes, special, of, depth);
    }
    let mut map = Map::new();
    fields(&mut map, bytes, of, &of.wire, depth)?;
    Ok(Value::Object(map))
}

fn fields(map: &mut Map<String, Value>, bytes: &[u8], of: &Type, wire: &[WireField], depth: usize) -> Result<(), DecodeError> {
    let mut reader = Reader(bytes);
    while let Some((number, piece)) = reader.next()? {
        let Ok(at) = wire.binary_search_by_key(&number, |w| u64::from(w.number)) else { continue };
        match &wire[at].target {
            WireTarget::Inline(inner) => fields(map, piece.bytes()?, of, inner, depth + 1)?,
            WireTarget::Field(index) => {
                let field = &of.fields[*index];
                place(map, &field.name, piece, &field.of, depth)?;
            }
        }
    }
    Ok(())
}

fn place(map: &mut Map<String, Value>, name: &str, piece: Piece, of: &Of, depth: usize) -> Result<(), DecodeError> {
    match of {
        Of::List(list) if list.wrapped => {
            map.insert(name.to_owned(), wrapped(piece, &list.item, depth)?);
        }
        Of::List(list) => {
            let item = one(piece, &list.item, depth)?;
            if let Value::Array(items) = map.entry(name).or_insert_with(|| Value::Array(Vec::new())) {
                items.push(item);
            }
        }
        Of::Map(of) => {
            let (key, value) = entry(piece, of, depth)?;
            if let Value::Object(entries) = map.entry(name).or_insert_with(|| Value::Object(Map::new())) {
                entries.insert(key, value);
            }
        }
        of => {
            let value = one(piece, of, depth)?;
            if !value.is_null() {
                map.insert(name.to_owned(), value);
            }
        }
    }
    Ok(())
}

fn wrapped(piece: Piece, item: &Of, depth: usize) -> Result<Value, DecodeError> {
    let mut reader = Reader(piece.bytes()?);
    let mut items = Vec::new();
    while let Some((number, piece)) = reader.next()? {
        if number == 1 {
            items.push(one(piece, item, depth + 1)?);
        }
    }
    Ok(Value::Array(items))
}

fn entry(piece: Piece, of: &MapOf, depth: usize) -> Result<(String, Value), DecodeError> {
    let mut reader = Reader(piece.bytes()?);
    let (mut key, mut value) = (String::new(), None);
    while let Some((number, piece)) = reader.next()? {
        match (number, &of.value) {
            (1, _) => key = piece.text()?.to_owned(),
            (2, Of::List(list)) if list.wrapped => value = Some(wrapped(piece, &list.item, depth + 1)?),
            (2, inner) => value = Some(one(piece, inner, depth + 1)?),
            _ => {}
        }
    }
    let value = value.unwrap_or_else(|| match &of.value {
        Of::Object(_) => Value::Object(Map::new()),
        Of::List(_) => Value::Array(Vec::new()),
        Of::Quantity => Value::from("0"),
        Of::Int32 | Of::Int64 => Value::from(0),
        _ => Value::from(""),
    });
    Ok((key, value))
}

fn one(piece: Piece, of: &Of, depth: usize) -> Result<Value, DecodeError> {
    Ok(match of {
        Of::Bool => Value::Bool(piece.number()? != 0),
        Of::Int32 => Value::from(piece.number()? as i32),
        Of::Int64 => Value::from(piece.number()? as i64),
        Of::Double | Of::Float => match piece {
            Piece::Fixed(bits) => Value::from(f64::from_bits(bits)),
            _ => return Err(DecodeError::Wire("proto: wrong wireType")),
        },
        Of::Str => Value::from(piece.text()?),
        Of::Bytes => Value::from(scalar::encode_bytes(piece.bytes()?)),
        Of::Object(of) => message(piece.bytes()?, of.get(), depth + 1)?,
        Of::List(list) if list.wrapped => wrapped(piece, &list.item, depth + 1)?,
        Of::List(list) => Value::Array(vec![one(piece, &list.item, depth + 1)?]),
        Of::Map(of) => Value::Object(Map::from_iter([entry(piece, of, depth + 1)?])),
        Of::Quantity => Value::from(inner(piece, 1)?.map_or(Ok("0"), |p| p.text().map(|t| if t.is_empty() { "0" } else { t }))?),
        Of::IntOrString => match inner(piece, 1)?.map_or(Ok(0), Piece::number)? {
            0 => Value::from(inner(piece, 2)?.map_or(Ok(0), Piece::number)? as i32),
            _ => Value::from(inner(piece, 3)?.map_or(Ok(""), Piece::text)?),
        },
        Of::Time | Of::MicroTime => time(piece, matches!(of, Of::MicroTime))?,
        Of::Duration => Value::from(gotime::shown(inner(piece, 1)?.map_or(Ok(0), Piece::number)? as i64)),
        Of::Fields | Of::Raw | Of::JsonText => raw(inner(piece, 1)?.map_or(Ok(&[][..]), Piece::bytes)?, depth)?,
        Of::Json => Value::Null,
    })
}

/// The last field of that number in the message.
fn inner<'a>(piece: Piece<'a>, wanted: u64) -> Result<Option<Piece<'a>>, DecodeError> {
    let mut reader = Reader(piece.bytes()?);
    let mut found = None;
    while let Some((number, piece)) = reader.next()? {
        if number == wanted {
            found = Some(piece);
        }
    }
    Ok(found)
}

fn time(piece: Piece, micro: bool) -> Result<Value, DecodeError> {
    if piece.bytes()?.is_empty() {
        return Ok(Value::Null);
    }
    let part = |n| Ok::<i64, DecodeError>(inner(piece, n)?.map_or(Ok(0), Piece::number)? as i64);
    let at = jiff::Timestamp::new(part(1)?, part(2)? as i32).map_err(|_| DecodeError::Wire("proto: time out of range"))?;
    Ok(Value::from(if micro { scalar::print_micro_time(at) } else { scalar::print_time(at) }))
}

/// Embedded objects are JSON text or an enveloped protobuf object.
fn raw(bytes: &[u8], depth: usize) -> Result<Value, DecodeError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    if bytes.starts_with(MAGIC) {
        return Ok(decode_enveloped(bytes, None, depth + 1)?.value);
    }
    serde_json::from_slice(bytes).map_err(|e| DecodeError::Syntax(e.to_string()))
}

fn schema_choice(bytes: &[u8], special: Special, of: &Type, depth: usize) -> Result<Value, DecodeError> {
    let schema = schema::by_name(of.name.rsplit_once("Or").map_or(of.name.as_ref(), |(base, _)| base)).ok_or(DecodeError::Wire("no schema type"))?;
    let (mut reader, mut allowed, mut list, mut single) = (Reader(bytes), false, Vec::new(), None);
    while let Some((number, piece)) = reader.next()? {
        match (special, number) {
            (Special::SchemaOrBool, 1) => allowed = piece.number()? != 0,
            (Special::SchemaOrBool, 2) | (Special::SchemaOrArray | Special::SchemaOrStrings, 1) => single = Some(message(piece.bytes()?, schema, depth + 1)?),
            (Special::SchemaOrArray, 2) => list.push(message(piece.bytes()?, schema, depth + 1)?),
            (Special::SchemaOrStrings, 2) => list.push(Value::from(piece.text()?)),
            _ => {}
        }
    }
    Ok(match (single, special) {
        (Some(single), _) => single,
        (None, Special::SchemaOrBool) => Value::Bool(allowed),
        (None, _) => Value::Array(list),
    })
}
