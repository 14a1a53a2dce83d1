//! Strategic merge patch: maps merge by the schema's strategies, directives begin with `$`.
//!
//! Never leaves a directive in the result. Lists are `strategic_list`'s.
// Upstream: apimachinery pkg/util/strategicpatch; nulls delete and are not kept where nothing was.

use schema::{Field, Of, Type};
use serde_json::{Map, Value};

use crate::strategic_list::{merge_list, merge_ordered};

pub(crate) const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";
const MAX_DEPTH: usize = 128;

/// Every one of them is a bad request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategicError {
    #[error("unknown patch type: {0} in map: {1}")]
    UnknownDirective(String, String),
    #[error("map: {0} does not contain declared merge key: {1}")]
    NoMergeKey(String, String),
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    #[error("merging lists cannot yet be specified in the patch")]
    MergeList,
    #[error("expected a {0}, but received a {1}")]
    Kind(&'static str, &'static str),
    #[error("The order in patch list:\n{0}\n doesn't match $setElementOrder list:\n{1}\n")]
    Order(String, String),
    #[error("the patch is nested too deeply")]
    Depth,
}

/// What merging needs to know of the place it stands at.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Object(&'a Type),
    /// Values of a map, all of one shape.
    Map(&'a Of),
    Unknown,
}

impl<'a> Place<'a> {
    pub fn of(of: &'a Of) -> Self {
        match of {
            Of::Object(of) if of.get().special.is_none() => Self::Object(of.get()),
            Of::Map(map) => Self::Map(&map.value),
            _ => Self::Unknown,
        }
    }

    fn field(self, name: &str) -> Option<&'a Field> {
        match self {
            Self::Object(of) => of.field(name),
            _ => None,
        }
    }

    fn child(self, name: &str) -> Place<'a> {
        match self {
            Self::Object(of) => of.field(name).map_or(Place::Unknown, |f| Place::of(&f.of)),
            Self::Map(of) => Place::of(of),
            Self::Unknown => Place::Unknown,
        }
    }
}

/// Applies `patch` to `original`, an object of type `of`.
pub fn apply_strategic(original: &Value, patch: Value, of: &Type) -> Result<Value, StrategicError> {
    let original = original.as_object().cloned().unwrap_or_default();
    let Value::Object(patch) = patch else { return Err(StrategicError::Kind("map", kind(&patch))) };
    Ok(Value::Object(merge_map(original, patch, Place::Object(of), 0)?))
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nil",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "slice",
        Value::Object(_) => "map",
    }
}

pub(crate) fn merge_map(mut original: Map<String, Value>, mut patch: Map<String, Value>, place: Place, depth: usize) -> Result<Map<String, Value>, StrategicError> {
    if depth > MAX_DEPTH {
        return Err(StrategicError::Depth);
    }
    if let Some(directive) = patch.remove(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => Ok(patch),
            Some("delete") => Ok(Map::new()),
            _ => Err(StrategicError::UnknownDirective(directive.to_string(), Value::Object(patch).to_string())),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    set_element_orders(&mut original, &mut patch, place, depth)?;
    for (key, value) in patch {
        let (name, deleting) = match key.strip_prefix(DELETE_FROM) {
            Some(name) => (name.to_owned(), true),
            None => (key, false),
        };
        if value.is_null() {
            original.remove(&name);
            continue;
        }
        let merged = merge_value(original.remove(&name), value, place, &name, deleting, depth)?;
        if let Some(merged) = merged {
            original.insert(name, merged);
        }
    }
    Ok(original)
}

fn merge_value(original: Option<Value>, value: Value, place: Place, name: &str, deleting: bool, depth: usize) -> Result<Option<Value>, StrategicError> {
    let field = place.field(name);
    Ok(Some(match (original, value) {
        (Some(Value::Array(items)), Value::Array(gone)) if deleting => Value::Array(items.into_iter().filter(|i| !gone.contains(i)).collect()),
        (original, _) if deleting => return Ok(original),
        (Some(Value::Object(map)), Value::Object(patch)) => {
            if field.is_some_and(|f| f.has_strategy("replace")) {
                return Ok(Some(Value::Object(patch)));
            }
            Value::Object(merge_map(map, patch, place.child(name), depth + 1)?)
        }
        (Some(Value::Array(items)), Value::Array(patch)) => Value::Array(merge_list(items, patch, field, depth)?),
        // Nothing to merge with: the patch's directives still must not get into the object.
        (_, Value::Object(patch)) if has_directives(&patch) => Value::Object(merge_map(Map::new(), patch, place.child(name), depth + 1)?),
        (_, Value::Array(patch)) if field.is_some_and(|f| f.has_strategy("merge")) => Value::Array(merge_list(Vec::new(), patch, field, depth)?),
        (_, value) => without_nulls(value),
    }))
}

fn has_directives(map: &Map<String, Value>) -> bool {
    map.iter().any(|(k, v)| k.starts_with('$') || v.as_object().is_some_and(has_directives) || v.as_array().is_some_and(|items| items.iter().filter_map(Value::as_object).any(has_directives)))
}

/// Nulls in a patch say "delete"; where nothing was, they leave nothing.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect()),
        other => other,
    }
}

fn retain_keys(original: &mut Map<String, Value>, patch: &mut Map<String, Value>) -> Result<(), StrategicError> {
    let Some(retain) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let keys: Vec<&str> = retain.as_array().ok_or(StrategicError::RetainKeys)?.iter().filter_map(Value::as_str).collect();
    let uncovered = patch.iter().any(|(k, v)| !v.is_null() && !k.starts_with(DELETE_FROM) && !k.starts_with(SET_ORDER) && !keys.contains(&k.as_str()));
    if uncovered {
        return Err(StrategicError::RetainKeys);
    }
    original.retain(|k, _| keys.contains(&k.as_str()));
    Ok(())
}

/// A list with an order directive is merged and ordered at once, and taken out of the patch.
fn set_element_orders(original: &mut Map<String, Value>, patch: &mut Map<String, Value>, place: Place, depth: usize) -> Result<(), StrategicError> {
    let names: Vec<String> = patch.keys().filter_map(|k| k.strip_prefix(SET_ORDER)).map(str::to_owned).collect();
    for name in names {
        let order = match patch.remove(&format!("{SET_ORDER}{name}")) {
            Some(Value::Array(order)) => order,
            Some(other) => return Err(StrategicError::Kind("slice", kind(&other))),
            None => continue,
        };
        // A deletion from the same list comes first, so that the order speaks of what stays.
        if let Some(Value::Array(gone)) = patch.remove(&format!("{DELETE_FROM}{name}"))
            && let Some(Value::Array(items)) = original.get_mut(&name)
        {
            items.retain(|item| !gone.contains(item));
        }
        let list = |value: Option<Value>| match value {
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(Value::Null) | None => Ok(None),
            Some(other) => Err(StrategicError::Kind("slice", kind(&other))),
        };
        if patch.get(&name).is_some_and(Value::is_null) {
            continue;
        }
        let (before, change) = (list(original.remove(&name))?, list(patch.remove(&name))?);
        if before.is_none() && change.is_none() {
            continue;
        }
        let field = place.field(&name);
        original.insert(name, Value::Array(merge_ordered(before.unwrap_or_default(), change.unwrap_or_default(), order, field, depth)?));
    }
    Ok(())
}
