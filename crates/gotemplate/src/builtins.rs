//! The functions of text/template itself.

use crate::exec::Scope;
use crate::fmt;
use crate::function::{Failure, Functions, Outcome, Reflected, Signature, Type};
use crate::text::{Str, decode_rune, is_print};
use crate::value::{Elem, Kind, List, MapType, UintType, Value};

use Type::{Any, Reflect};

const ANY: Signature = Signature::variadic(&[Any]);
const ONE: Signature = Signature::fixed(&[Reflect]);
const TWO: Signature = Signature::fixed(&[Reflect, Reflect]);
const ONE_AND_MORE: Signature = Signature::variadic(&[Reflect, Reflect]);

pub(crate) fn register(functions: &mut Functions) {
    let logic = |_: &mut Scope<'_>, _: &[Reflected]| -> Result<Reflected, Failure> { Err(Failure::new("unreachable")) };
    functions.add_builtin("and", ONE_AND_MORE, logic);
    functions.add_builtin("or", ONE_AND_MORE, logic);
    functions.add_builtin("call", ONE_AND_MORE, logic);
    functions.add_builtin("not", ONE, |_, args| boolean(!args[0].value.is_true()));
    functions.add_builtin("index", ONE_AND_MORE, |_, args| index(&args[0], &args[1..]));
    functions.add_builtin("slice", ONE_AND_MORE, |_, args| slice(&args[0].value, &args[1..]));
    functions.add_builtin("len", ONE, |_, args| length(&args[0]));
    functions.add_builtin("eq", ONE_AND_MORE, |_, args| boolean(eq(&args[0].value, &args[1..])?));
    functions.add_builtin("ne", TWO, |_, args| boolean(!eq(&args[0].value, &args[1..])?));
    functions.add_builtin("lt", TWO, |_, args| boolean(lt(&args[0].value, &args[1].value)?));
    functions.add_builtin("le", TWO, |_, args| boolean(le(args)?));
    functions.add_builtin("gt", TWO, |_, args| boolean(!le(args)?));
    functions.add_builtin("ge", TWO, |_, args| boolean(!lt(&args[0].value, &args[1].value)?));
    functions.add("print", ANY, |args| fmt::sprint(args).map(Value::Str));
    functions.add("println", ANY, |args| fmt::sprintln(args).map(Value::Str));
    functions.add("printf", Signature::variadic(&[Type::String, Any]), printf);
    functions.add("html", ANY, |args| Ok(Value::str(html_escape(&joined(args)?))));
    functions.add("js", ANY, |args| Ok(Value::str(js_escape(&joined(args)?))));
    functions.add("urlquery", ANY, |args| Ok(Value::str(query_escape(&joined(args)?))));
}

fn boolean(value: bool) -> Result<Reflected, Failure> {
    Ok(Reflected::bare(Value::Bool(value)))
}

fn printf(args: &[Value]) -> Outcome {
    let format = args[0].as_str().cloned().unwrap_or_else(|| Str::from(""));
    fmt::sprintf(&format, &args[1..]).map(Value::Str)
}

/// `evalArgs`: as `Sprint`, nil being no value.
fn joined(args: &[Value]) -> Result<Str, Failure> {
    let shown: Vec<Value> = args.iter().map(|arg| if arg.is_nil() { Value::str("<no value>") } else { arg.clone() }).collect();
    fmt::sprint(&shown)
}

/// What `call` does: no value of a template is a function.
pub(crate) fn call(name: &str, args: &[Reflected]) -> Result<Reflected, Failure> {
    match &args[0].value {
        Value::Nil => Err("call of nil".into()),
        value => Err(format!("non-function {name} of type {}", value.type_name()).into()),
    }
}

fn index_argument(index: &Value, limit: usize) -> Result<usize, Failure> {
    let index = match index {
        Value::Int(_, number) => *number,
        #[expect(clippy::cast_possible_wrap, reason = "as Go converts")]
        Value::Uint(_, number) => *number as i64,
        Value::Nil => return Err("cannot index slice/array with nil".into()),
        other => return Err(format!("cannot index slice/array with type {}", other.type_name()).into()),
    };
    match usize::try_from(index) {
        Ok(at) if at <= limit => Ok(at),
        _ => Err(format!("index out of range: {index}").into()),
    }
}

fn index(item: &Reflected, indexes: &[Reflected]) -> Result<Reflected, Failure> {
    if item.value.is_nil() {
        return Err("index of untyped nil".into());
    }
    let mut item = Reflected::bare(item.value.clone());
    for index in indexes {
        if item.value.is_nil() {
            return Err("index of nil pointer".into());
        }
        item = element(&item.value, &index.value)?;
    }
    Ok(item)
}

