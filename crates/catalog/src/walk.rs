//! Walking untyped objects without tripping: what is absent or of another type reads as empty.

use serde_json::{Map, Value};

/// The value at a dotted path, or null.
pub fn at<'a>(object: &'a Value, path: &str) -> &'a Value {
    path.split('.').try_fold(object, |value, key| value.get(key)).unwrap_or(&Value::Null)
}

pub fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    at(object, path).as_str().unwrap_or_default()
}

pub fn int(object: &Value, path: &str) -> i64 {
    at(object, path).as_i64().unwrap_or_default()
}

pub fn flag(object: &Value, path: &str) -> bool {
    at(object, path).as_bool().unwrap_or_default()
}

pub fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    at(object, path).as_array().map(Vec::as_slice).unwrap_or_default()
}

pub fn map<'a>(object: &'a Value, path: &str) -> Option<&'a Map<String, Value>> {
    at(object, path).as_object()
}

/// The object at a dotted path, made where absent; none where something else stands in the way.
pub fn object_mut<'a>(object: &'a mut Value, path: &str) -> Option<&'a mut Map<String, Value>> {
    let mut value = object;
    for key in path.split('.') {
        value = value.as_object_mut()?.entry(key).or_insert_with(|| Value::Object(Map::new()));
    }
    value.as_object_mut()
}

/// The object at a dotted path where there is one.
pub fn existing_mut<'a>(object: &'a mut Value, path: &str) -> Option<&'a mut Map<String, Value>> {
    path.split('.').try_fold(object, |value, key| value.get_mut(key))?.as_object_mut()
}

/// The list at a dotted path where there is one.
pub fn list_mut<'a>(object: &'a mut Value, path: &str) -> &'a mut [Value] {
    let found = path.split('.').try_fold(object, |value, key| value.get_mut(key));
    found.and_then(Value::as_array_mut).map(Vec::as_mut_slice).unwrap_or_default()
}

/// Fills a key that is absent or null.
pub fn fill(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    if map.get(key).is_none_or(Value::is_null) {
        map.insert(key.to_owned(), value.into());
    }
}

/// Fills a string that is absent or empty, as Go's defaulting of non-pointers does.
pub fn fill_text(map: &mut Map<String, Value>, key: &str, value: &str) {
    if map.get(key).is_none_or(|v| v.is_null() || v == "") {
        map.insert(key.to_owned(), value.into());
    }
}

/// Takes over a key from the old object, or removes it: for what a write may not change.
pub fn keep(object: &mut Value, old: Option<&Value>, key: &str) {
    let Some(map) = object.as_object_mut() else { return };
    match old.and_then(|old| old.get(key)) {
        Some(value) => drop(map.insert(key.to_owned(), value.clone())),
        None => drop(map.remove(key)),
    }
}

/// Takes a key that the old object did not have out of the object at a dotted path: for what is not served yet.
pub fn drop_new(object: &mut Value, old: Option<&Value>, path: &str, key: &str) {
    let had = old.is_some_and(|old| at(old, path).get(key).is_some_and(|value| !value.is_null()));
    if let Some(map) = existing_mut(object, path).filter(|_| !had) {
        map.remove(key);
    }
}

/// Status of a kind whose creator may set it (nodes): what a create says stays, an update takes the old one over.
pub fn keep_status_unless_new(object: &mut Value, old: Option<&Value>) {
    if old.is_some() {
        keep(object, old, "status");
    }
}

/// Status is its controllers' to write: a create starts from `fresh`, an update keeps the old one.
pub fn own_status(object: &mut Value, old: Option<&Value>, fresh: Value) {
    keep(object, old, "status");
    if old.is_none() {
        object["status"] = fresh;
    }
}

/// Fills a number that is absent or zero.
pub fn fill_number(map: &mut Map<String, Value>, key: &str, value: i64) {
    if map.get(key).and_then(Value::as_i64).unwrap_or_default() == 0 {
        map.insert(key.to_owned(), value.into());
    }
}

/// The object at `key` of an object, where there is one.
pub fn child<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(key).and_then(Value::as_object_mut)
}

/// The object at `key`, made where absent.
pub fn made<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    map.entry(key).or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

/// The objects of the list at `key`.
pub fn items<'a>(map: &'a mut Map<String, Value>, key: &str) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    map.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}
