//! What steps cost at run time, in cel-go's units.
//!
//! Upstream: cel-go interpreter/runtimecost.go, common/cost.go; k8s.io/apiserver/pkg/cel/library/cost.go (CallCost).

use crate::steps;
use crate::value::Value;

pub(crate) const IDENT: u64 = 1;
pub(crate) const CALL: u64 = 1;
pub(crate) const LIST: u64 = 10;
pub(crate) const MAP: u64 = 30;
pub(crate) const OBJECT: u64 = 40;
pub(crate) const STRING_FACTOR: f64 = 0.1;
pub(crate) const REGEX_FACTOR: f64 = 0.25;

fn size(value: &Value<'_>) -> u64 {
    match value {
        Value::Object(crate::collection::Object::Json(map, _)) => map.len() as u64,
        other => other.size().unwrap_or(1),
    }
}

fn scaled(size: u64, factor: f64) -> u64 {
    (size as f64 * factor).ceil() as u64
}

fn traversed(value: &Value<'_>) -> u64 {
    scaled(size(value), STRING_FACTOR)
}

/// A pattern over a text.
pub(crate) fn regex(text: u64, pattern: u64) -> u64 {
    ((1.0 + text as f64) * STRING_FACTOR).ceil() as u64 * scaled(pattern, REGEX_FACTOR)
}

/// A value as a tree, every leaf counted.
fn traversal(value: &Value<'_>) -> u64 {
    if !steps::take() {
        return 1;
    }
    match value {
        Value::String(s) => (s.len() as f64 * STRING_FACTOR) as u64,
        Value::Bytes(b) => (b.len() as f64 * STRING_FACTOR) as u64,
        Value::List(list) => list.iter().map(|v| v.map_or(1, |v| traversal(&v))).sum(),
        Value::Map(map) => map.iter().map(|(k, v)| traversal(&k.value()) + v.map_or(1, |v| traversal(&v))).sum(),
        _ => 1,
    }
}

/// How a function's calls are charged: decided once, by its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Charge {
    Fixed(u64),
    /// The first argument's size times a factor.
    First(f64),
    /// The first argument walked as a tree.
    Traversal,
    Selector,
    /// A pattern over a text.
    Regex,
    /// The result's size: charged after the call.
    Result,
    ContainsIp { parses: bool },
    ContainsCidr { parses: bool },
    Validate,
    InList,
    /// The smaller of two sizes.
    Smaller,
    /// The same, but one step for Kubernetes' types.
    Equality,
    /// Both sizes.
    Sum,
    /// The product of a text and a part of it.
    Contains,
    /// The product of two lists.
    Sets(u64),
    Slice,
    Range,
    Copy,
    Flatten,
    /// A list's members compared with each other: the argument at this place.
    Compared(usize),
}

pub(crate) fn kind(function: &str, id: &str) -> Charge {
    match id {
        "list_sets_contains_list" | "list_sets_intersects_list" => return Charge::Sets(1),
        "list_sets_equivalent_list" => return Charge::Sets(2),
        "list_slice" => return Charge::Slice,
        "lists_range" => return Charge::Range,
        "list_reverse" | "list_flatten" => return Charge::Copy,
        "list_flatten_int" => return Charge::Flatten,
        "list_distinct" => return Charge::Compared(0),
        "cidr_ip" => return Charge::Fixed(CALL),
        _ => {}
    }
    match function {
        "sort" => Charge::Compared(0),
        "@sortByAssociatedKeys" => Charge::Compared(1),
        "check" => Charge::Fixed(350_000),
        "fieldSelector" | "labelSelector" => Charge::Selector,
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => Charge::Traversal,
        "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" | "jsonpatch.escapeKey" | "cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver" => Charge::First(STRING_FACTOR),
        "replace" | "split" | "ip.isCanonical" => Charge::First(2.0 * STRING_FACTOR),
        "join" => Charge::Result,
        "find" | "findAll" => Charge::Regex,
        "containsIP" => Charge::ContainsIp { parses: id == "cidr_contains_ip_string" },
        "containsCIDR" => Charge::ContainsCidr { parses: id == "cidr_contains_cidr_string" },
        "validate" => Charge::Validate,
        _ => standard(id),
    }
}