fn element(item: &Value, index: &Value) -> Result<Reflected, Failure> {
    if let Value::Str(text) = item {
        let at = index_argument(index, text.len())?;
        let byte = text.get(at).ok_or("reflect: string index out of range")?;
        return Ok(Reflected::bare(Value::Uint(UintType::Uint8, u64::from(*byte))));
    }
    if let Some(items) = item.elements() {
        let at = index_argument(index, items.len())?;
        let value = items.get(at).ok_or("reflect: slice index out of range")?.clone();
        let boxed = item.as_list().is_some_and(|list| list.elem() == Elem::Any);
        return Ok(Reflected { value, boxed });
    }
    match item {
        Value::Map(map) => {
            let boxed = map.kind() != MapType::Strings;
            let zero = if boxed { Value::Nil } else { Value::str("") };
            let value = map.get(&key(index)?).unwrap_or(zero);
            Ok(Reflected { value, boxed })
        }
        Value::Object(object) if object.kind() == Kind::Map => {
            Ok(Reflected::bare(object.entry(&key(index)?).unwrap_or_else(|| object.missing_entry())))
        }
        Value::Object(object) if object.kind() == Kind::Pointer => match object.target() {
            Some(target) => element(&target, index),
            None => Err(format!("can't index item of type {}", item.type_name()).into()),
        },
        _ => Err(format!("can't index item of type {}", item.type_name()).into()),
    }
}

fn key(index: &Value) -> Result<Str, Failure> {
    match index {
        Value::Str(text) => Ok(text.clone()),
        Value::Nil => Err("value is nil; should be of type string".into()),
        other => Err(format!("value has type {}; should be string", other.type_name()).into()),
    }
}

fn slice(item: &Value, indexes: &[Reflected]) -> Result<Reflected, Failure> {
    if item.is_nil() {
        return Err("slice of untyped nil".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()).into());
    }
    let elements = item.elements();
    let limit = match (item, &elements) {
        (Value::Str(_), _) if indexes.len() == 3 => return Err("cannot 3-index slice a string".into()),
        (Value::Str(text), _) => text.len(),
        (_, Some(items)) => items.len(),
        _ => return Err(format!("can't slice item of type {}", item.type_name()).into()),
    };
    let mut bounds = [0, limit, limit];
    for (at, index) in indexes.iter().enumerate() {
        bounds[at] = index_argument(&index.value, limit)?;
    }
    let [from, to, cap] = bounds;
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}").into());
    }
    if indexes.len() == 3 && to > cap {
        return Err(format!("invalid slice index: {to} > {cap}").into());
    }
    Ok(Reflected::bare(match item {
        Value::Str(text) => Value::str(&text[from..to]),
        Value::Bytes(bytes) => Value::Bytes(bytes.as_ref().map(|b| Str::from(&b[from..to]))),
        other => {
            let elem = other.as_list().map_or(Elem::String, List::elem);
            Value::List(List::new(elem, elements.map(|items| items[from..to].to_vec()).unwrap_or_default()))
        }
    }))
}

fn length(item: &Reflected) -> Result<Reflected, Failure> {
    if item.is_nil_interface() {
        return Err("len of nil pointer".into());
    }
    let count = match &item.value {
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".into()),
        Value::Str(text) => text.len(),
        Value::Map(map) => map.len(),
        Value::Object(object) if matches!(object.kind(), Kind::Map | Kind::Slice) => object.items().len(),
        Value::Object(object) => match object.target() {
            Some(target) => return length(&Reflected::bare(target)),
            None => return Err(format!("len of type {}", item.value.type_name()).into()),
        },
        other => match other.elements() {
            Some(items) => items.len(),
            None => return Err(format!("len of type {}", other.type_name()).into()),
        },
    };
    Ok(Reflected::bare(Value::int(i64::try_from(count).unwrap_or(i64::MAX))))
}

/// The value of a named basic type as that of its underlying type.
fn basic(value: &Value) -> Value {
    match value {
        Value::Object(object) => object.basic().unwrap_or_else(|| value.clone()),
        _ => value.clone(),
    }
}

fn is_basic(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Int(..) | Value::Uint(..) | Value::Float(_) | Value::Complex(..) | Value::Str(_))
}

