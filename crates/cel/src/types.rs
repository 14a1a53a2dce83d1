//! Static types: what the checker knows of an expression, and their names in messages.
//!
//! Upstream: cel-go common/types/types.go, checker/format.go.

use std::fmt;
use std::sync::Arc;

/// A type. Objects are named here; what fields they have is in the environment's declarations.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    Dyn,
    /// Of an expression that did not check.
    Error,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Duration,
    Timestamp,
    /// A type as a value, with the type it stands for where that is known.
    Type(Option<Arc<Type>>),
    List(Arc<Type>),
    Map(Arc<(Type, Type)>),
    /// An object with declared fields or a value of a library (`kubernetes.Quantity`).
    Object(Arc<str>),
    /// `optional_type(T)`, `net.IP`, ...
    Opaque(Arc<str>, Arc<[Type]>),
    /// A parameter of a declared function.
    Param(u8),
    /// A type still to be inferred.
    Var(u32),
}

impl Type {
    pub fn list(items: Type) -> Type {
        Type::List(Arc::new(items))
    }

    pub fn map(keys: Type, values: Type) -> Type {
        Type::Map(Arc::new((keys, values)))
    }

    pub fn object(name: &str) -> Type {
        Type::Object(name.into())
    }

    pub fn opaque(name: &str) -> Type {
        Type::Opaque(name.into(), Arc::new([]))
    }

    pub fn optional(of: Type) -> Type {
        Type::Opaque("optional_type".into(), Arc::new([of]))
    }

    /// What an optional holds.
    pub fn unwrap_optional(&self) -> Option<&Type> {
        match self {
            Type::Opaque(name, params) if &**name == "optional_type" => params.first(),
            _ => None,
        }
    }

    pub(crate) fn of_type(of: Type) -> Type {
        Type::Type(Some(Arc::new(of)))
    }

    pub fn is_dyn(&self) -> bool {
        matches!(self, Type::Dyn)
    }

    /// The name without parameters: what a type value prints as.
    pub(crate) fn name(&self) -> &str {
        match self {
            Type::Dyn => "dyn",
            Type::Error => "!error!",
            Type::Null => "null_type",
            Type::Bool => "bool",
            Type::Int => "int",
            Type::Uint => "uint",
            Type::Double => "double",
            Type::String => "string",
            Type::Bytes => "bytes",
            Type::Duration => "google.protobuf.Duration",
            Type::Timestamp => "google.protobuf.Timestamp",
            Type::Type(_) => "type",
            Type::List(_) => "list",
            Type::Map(_) => "map",
            Type::Object(name) | Type::Opaque(name, _) => name,
            Type::Param(_) | Type::Var(_) => "dyn",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Null => f.write_str("null"),
            Type::Duration => f.write_str("duration"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Type(Some(of)) => write!(f, "type({of})"),
            Type::List(of) => write!(f, "list({of})"),
            Type::Map(of) => write!(f, "map({}, {})", of.0, of.1),
            Type::Opaque(name, params) if !params.is_empty() => write!(f, "{name}({})", comma(params)),
            Type::Param(i) => write!(f, "{}", char::from(b'A' + i)),
            Type::Var(i) => write!(f, "_var{i}"),
            other => f.write_str(other.name()),
        }
    }
}

impl Type {
    /// The type as Go prints it, not as messages of the checker do.
    // Upstream: cel-go `common/types/types.go` (`Type.String`); the checker's words are `FormatCELType`.
    pub fn declared(&self) -> String {
        match self {
            Type::Null => "null_type".into(),
            Type::Duration => "google.protobuf.Duration".into(),
            Type::Timestamp => "google.protobuf.Timestamp".into(),
            Type::List(of) => format!("list({})", of.declared()),
            Type::Map(of) => format!("map({}, {})", of.0.declared(), of.1.declared()),
            Type::Opaque(name, params) if !params.is_empty() => format!("{name}({})", params.iter().map(Type::declared).collect::<Vec<_>>().join(", ")),
            other => other.to_string(),
        }
    }
}

pub(crate) fn comma(types: &[Type]) -> String {
    types.iter().map(Type::to_string).collect::<Vec<_>>().join(", ")
}

/// The arguments of a call as messages show them: `string.(int)` for methods.
pub(crate) fn signature(types: &[Type], member: bool) -> String {
    match types.split_first() {
        Some((target, rest)) if member => format!("{target}.({})", comma(rest)),
        _ => format!("({})", comma(types)),
    }
}

/// Reads a type as the function tables write it: `map(string, list(A))`.
pub(crate) fn parse(text: &str) -> Type {
    let text = text.trim();
    let Some((name, rest)) = text.split_once('(') else {
        return named(text);
    };
    let params = split(rest.strip_suffix(')').unwrap_or(rest));
    let mut params = params.iter().map(|p| parse(p));
    let mut next = || params.next().unwrap_or(Type::Dyn);
    match name {
        "list" => Type::list(next()),
        "map" => Type::map(next(), next()),
        "type" => Type::of_type(next()),
        _ => Type::optional(next()),
    }
}

fn named(name: &str) -> Type {
    match name {
        "dyn" => Type::Dyn,
        "null" => Type::Null,
        "bool" => Type::Bool,
        "int" => Type::Int,
        "uint" => Type::Uint,
        "double" => Type::Double,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "duration" => Type::Duration,
        "timestamp" => Type::Timestamp,
        "type" => Type::Type(None),
        _ if name.len() == 1 => Type::Param(name.as_bytes()[0].wrapping_sub(b'A')),
        _ if name.starts_with("net.") => Type::opaque(name),
        _ => Type::object(name),
    }
}

/// Splits at the commas outside parentheses.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[from..i].trim());
                from = i + 1;
            }
            _ => {}
        }
    }
    if !text[from..].trim().is_empty() {
        parts.push(text[from..].trim());
    }
    parts
}
