//! Arguments of functions: their types were checked against the signature, so that these readings cannot miss.

use gotemplate::{Failure, Map, Str, Value};

pub fn text(args: &[Value], at: usize) -> Str {
    args.get(at).and_then(Value::as_str).cloned().unwrap_or_else(|| Str::from(""))
}

pub fn int(args: &[Value], at: usize) -> i64 {
    match args.get(at) {
        Some(Value::Int(_, number)) => *number,
        _ => 0,
    }
}

pub fn float(args: &[Value], at: usize) -> f64 {
    match args.get(at) {
        Some(Value::Float(number)) => *number,
        _ => 0.0,
    }
}

pub fn boolean(args: &[Value], at: usize) -> bool {
    matches!(args.get(at), Some(Value::Bool(true)))
}

pub fn any(args: &[Value], at: usize) -> Value {
    args.get(at).cloned().unwrap_or(Value::Nil)
}

pub fn map(args: &[Value], at: usize) -> Map {
    args.get(at).and_then(Value::as_map).cloned().unwrap_or_else(Map::empty)
}

/// Beyond it a function would make more than any chart takes.
pub const MAX_BYTES: usize = 64 << 20;
pub const MAX_ITEMS: usize = 2_500_000;

pub fn bounded(size: usize, limit: usize, what: &str) -> Result<(), Failure> {
    if size > limit { Err(Failure::new(format!("{what} is too large: {size}, at most {limit}"))) } else { Ok(()) }
}

/// What Go says of a nil pointer, and of `reflect.TypeOf(nil).Kind()` with it.
pub const NIL_POINTER: &str = "runtime error: invalid memory address or nil pointer dereference";