fn eq(first: &Value, others: &[Reflected]) -> Result<bool, Failure> {
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if equal(first, &other.value)? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[expect(clippy::float_cmp, reason = "as Go compares")]
fn equal(first: &Value, second: &Value) -> Result<bool, Failure> {
    let (a, b) = (basic(first), basic(second));
    Ok(match (&a, &b) {
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(_, a), Value::Int(_, b)) => a == b,
        (Value::Uint(_, a), Value::Uint(_, b)) => a == b,
        (Value::Int(_, a), Value::Uint(_, b)) => u64::try_from(*a).is_ok_and(|a| a == *b),
        (Value::Uint(_, a), Value::Int(_, b)) => u64::try_from(*b).is_ok_and(|b| *a == b),
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Complex(a, b), Value::Complex(c, d)) => a == c && b == d,
        (Value::Str(a), Value::Str(b)) => a == b,
        _ if is_basic(&a) || is_basic(&b) => {
            if a.is_nil() || b.is_nil() {
                return Ok(false);
            }
            return Err(format!("incompatible types for comparison: {} and {}", first.type_name(), second.type_name()).into());
        }
        _ => return equal_composite(first, second),
    })
}

fn equal_composite(first: &Value, second: &Value) -> Result<bool, Failure> {
    if first.kind() != second.kind() && !first.is_nil() && !second.is_nil() {
        let (a, b) = (fmt::verb(first, 's')?, fmt::verb(second, 'v')?);
        return Err(format!("non-comparable types {}: {}, {}: {}", a.text(), first.type_name(), second.type_name(), b.text()).into());
    }
    if first.is_any_nil() || second.is_any_nil() {
        return Ok(first.is_any_nil() == second.is_any_nil());
    }
    match (first, second) {
        (Value::Object(a), Value::Object(b)) => {
            if a.type_name() != b.type_name() {
                return Ok(false);
            }
            if a.kind() == Kind::Pointer {
                return Ok(std::rc::Rc::ptr_eq(a, b));
            }
            if let Some(same) = a.equals(b.as_ref()) {
                return Ok(same);
            }
        }
        (_, Value::Object(b)) if b.kind() != Kind::Map && b.kind() != Kind::Slice => return Ok(false),
        _ => {}
    }
    let shown = fmt::verb(second, 's')?;
    Err(format!("non-comparable type {}: {}", shown.text(), second.type_name()).into())
}

fn lt(first: &Value, second: &Value) -> Result<bool, Failure> {
    let (a, b) = (basic(first), basic(second));
    if !is_basic(&a) || !is_basic(&b) {
        return Err("invalid type for comparison".into());
    }
    Ok(match (&a, &b) {
        (Value::Int(_, a), Value::Int(_, b)) => a < b,
        (Value::Uint(_, a), Value::Uint(_, b)) => a < b,
        (Value::Int(_, a), Value::Uint(_, b)) => u64::try_from(*a).map_or(true, |a| a < *b),
        (Value::Uint(_, a), Value::Int(_, b)) => u64::try_from(*b).is_ok_and(|b| *a < b),
        (Value::Float(a), Value::Float(b)) => a < b,
        (Value::Str(a), Value::Str(b)) => a < b,
        (Value::Bool(_), Value::Bool(_)) | (Value::Complex(..), Value::Complex(..)) => return Err("invalid type for comparison".into()),
        _ => return Err(format!("incompatible types for comparison: {} and {}", first.type_name(), second.type_name()).into()),
    })
}

fn le(args: &[Reflected]) -> Result<bool, Failure> {
    Ok(lt(&args[0].value, &args[1].value)? || eq(&args[0].value, &args[1..])?)
}

/// `template.HTMLEscapeString`
pub fn html_escape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            other => out.push(other),
        }
    }
    out
}

fn js_escape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let (rune, width) = decode_rune(&text[at..]);
        match rune {
            '\\' => out.extend_from_slice(b"\\\\"),
            '\'' => out.extend_from_slice(b"\\'"),
            '"' => out.extend_from_slice(b"\\\""),
            '<' => out.extend_from_slice(b"\\u003C"),
            '>' => out.extend_from_slice(b"\\u003E"),
            '&' => out.extend_from_slice(b"\\u0026"),
            '=' => out.extend_from_slice(b"\\u003D"),
            r if r < ' ' => out.extend_from_slice(format!("\\u{:04X}", u32::from(r)).as_bytes()),
            r if r.is_ascii() || is_print(r) => out.extend_from_slice(&text[at..at + width]),
            r => out.extend_from_slice(format!("\\u{:04X}", u32::from(r)).as_bytes()),
        }
        at += width;
    }
    out
}

/// `url.QueryEscape`
pub fn query_escape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for &byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            other => out.extend_from_slice(format!("%{other:02X}").as_bytes()),
        }
    }
    out
}
