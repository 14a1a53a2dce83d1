//! Path elements: made from list items, printed for people.

use schema::{List, Of};
use serde_json::{Map, Value};

pub(super) fn of_name(name: &str) -> String {
    ["f:", name].concat()
}

pub(super) fn of_scalar(item: &Value) -> Option<String> {
    (!item.is_object() && !item.is_array()).then(|| format!("v:{item}"))
}

/// The keys of a list item; a key that is missing takes its default.
pub(super) fn of_keys(item: &Value, list: &List) -> Option<String> {
    let map = item.as_object()?;
    // Keys are written in order whatever the type's own order is.
    let mut keys: Vec<&str> = list.keys.iter().map(AsRef::as_ref).collect();
    keys.sort_unstable();
    let mut out = Vec::with_capacity(32);
    out.extend_from_slice(b"k:{");
    for key in keys {
        let value = match map.get(key) {
            Some(value) if !value.is_null() => value,
            _ => default_of(list, key)?,
        };
        if out.len() > 3 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, key).ok()?;
        out.push(b':');
        serde_json::to_writer(&mut out, value).ok()?;
    }
    out.push(b'}');
    String::from_utf8(out).ok()
}

fn default_of<'a>(list: &'a List, key: &str) -> Option<&'a Value> {
    match &list.item {
        Of::Object(of) => of.get().field(key)?.default.as_ref(),
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
