//! Path elements: made from list items, printed for people.

use schema::{List, Of};
use serde_json::{Map, Value};

pub(super) fn of_name(name: &str) -> String {
    format!("f:{name}")
}

pub(super) fn of_scalar(item: &Value) -> Option<String> {
    (!item.is_object() && !item.is_array()).then(|| format!("v:{item}"))
}

/// The keys of a list item; a key that is missing takes its default.
pub(super) fn of_keys(item: &Value, list: &List) -> Option<String> {
    let map = item.as_object()?;
    let mut keys = Map::new();
    for key in &list.keys {
        let value = match map.get(key.as_ref()) {
            Some(value) if !value.is_null() => value.clone(),
            _ => default_of(list, key)?,
        };
        keys.insert(key.to_string(), value);
    }
    // Keys are written in order whatever the map's own order is.
    let mut ordered: Vec<(&String, &Value)> = keys.iter().collect();
    ordered.sort_by_key(|(k, _)| k.as_str());
    let body: Vec<String> = ordered.iter().map(|(k, v)| format!("{}:{v}", Value::from(k.as_str()))).collect();
    Some(format!("k:{{{}}}", body.join(",")))
}

fn default_of(list: &List, key: &str) -> Option<Value> {
    match &list.item {
        Of::Object(of) => of.get().field(key)?.default.clone(),
        _ => None,
    }
}

/// `.spec`, `[name="a",port=80]`, `[="x"]`, `[3]`.
pub(super) fn display(element: &str) -> String {
    match element.split_at_checked(2) {
        Some(("f:", name)) => format!(".{name}"),
        Some(("v:", value)) => format!("[={value}]"),
        Some(("k:", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let body: Vec<String> = keys.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("[{}]", body.join(","))
        }
        Some(("i:", index)) => format!("[{index}]"),
        _ => element.to_owned(),
    }
}

pub(super) fn display_path(path: &[String]) -> String {
    path.iter().map(|e| display(e)).collect()
}