/// The language's own functions.
fn standard(id: &str) -> Charge {
    match id {
        "starts_with_string" | "ends_with_string" | "string_to_bytes" | "bytes_to_string" | "strings_quote" | "string_format" => Charge::First(STRING_FACTOR),
        "in_list" => Charge::InList,
        "equals" => Charge::Equality,
        "less_string" | "greater_string" | "less_equals_string" | "greater_equals_string" | "less_bytes" | "greater_bytes" | "less_equals_bytes" | "greater_equals_bytes" | "not_equals" => Charge::Smaller,
        "add_string" | "add_bytes" => Charge::Sum,
        "matches_string" => Charge::Regex,
        "contains_string" => Charge::Contains,
        _ => Charge::Fixed(CALL),
    }
}

/// The cost of a call whose result does not matter to it.
pub(crate) fn before(charge: Charge, args: &[Value<'_>]) -> Option<u64> {
    let smaller = || scaled(size(&args[0]).min(size(&args[1])), STRING_FACTOR);
    let allocating = |factor: f64, size: u64| (size as f64 * factor) as u64 + CALL + LIST;
    Some(match charge {
        Charge::Fixed(cost) => cost,
        Charge::First(factor) => args.first().map_or(CALL, |a| scaled(size(a), factor)),
        Charge::Traversal => args.first().map_or(0, traversal),
        Charge::Selector => selector(args.get(1).map_or(1, size)),
        Charge::Regex => regex(size(&args[0]), size(&args[1])),
        Charge::Result => return None,
        Charge::ContainsIp { parses } => scaled(size(&args[0]) * 2, STRING_FACTOR) + if parses { traversed(&args[1]) } else { 0 },
        Charge::ContainsCidr { parses } => scaled(size(&args[0]) * 2, STRING_FACTOR) + traversed(&args[0]) + 1 + if parses { traversed(&args[1]) } else { 0 },
        Charge::Validate => match &args[0] {
            Value::Format(format) => regex(size(&args[1]), format.regex_size),
            _ => CALL,
        },
        Charge::InList => size(&args[1]),
        Charge::Equality if is_fixed(&args[0]) => CALL,
        Charge::Equality | Charge::Smaller => smaller(),
        Charge::Sum => scaled(size(&args[0]) + size(&args[1]), STRING_FACTOR),
        Charge::Contains => traversed(&args[0]) * traversed(&args[1]),
        Charge::Sets(factor) => CALL + args.iter().map(size).product::<u64>().saturating_mul(factor),
        Charge::Slice => match (args.get(1), args.get(2)) {
            (Some(Value::Int(from)), Some(Value::Int(to))) => allocating(1.0, (*to).min(size(&args[0]) as i64).saturating_sub(*from).max(0) as u64),
            _ => CALL,
        },
        Charge::Range => match args.first() {
            Some(Value::Int(n)) => allocating(1.0, (*n).max(0) as u64),
            _ => CALL,
        },
        Charge::Copy => allocating(1.0, args.first().map_or(1, size)),
        Charge::Flatten => match args.get(1) {
            Some(Value::Int(depth)) => allocating(*depth as f64, size(&args[0])),
            _ => CALL,
        },
        Charge::Compared(place) => args.get(place).map_or(CALL, |list| {
            let text = matches!(list, Value::List(list) if matches!(list.get(0), Some(Ok(Value::String(_) | Value::Bytes(_)))));
            allocating(if text { 2.0 + STRING_FACTOR } else { 2.0 }, size(list).saturating_mul(size(list)))
        }),
    })
}

/// Values of Kubernetes' types compare in one step.
fn is_fixed(value: &Value<'_>) -> bool {
    matches!(value, Value::Quantity(_) | Value::Ip(_) | Value::Cidr(_) | Value::Format(_) | Value::Url(_) | Value::Semver(_) | Value::Authorization(_))
}

/// The cost of a call that is known by its result.
pub(crate) fn after(result: Option<&Value<'_>>) -> u64 {
    scaled(result.map_or(1, size), 2.0 * STRING_FACTOR)
}

fn selector(length: u64) -> u64 {
    let requirements = scaled(scaled(length, 0.5), (LIST + OBJECT) as f64);
    LIST + scaled(length, STRING_FACTOR) + requirements
}
