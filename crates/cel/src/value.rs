//! Values at run time: scalars, views of borrowed JSON, and what expressions build.
//!
//! JSON is never copied: lists, maps and objects read their members when asked, by the declaration they were made with.
//! Cloning is cheap: whatever is large is borrowed or shared.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use quantity::Quantity;

use crate::authorizer::Authorization;
use crate::collection::{Key, List, Map, Object};
use crate::library::cidr::Cidr;
use crate::library::format::Format;
use crate::library::semver::Semver;
use crate::library::url::Url;
use crate::steps;
use crate::time::Moment;
use crate::types::Type;

/// Why an evaluation has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// What cel-go says.
    #[error("{0}")]
    Failed(String),
    /// The budget is spent: nothing absorbs this, the evaluation ends.
    #[error("operation cancelled: actual cost limit exceeded")]
    CostExceeded,
}

impl EvalError {
    pub(crate) fn new(message: impl Into<String>) -> EvalError {
        EvalError::Failed(message.into())
    }
}

pub(crate) type Evaluated<'a> = Result<Value<'a>, EvalError>;

/// A string, borrowed where it can be.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    Borrowed(&'a str),
    Shared(Arc<str>),
}

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        match self {
            Text::Borrowed(s) => s,
            Text::Shared(s) => s,
        }
    }
}

