//! Strategic merge patches made of differences: what changed between two objects, and apply's three-way patch.
//!
//! Never needs compiled types: merge facts come through `Facts`, from OpenAPI documents or any other table.
// Upstream: apimachinery pkg/util/strategicpatch/patch.go (diffMaps, diffLists, CreateThreeWayMergePatch), jsonmergepatch.

use serde_json::{Map, Value, json};

use crate::strategic::DIRECTIVE;

const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";
const MAX_DEPTH: usize = 128;

/// What merging knows of a field.
pub struct FieldFacts<F> {
    pub strategies: Vec<String>,
    pub merge_key: String,
    /// The facts of the field's object, of its list's items, of its map's values.
    pub below: F,
}

/// Merge facts of the fields of one place in an object.
pub trait Facts: Sized + Copy {
    fn field(self, name: &str) -> FieldFacts<Self>;
}

impl<F> FieldFacts<F> {
    fn has(&self, strategy: &str) -> bool {
        self.strategies.iter().any(|s| s == strategy)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    #[error("map: {0} does not contain declared merge key: {1}")]
    NoMergeKey(String, String),
    #[error("lists of lists are not supported")]
    ListOfLists,
    #[error("the objects are nested too deeply")]
    Depth,
    #[error("at least one of apiVersion, kind and name was changed")]
    Identity,
}

/// Which differences a patch shall hold.
#[derive(Clone, Copy)]
struct Wanted {
    changes: bool,
    deletions: bool,
    retain_keys: bool,
}

type Object = Map<String, Value>;

/// The patch that takes `original` to `modified`.
pub fn diff_strategic<F: Facts>(original: &Value, modified: &Value, facts: F) -> Result<Value, DiffError> {
    let empty = Object::new();
    let (original, modified) = (original.as_object().unwrap_or(&empty), modified.as_object().unwrap_or(&empty));
    Ok(Value::Object(diff_maps(original, modified, facts, Wanted { changes: true, deletions: true, retain_keys: false }, 0)?))
}

/// Apply's patch: what `modified` adds to or changes in `current`, and what it no longer has of `original`.
pub fn three_way_strategic<F: Facts>(original: &Value, modified: &Value, current: &Value, facts: F) -> Result<Value, DiffError> {
    let empty = Object::new();
    let object = |value: &Value| value.as_object().cloned().unwrap_or_default();
    let (current, modified) = (object(current), modified.as_object().unwrap_or(&empty));
    let delta = diff_maps(&current, modified, facts, Wanted { changes: true, deletions: false, retain_keys: false }, 0)?;
    let deletions = diff_maps(&object(original), modified, facts, Wanted { changes: false, deletions: true, retain_keys: false }, 0)?;
    Ok(Value::Object(merge_patches(deletions, delta, facts, 0)?))
}

fn diff_maps<F: Facts>(original: &Object, modified: &Object, facts: F, wanted: Wanted, depth: usize) -> Result<Object, DiffError> {
    if depth > MAX_DEPTH {
        return Err(DiffError::Depth);
    }
    let mut patch = Object::new();
    let mut retained: Vec<Value> = Vec::new();
    for (key, new) in modified {
        if wanted.retain_keys && !new.is_null() {
            retained.push(Value::String(key.clone()));
        }
        let Some(old) = original.get(key) else {
            if wanted.changes {
                patch.insert(key.clone(), new.clone());
            }
            continue;
        };
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => diff_field_map(key, old, new, &mut patch, facts, wanted, depth)?,
            (Value::Array(old), Value::Array(new)) => diff_field_list(key, old, new, &mut patch, facts, wanted, depth)?,
            _ if wanted.changes && !same(old, new) => {
                patch.insert(key.clone(), new.clone());
            }
            _ => {}
        }
    }
    if wanted.deletions {
        for key in original.keys().filter(|k| !modified.contains_key(*k)) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    if !retained.is_empty() && (!patch.is_empty() || original.keys().any(|k| !modified.contains_key(k))) {
        retained.sort_by_key(plain);
        patch.insert(RETAIN_KEYS.into(), Value::Array(retained));
    }
    Ok(patch)
}

/// Numbers are equal when their values are: `1` and `1.0`.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

fn diff_field_map<F: Facts>(key: &str, old: &Object, new: &Object, patch: &mut Object, facts: F, wanted: Wanted, depth: usize) -> Result<(), DiffError> {
    let field = facts.field(key);
    if field.has("replace") {
        if wanted.changes && old != new {
            patch.insert(key.to_owned(), Value::Object(new.clone()));
        }
        return Ok(());
    }
    let below = diff_maps(old, new, field.below, Wanted { retain_keys: field.has("retainKeys"), ..wanted }, depth + 1)?;
    if !below.is_empty() {
        patch.insert(key.to_owned(), Value::Object(below));
    }
    Ok(())
}

fn diff_field_list<F: Facts>(key: &str, old: &[Value], new: &[Value], patch: &mut Object, facts: F, wanted: Wanted, depth: usize) -> Result<(), DiffError> {
    let field = facts.field(key);
    if !field.has("merge") {
        if wanted.changes && old != new {
            patch.insert(key.to_owned(), Value::Array(new.to_vec()));
        }
        return Ok(());
    }
    let wanted = Wanted { retain_keys: field.has("retainKeys"), ..wanted };
    if old.is_empty() {
        if !new.is_empty() && wanted.changes {
            patch.insert(key.to_owned(), Value::Array(new.to_vec()));
        }
        return Ok(());
    }
    match old.iter().chain(new).next() {
        Some(Value::Object(_)) => diff_map_lists(key, old, new, patch, &field, wanted, depth),
        Some(Value::Array(_)) => Err(DiffError::ListOfLists),
        _ => {
            diff_scalar_lists(key, old, new, patch, wanted);
            Ok(())
        }
    }
}

fn merge_key_of<'a>(item: &'a Value, key: &str) -> Result<&'a Value, DiffError> {
    item.get(key).ok_or_else(|| DiffError::NoMergeKey(item.to_string(), key.to_owned()))
}

