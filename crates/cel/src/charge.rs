//! What steps cost at run time, in cel-go's units.
//!
//! Upstream: cel-go interpreter/runtimecost.go, common/cost.go; k8s.io/apiserver/pkg/cel/library/cost.go (CallCost).

use crate::functions::Overload;
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

/// The cost of a call whose result does not matter to it.
pub(crate) fn before(overload: &Overload, args: &[Value<'_>]) -> Option<u64> {
    let first = || args.first().map_or(1, traversed);
    let product = |factor: u64| args.iter().map(size).product::<u64>().saturating_mul(factor);
    let allocating = |factor: f64, size: u64| (size as f64 * factor) as u64 + CALL + LIST;
    let compared = |list: &Value<'_>| {
        let text = matches!(list, Value::List(list) if matches!(list.get(0), Some(Ok(Value::String(_) | Value::Bytes(_)))));
        allocating(if text { 2.0 + STRING_FACTOR } else { 2.0 }, size(list).saturating_mul(size(list)))
    };
    Some(match overload.id {
        "list_sets_contains_list" | "list_sets_intersects_list" => CALL + product(1),
        "list_sets_equivalent_list" => CALL + product(2),
        "list_slice" => match (args.get(1), args.get(2)) {
            (Some(Value::Int(from)), Some(Value::Int(to))) => allocating(1.0, (*to).min(size(&args[0]) as i64).saturating_sub(*from).max(0) as u64),
            _ => CALL,
        },
        "lists_range" => match args.first() {
            Some(Value::Int(n)) => allocating(1.0, (*n).max(0) as u64),
            _ => CALL,
        },
        "list_reverse" | "list_flatten" => allocating(1.0, args.first().map_or(1, size)),
        "list_flatten_int" => match args.get(1) {
            Some(Value::Int(depth)) => allocating(*depth as f64, size(&args[0])),
            _ => CALL,
        },
        "list_distinct" => compared(&args[0]),
        id if overload.function == "sort" && id.starts_with("list_") => compared(&args[0]),
        _ if overload.function == "@sortByAssociatedKeys" => args.get(1).map_or(CALL, compared),
        _ => match overload.function {
            "check" => 350_000,
            "fieldSelector" | "labelSelector" => selector(args.get(1).map_or(1, size)),
            "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => args.first().map_or(0, traversal),
            "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" | "jsonpatch.escapeKey" | "cidr" | "isIP" | "isCIDR" | "quantity" | "isQuantity" | "semver" | "isSemver" => first(),
            "replace" | "split" | "ip.isCanonical" => args.first().map_or(1, |a| scaled(size(a), 2.0 * STRING_FACTOR)),
            "join" => return None,
            "find" | "findAll" => regex(size(&args[0]), size(&args[1])),
            "ip" if overload.id == "cidr_ip" => CALL,
            "ip" => first(),
            "containsIP" => {
                let parse = if overload.id == "cidr_contains_ip_string" { traversed(&args[1]) } else { 0 };
                scaled(size(&args[0]) * 2, STRING_FACTOR) + parse
            }
            "containsCIDR" => {
                let parse = if overload.id == "cidr_contains_cidr_string" { traversed(&args[1]) } else { 0 };
                scaled(size(&args[0]) * 2, STRING_FACTOR) + traversed(&args[0]) + 1 + parse
            }
            "validate" => match &args[0] {
                Value::Format(format) => regex(size(&args[1]), format.regex_size),
                _ => CALL,
            },
            _ => standard(overload, args),
        },
    })
}

/// The language's own functions.
fn standard(overload: &Overload, args: &[Value<'_>]) -> u64 {
    let pair = || (size(&args[0]), size(&args[1]));
    match overload.id {
        "starts_with_string" | "ends_with_string" | "string_to_bytes" | "bytes_to_string" | "strings_quote" | "string_format" => traversed(&args[0]),
        "in_list" => size(&args[1]),
        "equals" if is_fixed(&args[0]) => CALL,
        "less_string" | "greater_string" | "less_equals_string" | "greater_equals_string" | "less_bytes" | "greater_bytes" | "less_equals_bytes" | "greater_equals_bytes" | "equals" | "not_equals" => {
            let (a, b) = pair();
            scaled(a.min(b), STRING_FACTOR)
        }
        "add_string" | "add_bytes" => {
            let (a, b) = pair();
            scaled(a + b, STRING_FACTOR)
        }
        "matches_string" => regex(size(&args[0]), size(&args[1])),
        "contains_string" => traversed(&args[0]) * traversed(&args[1]),
        _ => CALL,
    }
}

/// Values of Kubernetes' types compare in one step.
fn is_fixed(value: &Value<'_>) -> bool {
    matches!(value, Value::Quantity(_) | Value::Ip(_) | Value::Cidr(_) | Value::Format(_) | Value::Url(_) | Value::Semver(_) | Value::Authorization(_))
}

/// The cost of a call that is known by its result: `join`.
pub(crate) fn after(_: &Overload, _: &[Value<'_>], result: Option<&Value<'_>>) -> u64 {
    scaled(result.map_or(1, size), 2.0 * STRING_FACTOR)
}

fn selector(length: u64) -> u64 {
    let requirements = scaled(scaled(length, 0.5), (LIST + OBJECT) as f64);
    LIST + scaled(length, STRING_FACTOR) + requirements
}
