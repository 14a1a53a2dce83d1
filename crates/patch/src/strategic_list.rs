//! Lists under strategic merge patch: merged by key or as sets, then ordered as the patch says.

use std::cmp::Ordering;

use schema::{Field, Of};
use serde_json::{Map, Value};

use crate::strategic::{DIRECTIVE, Place, StrategicError, merge_map};

/// Merges `patch` into `original` by the field's strategy; without one the patch replaces the list.
pub(crate) fn merge_list(original: Vec<Value>, patch: Vec<Value>, field: Option<&Field>, depth: usize) -> Result<Vec<Value>, StrategicError> {
    let Some(field) = field.filter(|f| f.has_strategy("merge")) else { return Ok(patch) };
    match field.merge_key.as_deref() {
        Some(key) => merge_maps(original, patch, key, item_place(field), depth),
        None => Ok(merge_scalars(original, patch)),
    }
}

fn item_place(field: &Field) -> Place<'_> {
    match &field.of {
        Of::List(list) => Place::of(&list.item),
        _ => Place::Unknown,
    }
}

fn merge_scalars(original: Vec<Value>, patch: Vec<Value>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::with_capacity(original.len() + patch.len());
    for item in original.into_iter().chain(patch) {
        if !out.contains(&item) {
            out.push(item);
        }
    }
    out
}

fn merge_maps(mut original: Vec<Value>, patch: Vec<Value>, key: &str, place: Place, depth: usize) -> Result<Vec<Value>, StrategicError> {
    let (mut items, mut replace) = (Vec::with_capacity(patch.len()), false);
    for item in patch {
        let Value::Object(map) = item else { return Err(StrategicError::Kind("map", crate::strategic::kind(&item))) };
        match map.get(DIRECTIVE).map(|d| d.as_str().unwrap_or_default()) {
            None => items.push(map),
            Some("delete") => {
                let wanted = map.get(key).ok_or_else(|| no_key(&map, key))?;
                original.retain(|item| item.get(key) != Some(wanted));
            }
            Some("replace") => replace = true,
            Some("merge") => return Err(StrategicError::MergeList),
            Some(other) => return Err(StrategicError::UnknownDirective(other.to_owned(), Value::Object(map).to_string())),
        }
    }
    if replace {
        return Ok(items.into_iter().map(Value::Object).collect());
    }
    for item in items {
        let wanted = item.get(key).ok_or_else(|| no_key(&item, key))?;
        let at = original.iter().position(|o| o.get(key) == Some(wanted));
        let before = match at.map(|at| original[at].take()) {
            Some(Value::Object(map)) => map,
            _ => Map::new(),
        };
        let merged = Value::Object(merge_map(before, item, place, depth + 1)?);
        match at {
            Some(at) => original[at] = merged,
            None => original.push(merged),
        }
    }
    Ok(original)
}

fn no_key(map: &Map<String, Value>, key: &str) -> StrategicError {
    StrategicError::NoMergeKey(Value::Object(map.clone()).to_string(), key.to_owned())
}

/// Merges, then orders: what the order names stands as it says, what only the server has keeps its place before its successors.
pub(crate) fn merge_ordered(original: Vec<Value>, patch: Vec<Value>, order: Vec<Value>, field: Option<&Field>, depth: usize) -> Result<Vec<Value>, StrategicError> {
    let key = field.and_then(|f| f.merge_key.as_deref());
    check_order(&patch, &order, key)?;
    let server_order = original.clone();
    let merged = match (original.is_empty(), patch.is_empty()) {
        (false, true) => original,
        _ => merge_list(original, patch, field, depth)?,
    };
    if let Some(key) = key
        && let Some(Value::Object(map)) = merged.iter().chain(&order).find(|item| item.get(key).is_none())
    {
        return Err(no_key(map, key));
    }
    let (mut named, rest): (Vec<Value>, Vec<Value>) = merged.into_iter().partition(|item| position(&order, item, key).is_some());
    named.sort_by(|a, b| match (position(&order, a, key), position(&order, b, key)) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => Ordering::Equal,
    });
    let (mut named, mut rest) = (named.into_iter().peekable(), rest.into_iter().peekable());
    let mut out = Vec::new();
    loop {
        let server_first = match (rest.peek(), named.peek()) {
            (None, None) => return Ok(out),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(left), Some(right)) => matches!((position(&server_order, left, key), position(&server_order, right, key)), (Some(l), Some(r)) if l < r),
        };
        out.extend(if server_first { rest.next() } else { named.next() });
    }
}

fn identity<'a>(item: &'a Value, key: Option<&str>) -> Option<&'a Value> {
    key.map_or(Some(item), |key| item.get(key))
}

fn position(list: &[Value], item: &Value, key: Option<&str>) -> Option<usize> {
    let wanted = identity(item, key)?;
    list.iter().position(|other| identity(other, key) == Some(wanted))
}

/// The patch's own items must follow the order it asks for.
fn check_order(patch: &[Value], order: &[Value], key: Option<&str>) -> Result<(), StrategicError> {
    if order.is_empty() {
        return Ok(());
    }
    let mut places = order.iter();
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        let wanted = identity(item, key);
        if !places.any(|o| identity(o, key) == wanted) {
            return Err(StrategicError::Order(Value::Array(patch.to_vec()).to_string(), Value::Array(order.to_vec()).to_string()));
        }
    }
    Ok(())
}