fn diff_map_lists<F: Facts>(key: &str, old: &[Value], new: &[Value], patch: &mut Object, field: &FieldFacts<F>, wanted: Wanted, depth: usize) -> Result<(), DiffError> {
    let merge_key = field.merge_key.as_str();
    let (mut items, mut deleted) = (Vec::new(), Vec::new());
    let olds = old.iter().map(|o| Ok((merge_key_of(o, merge_key)?, o))).collect::<Result<Vec<_>, DiffError>>()?;
    let news = new.iter().map(|n| Ok((merge_key_of(n, merge_key)?, n))).collect::<Result<Vec<_>, DiffError>>()?;
    for (id, item) in &news {
        match olds.iter().find(|(o, _)| o == id) {
            Some((_, before)) => {
                let (Some(before), Some(after)) = (before.as_object(), item.as_object()) else { continue };
                let mut below = diff_maps(before, after, field.below, wanted, depth + 1)?;
                if !below.is_empty() {
                    below.insert(merge_key.to_owned(), (*id).clone());
                    items.push(Value::Object(below));
                }
            }
            None if wanted.changes => items.push((*item).clone()),
            None => {}
        }
    }
    if wanted.deletions {
        for (id, _) in olds.iter().filter(|(o, _)| !news.iter().any(|(n, _)| n == o)) {
            deleted.push(json!({DIRECTIVE: "delete", merge_key: id}));
        }
    }
    items.extend(deleted);
    let order_same = olds.iter().map(|(id, _)| id).eq(news.iter().map(|(id, _)| id));
    if (wanted.changes && (!items.is_empty() || !order_same)) || (wanted.deletions && !items.is_empty()) {
        patch.insert(format!("{SET_ORDER}{key}"), news.iter().map(|(id, _)| json!({merge_key: id})).collect());
    }
    if !items.is_empty() {
        patch.insert(key.to_owned(), Value::Array(items));
    }
    Ok(())
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn diff_scalar_lists(key: &str, old: &[Value], new: &[Value], patch: &mut Object, wanted: Wanted) {
    let added: Vec<Value> = new.iter().filter(|n| !old.contains(n)).cloned().collect();
    let mut removed: Vec<Value> = old.iter().filter(|o| !new.contains(o)).cloned().collect();
    removed.sort_by_key(plain);
    removed.dedup();
    if (wanted.deletions && !removed.is_empty()) || (wanted.changes && old != new) {
        patch.insert(format!("{SET_ORDER}{key}"), Value::Array(new.to_vec()));
    }
    if wanted.changes && !added.is_empty() {
        patch.insert(key.to_owned(), Value::Array(added));
    }
    if wanted.deletions && !removed.is_empty() {
        patch.insert(format!("{DELETE_FROM}{key}"), Value::Array(removed));
    }
}

/// One patch of two: nothing that either says is lost, the second wins.
fn merge_patches<F: Facts>(mut first: Object, second: Object, facts: F, depth: usize) -> Result<Object, DiffError> {
    if depth > MAX_DEPTH {
        return Err(DiffError::Depth);
    }
    for (key, value) in second {
        let merged = match (first.remove(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                let field = facts.field(&key);
                Value::Object(if field.has("replace") { new } else { merge_patches(old, new, field.below, depth + 1)? })
            }
            (Some(Value::Array(old)), Value::Array(new)) if !key.starts_with('$') && facts.field(&key).has("merge") => {
                let field = facts.field(&key);
                Value::Array(merge_lists(old, new, &field, depth)?)
            }
            (_, value) => value,
        };
        first.insert(key, merged);
    }
    order_lists(&mut first, facts);
    Ok(first)
}

fn merge_lists<F: Facts>(old: Vec<Value>, new: Vec<Value>, field: &FieldFacts<F>, depth: usize) -> Result<Vec<Value>, DiffError> {
    let mut out = old;
    for item in new {
        let id = item.get(&field.merge_key).cloned();
        let known = id.and_then(|id| out.iter().position(|o| o.get(&field.merge_key) == Some(&id) && o.get(DIRECTIVE).is_none()));
        match (known, item) {
            (Some(at), Value::Object(item)) => {
                let before = out[at].as_object_mut().map(std::mem::take).unwrap_or_default();
                out[at] = Value::Object(merge_patches(before, item, field.below, depth + 1)?);
            }
            (_, item) if !out.contains(&item) => out.push(item),
            _ => {}
        }
    }
    Ok(out)
}

/// A list's items stand in the order that its directive names, deletions last: the server checks it.
fn order_lists<F: Facts>(patch: &mut Object, facts: F) {
    let orders: Vec<(String, Vec<Value>)> = patch.iter().filter_map(|(k, v)| Some((k.strip_prefix(SET_ORDER)?.to_owned(), v.as_array()?.clone()))).collect();
    for (key, order) in orders {
        let merge_key = facts.field(&key).merge_key;
        let Some(items) = patch.get_mut(&key).and_then(Value::as_array_mut) else { continue };
        let place = |item: &Value| {
            if item.get(DIRECTIVE).is_some() {
                return usize::MAX;
            }
            order.iter().position(|o| if merge_key.is_empty() { o == item } else { o.get(&merge_key) == item.get(&merge_key) }).unwrap_or(usize::MAX - 1)
        };
        items.sort_by_key(place);
    }
}

/// Apply's patch for resources without merge facts, as JSON merge patch.
pub fn three_way_merge(original: &Value, modified: &Value, current: &Value) -> Result<Value, DiffError> {
    let additions = nulls(&merge_difference(current, modified, 0)?, false).unwrap_or_else(|| json!({}));
    let deletions = nulls(&merge_difference(original, modified, 0)?, true).unwrap_or_else(|| json!({}));
    let patch = combine(deletions, additions);
    let unchanged = |value: Option<&Value>, now: &Value| value.is_none_or(|v| v == now);
    let named = patch.get("metadata").and_then(|m| m.get("name"));
    if !unchanged(patch.get("apiVersion"), &current["apiVersion"]) || !unchanged(patch.get("kind"), &current["kind"]) || !unchanged(named, &current["metadata"]["name"]) {
        return Err(DiffError::Identity);
    }
    Ok(patch)
}

/// The JSON merge patch that takes `from` to `to`.
pub fn diff_merge(from: &Value, to: &Value) -> Result<Value, DiffError> {
    merge_difference(from, to, 0)
}

fn merge_difference(from: &Value, to: &Value, depth: usize) -> Result<Value, DiffError> {
    if depth > MAX_DEPTH {
        return Err(DiffError::Depth);
    }
    let empty = Object::new();
    let (from, to) = (from.as_object().unwrap_or(&empty), to.as_object().unwrap_or(&empty));
    let mut patch = Object::new();
    for (key, new) in to {
        match (from.get(key), new) {
            (Some(old @ Value::Object(_)), Value::Object(_)) => {
                let below = merge_difference(old, new, depth + 1)?;
                if below.as_object().is_some_and(|b| !b.is_empty()) {
                    patch.insert(key.clone(), below);
                }
            }
            (Some(old), new) if same(old, new) => {}
            (_, new) => {
                patch.insert(key.clone(), new.clone());
            }
        }
    }
    for key in from.keys().filter(|k| !to.contains_key(*k)) {
        patch.insert(key.clone(), Value::Null);
    }
    Ok(Value::Object(patch))
}

/// Keeps only the nulls of a patch, or all but them.
fn nulls(patch: &Value, keep: bool) -> Option<Value> {
    let map = patch.as_object()?;
    let mut out = Object::new();
    for (key, value) in map {
        match value {
            Value::Null if keep => {
                out.insert(key.clone(), Value::Null);
            }
            Value::Null => {}
            Value::Object(_) => {
                if let Some(below) = nulls(value, keep).filter(|b| b.as_object().is_some_and(|b| !b.is_empty()) || (!keep && value.as_object().is_some_and(Map::is_empty))) {
                    out.insert(key.clone(), below);
                }
            }
            other if !keep => {
                out.insert(key.clone(), other.clone());
            }
            _ => {}
        }
    }
    Some(Value::Object(out))
}

fn combine(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut first), Value::Object(second)) => {
            for (key, value) in second {
                let merged = match first.remove(&key) {
                    Some(old @ Value::Object(_)) if value.is_object() => combine(old, value),
                    _ => value,
                };
                first.insert(key, merged);
            }
            Value::Object(first)
        }
        (_, second) => second,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Facts of a small pod: containers merge by name, their ports by containerPort, finalizers as a set.
    #[derive(Clone, Copy)]
    struct Pod;

    impl Facts for Pod {
        fn field(self, name: &str) -> FieldFacts<Self> {
            let (strategies, merge_key) = match name {
                "containers" => (vec!["merge"], "name"),
                "ports" => (vec!["merge"], "containerPort"),
                "finalizers" => (vec!["merge"], ""),
                "strategy" => (vec!["retainKeys"], ""),
                _ => (Vec::new(), ""),
            };
            FieldFacts { strategies: strategies.into_iter().map(str::to_owned).collect(), merge_key: merge_key.into(), below: Pod }
        }
    }

    fn check(original: Value, modified: Value, current: Value, wanted: Value) {
        assert_eq!(three_way_strategic(&original, &modified, &current, Pod).unwrap(), wanted);
    }

    #[test]
    fn changes_additions_and_deletions() {
        check(json!({"a": 1, "b": 2}), json!({"a": 1}), json!({"a": 1, "b": 2, "server": true}), json!({"b": null}));
        check(json!({"a": 1}), json!({"a": 2, "n": {"x": 1}}), json!({"a": 1, "server": true}), json!({"a": 2, "n": {"x": 1}}));
        check(json!({"a": 1}), json!({"a": 1}), json!({"a": 1}), json!({}));
    }

    #[test]
    fn lists_merge_by_their_keys() {
        check(
            json!({"containers": [{"name": "a", "image": "1", "tty": true}, {"name": "b", "image": "1"}]}),
            json!({"containers": [{"name": "c", "image": "3"}, {"name": "a", "image": "2"}]}),
            json!({"containers": [{"name": "a", "image": "1", "tty": true, "policy": "x"}, {"name": "b", "image": "1"}, {"name": "sidecar"}]}),
            json!({
                "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
                "containers": [{"name": "c", "image": "3"}, {"name": "a", "image": "2", "tty": null}, {"$patch": "delete", "name": "b"}],
            }),
        );
        check(json!({"finalizers": ["a", "b"]}), json!({"finalizers": ["b", "c"]}), json!({"finalizers": ["a", "b"]}), json!({"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"], "$setElementOrder/finalizers": ["b", "c"]}));
        check(
            json!({"strategy": {"type": "A", "x": {}}}),
            json!({"strategy": {"type": "B"}}),
            json!({"strategy": {"type": "A", "x": {"y": 1}}}),
            json!({"strategy": {"$retainKeys": ["type"], "type": "B", "x": null}}),
        );
    }

    #[test]
    fn items_without_their_key_are_refused() {
        let bad = json!({"containers": [{"image": "1"}]});
        assert!(matches!(three_way_strategic(&bad, &json!({"containers": [{"name": "a"}]}), &bad, Pod), Err(DiffError::NoMergeKey(..))));
    }

    #[test]
    fn merge_patches_three_ways() {
        let patch = three_way_merge(&json!({"a": 1, "b": {"c": 1, "d": 2}}), &json!({"a": 2, "b": {"c": 1}}), &json!({"a": 1, "b": {"c": 1, "d": 2, "e": 3}})).unwrap();
        assert_eq!(patch, json!({"a": 2, "b": {"d": null}}));
    }
}