#[derive(Clone, Debug)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text<'a>),
    Bytes(Arc<[u8]>),
    /// Nanoseconds.
    Duration(i64),
    Timestamp(Moment),
    List(List<'a>),
    Map(Map<'a>),
    Object(Object<'a>),
    Type(Type),
    Optional(Option<Arc<Value<'a>>>),
    Quantity(Arc<Quantity>),
    Url(Arc<Url>),
    Ip(IpAddr),
    Cidr(Cidr),
    Semver(Arc<Semver>),
    Format(&'static Format),
    Authorization(Authorization<'a>),
}

impl<'a> Value<'a> {
    /// The Go type cel-go prints in some errors.
    pub(crate) fn go_type(&self) -> &'static str {
        match self {
            Value::Null => "types.Null",
            Value::Bool(_) => "types.Bool",
            Value::Int(_) => "types.Int",
            Value::Uint(_) => "types.Uint",
            Value::Double(_) => "types.Double",
            Value::String(_) => "types.String",
            Value::Bytes(_) => "types.Bytes",
            Value::Duration(_) => "types.Duration",
            Value::Timestamp(_) => "types.Timestamp",
            Value::List(_) => "*types.baseList",
            Value::Map(_) => "*types.baseMap",
            Value::Object(_) => "*common.unstructuredMap",
            Value::Type(_) => "*types.Type",
            Value::Optional(_) => "*types.Optional",
            Value::Quantity(_) => "cel.Quantity",
            Value::Url(_) => "cel.URL",
            Value::Ip(_) => "cel.IP",
            Value::Cidr(_) => "cel.CIDR",
            Value::Semver(_) => "cel.Semver",
            Value::Format(_) => "*cel.Format",
            Value::Authorization(_) => "library.authorizerVal",
        }
    }

    pub fn string(text: impl Into<Arc<str>>) -> Value<'a> {
        Value::String(Text::Shared(text.into()))
    }

    pub fn borrowed(text: &'a str) -> Value<'a> {
        Value::String(Text::Borrowed(text))
    }

    pub fn list(items: Vec<Value<'a>>) -> Value<'a> {
        Value::List(List::of(items))
    }

    pub fn map(entries: impl IntoIterator<Item = (Key<'a>, Value<'a>)>) -> Value<'a> {
        Value::Map(Map::of(entries.into_iter().collect()))
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(s) => Some(s),
            _ => None,
        }
    }

    pub(crate) fn some(self) -> Value<'a> {
        Value::Optional(Some(Arc::new(self)))
    }

    /// The type as far as a value knows it: members of collections are dyn.
    pub fn ty(&self) -> Type {
        match self {
            Value::Null => Type::Null,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Uint(_) => Type::Uint,
            Value::Double(_) => Type::Double,
            Value::String(_) => Type::String,
            Value::Bytes(_) => Type::Bytes,
            Value::Duration(_) => Type::Duration,
            Value::Timestamp(_) => Type::Timestamp,
            Value::List(_) => Type::list(Type::Dyn),
            Value::Map(_) => Type::map(Type::Dyn, Type::Dyn),
            Value::Object(object) => Type::Object(object.type_name()),
            Value::Type(_) => Type::Type(None),
            Value::Optional(_) => Type::optional(Type::Dyn),
            Value::Quantity(_) => Type::object("kubernetes.Quantity"),
            Value::Url(_) => Type::object("kubernetes.URL"),
            Value::Ip(_) => Type::opaque("net.IP"),
            Value::Cidr(_) => Type::opaque("net.CIDR"),
            Value::Semver(_) => Type::object("kubernetes.Semver"),
            Value::Format(_) => Type::object("kubernetes.NamedFormat"),
            Value::Authorization(step) => Type::object(step.type_name()),
        }
    }

    /// Whether a parameter of this type takes the value. Shallow, as cel-go's dispatch is.
    pub(crate) fn fits(&self, param: &Type) -> bool {
        match (param, self) {
            (Type::Dyn | Type::Param(_) | Type::Var(_) | Type::Error, _) => true,
            (Type::Null, Value::Null)
            | (Type::Bool, Value::Bool(_))
            | (Type::Int, Value::Int(_))
            | (Type::Uint, Value::Uint(_))
            | (Type::Double, Value::Double(_))
            | (Type::String, Value::String(_))
            | (Type::Bytes, Value::Bytes(_))
            | (Type::Duration, Value::Duration(_))
            | (Type::Timestamp, Value::Timestamp(_))
            | (Type::List(_), Value::List(_))
            | (Type::Map(_), Value::Map(_))
            | (Type::Type(_), Value::Type(_)) => true,
            (Type::Object(name), value) => value.ty().name() == &**name,
            (Type::Opaque(name, _), Value::Optional(_)) => &**name == "optional_type",
            (Type::Opaque(name, _), Value::Ip(_)) => &**name == "net.IP",
            (Type::Opaque(name, _), Value::Cidr(_)) => &**name == "net.CIDR",
            _ => false,
        }
    }

    /// `size()` where there is one.
    pub(crate) fn size(&self) -> Option<u64> {
        match self {
            Value::String(s) => Some(s.chars().count() as u64),
            Value::Bytes(b) => Some(b.len() as u64),
            Value::List(list) => Some(list.len() as u64),
            Value::Map(map) => Some(map.len() as u64),
            Value::Cidr(cidr) => Some(if cidr.address.is_ipv4() { 4 } else { 16 }),
            Value::Ip(ip) => Some(if ip.is_ipv4() { 4 } else { 16 }),
            _ => None,
        }
    }
}

impl PartialEq for Value<'_> {
    /// CEL's equality: numbers by value whatever their types, anything else of different types unequal.
    fn eq(&self, other: &Value<'_>) -> bool {
        use Value as V;
        if !steps::take() {
            return false;
        }
        match (self, other) {
            (V::Null, V::Null) => true,
            (V::Bool(a), V::Bool(b)) => a == b,
            (V::String(a), V::String(b)) => **a == **b,
            (V::Bytes(a), V::Bytes(b)) => a == b,
            (V::Duration(a), V::Duration(b)) => a == b,
            (V::Timestamp(a), V::Timestamp(b)) => a == b,
            (V::List(a), V::List(b)) => a.equals(b),
            (V::Map(a), V::Map(b)) => a.equals(b),
            (V::Object(a), V::Object(b)) => a.equals(b),
            (V::Type(a), V::Type(b)) => a.name() == b.name(),
            (V::Optional(a), V::Optional(b)) => a == b,
            (V::Quantity(a), V::Quantity(b)) => a == b,
            (V::Url(a), V::Url(b)) => a == b,
            (V::Ip(a), V::Ip(b)) => a.to_canonical() == b.to_canonical(),
            (V::Cidr(a), V::Cidr(b)) => a == b,
            (V::Semver(a), V::Semver(b)) => a.compare(b).is_eq(),
            (V::Format(a), V::Format(b)) => a.name == b.name,
            (V::Authorization(a), V::Authorization(b)) => a.equals(b),
            (a, b) => compare_numbers(a, b).is_some_and(std::cmp::Ordering::is_eq),
        }
    }
}

/// Numbers of any types compared by value; `None` for others and NaN.
pub(crate) fn compare_numbers(a: &Value<'_>, b: &Value<'_>) -> Option<std::cmp::Ordering> {
    use Value as V;
    match (a, b) {
        (V::Int(a), V::Int(b)) => Some(a.cmp(b)),
        (V::Uint(a), V::Uint(b)) => Some(a.cmp(b)),
        (V::Double(a), V::Double(b)) => a.partial_cmp(b),
        (V::Int(a), V::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (V::Uint(a), V::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (V::Int(a), V::Double(b)) => compare_double(i128::from(*a), *b),
        (V::Uint(a), V::Double(b)) => compare_double(i128::from(*a), *b),
        (V::Double(a), V::Int(b)) => compare_double(i128::from(*b), *a).map(std::cmp::Ordering::reverse),
        (V::Double(a), V::Uint(b)) => compare_double(i128::from(*b), *a).map(std::cmp::Ordering::reverse),
        _ => None,
    }
}

/// Upstream: cel-go common/types/compare.go. Beyond the integers' range the double decides; inside, both are compared as doubles.
fn compare_double(whole: i128, double: f64) -> Option<std::cmp::Ordering> {
    (whole as f64).partial_cmp(&double)
}

/// The order of `<`: numbers, strings, bytes, booleans, times.
pub(crate) fn compare(a: &Value<'_>, b: &Value<'_>) -> Option<std::cmp::Ordering> {
    use Value as V;
    match (a, b) {
        (V::String(a), V::String(b)) => Some((**a).cmp(&**b)),
        (V::Bytes(a), V::Bytes(b)) => Some(a.cmp(b)),
        (V::Bool(a), V::Bool(b)) => Some(a.cmp(b)),
        (V::Duration(a), V::Duration(b)) => Some(a.cmp(b)),
        (V::Timestamp(a), V::Timestamp(b)) => Some(a.cmp(b)),
        _ => compare_numbers(a, b),
    }
}
