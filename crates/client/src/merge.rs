//! The JSON merge patch that turns one value into another. Pure; lists are replaced whole, removed members become null.

use serde_json::{Map, Value};

/// `None` when both are equal.
pub fn merge_diff(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    let (Value::Object(old), Value::Object(new)) = (old, new) else { return Some(new.clone()) };
    let mut patch = Map::new();
    for (name, value) in new {
        match old.get(name) {
            Some(before) => {
                if let Some(inner) = merge_diff(before, value) {
                    patch.insert(name.clone(), inner);
                }
            }
            None => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use super::merge_diff;
    use serde_json::json;

    #[test]
    fn tells_only_the_difference() {
        let old = json!({"a": 1, "b": {"c": 1, "d": 2}, "l": [1, 2], "gone": true});
        let new = json!({"a": 1, "b": {"c": 1, "d": 3}, "l": [2], "new": {}});
        assert_eq!(merge_diff(&old, &new), Some(json!({"b": {"d": 3}, "l": [2], "new": {}, "gone": null})));
        assert_eq!(merge_diff(&new, &new), None);
    }
}
