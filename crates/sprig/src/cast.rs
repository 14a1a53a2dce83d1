//! Loose conversions of values to numbers and texts.
//!
//! Never fails: what is no number is 0. Upstream: spf13/cast, and Sprig's strval.

use gotemplate::number::{parse_float, parse_int};
use gotemplate::{Failure, Kind, Str, Value, fmt};

#[expect(clippy::cast_possible_truncation, reason = "as Go converts on amd64: what does not fit is the smallest")]
fn truncate(value: f64) -> i64 {
    if value.is_nan() || value >= 9.223_372_036_854_775_807e18 || value < -9.223_372_036_854_775_808e18 { i64::MIN } else { value as i64 }
}

pub fn to_int64(value: &Value) -> i64 {
    match value {
        Value::Bool(b) => i64::from(*b),
        Value::Int(_, number) => *number,
        #[expect(clippy::cast_possible_wrap, reason = "as Go converts")]
        Value::Uint(_, number) => *number as i64,
        Value::Float(number) => truncate(*number),
        Value::Str(text) => parse_int(trim_decimal(&text.text())).unwrap_or(0),
        Value::Object(object) => object.basic().map_or(0, |basic| to_int64(&basic)),
        _ => 0,
    }
}

/// The whole part of a plain decimal number.
fn trim_decimal(text: &str) -> &str {
    let Some((whole, rest)) = text.split_once('.') else { return text };
    let digits = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    if !rest.bytes().all(|b| b.is_ascii_digit()) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return text;
    }
    if digits.is_empty() { "0" } else { whole }
}

pub fn to_float64(value: &Value) -> f64 {
    match value {
        Value::Bool(b) => f64::from(u8::from(*b)),
        #[expect(clippy::cast_precision_loss, reason = "as Go converts")]
        Value::Int(_, number) => *number as f64,
        #[expect(clippy::cast_precision_loss, reason = "as Go converts")]
        Value::Uint(_, number) => *number as f64,
        Value::Float(number) => *number,
        Value::Str(text) => parse_float(&text.text()).unwrap_or(0.0),
        Value::Object(object) => object.basic().map_or(0.0, |basic| to_float64(&basic)),
        _ => 0.0,
    }
}

/// `strval`
pub fn strval(value: &Value) -> Result<Str, Failure> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        Value::Bytes(bytes) => Ok(bytes.clone().unwrap_or_else(|| Str::from(""))),
        other => fmt::verb(other, 'v'),
    }
}

/// Sprig's `empty`: nil, zero, or without elements; structs never are.
pub fn empty(value: &Value) -> bool {
    match value {
        Value::Object(object) if matches!(object.kind(), Kind::Struct | Kind::Pointer) => false,
        other => !other.is_true(),
    }
}

/// The elements of a slice, or what Go says of a nil or of another kind.
pub fn elements(value: &Value, action: &str) -> Result<Vec<Value>, Failure> {
    if value.is_nil() {
        return Err(crate::args::NIL_POINTER.into());
    }
    match value.elements() {
        Some(items) => Ok(items.into_owned()),
        None => Err(Failure::new(format!("{action} {}", value.kind_name()))),
    }
}

/// `strslice`: the texts of a list without its nils, or of one value.
pub fn strslice(value: &Value) -> Result<Vec<Str>, Failure> {
    match value.elements() {
        Some(items) => items.iter().filter(|item| !item.is_nil()).map(strval).collect(),
        None if value.is_nil() => Ok(Vec::new()),
        None => Ok(vec![strval(value)?]),
    }
}

/// `reflect.DeepEqual`: equal only when of one type throughout.
#[expect(clippy::float_cmp, reason = "as Go compares")]
pub fn deep_equal(first: &Value, second: &Value) -> Result<bool, Failure> {
    if gotemplate::stack::exhausted() {
        return Err("values are nested too deeply to compare".into());
    }
    Ok(match (first, second) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(s, a), Value::Int(t, b)) => s == t && a == b,
        (Value::Uint(s, a), Value::Uint(t, b)) => s == t && a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::Bytes(a), Value::Bytes(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            if a.elem() != b.elem() || a.is_nil() != b.is_nil() || a.items().len() != b.items().len() {
                return Ok(false);
            }
            for (x, y) in a.items().iter().zip(b.items()) {
                if !deep_equal(x, y)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(a), Value::Map(b)) => {
            if a.same(b) {
                return Ok(a.kind() == b.kind());
            }
            if a.kind() != b.kind() || a.is_nil() != b.is_nil() || a.len() != b.len() {
                return Ok(false);
            }
            let (a, b) = (a.borrow(), b.borrow());
            for (key, x) in a.iter() {
                match b.get(key) {
                    Some(y) if deep_equal(x, y)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Value::Object(a), Value::Object(b)) => {
            a.type_name() == b.type_name() && a.equals(b.as_ref()).unwrap_or_else(|| std::rc::Rc::ptr_eq(a, b))
        }
        _ => false,
    })
}
