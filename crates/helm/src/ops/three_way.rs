//! The patch that makes of a live object what a new revision asks for, where objects are written from here.

use serde_json::{Value, json};

/// The content type and the patch; what `old` had and `new` has not is removed, what others set stays.
// Upstream: apimachinery jsonmergepatch.CreateThreeWayJSONMergePatch.
pub fn three_way(old: &Value, new: &Value, live: &Value) -> (&'static str, Value) {
    let mut patch = changes(live, new);
    removals(old, new, &mut patch);
    ("application/merge-patch+json", patch)
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

fn changes(live: &Value, new: &Value) -> Value {
    let mut out = json!({});
    for (key, value) in new.as_object().into_iter().flatten() {
        match live.get(key) {
            Some(there) if there == value => {}
            Some(there) if there.is_object() && value.is_object() => {
                let below = changes(there, value);
                if !is_empty(&below) {
                    out[key] = below;
                }
            }
            _ => out[key] = value.clone(),
        }
    }
    out
}

fn removals(old: &Value, new: &Value, patch: &mut Value) {
    for (key, value) in old.as_object().into_iter().flatten() {
        match new.get(key) {
            None => patch[key] = Value::Null,
            Some(there) if there.is_object() && value.is_object() => {
                let mut below = patch.get(key).cloned().unwrap_or_else(|| json!({}));
                removals(value, there, &mut below);
                if !is_empty(&below) {
                    patch[key] = below;
                }
            }
            Some(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_set_stays() {
        let old = json!({ "spec": { "a": 1, "gone": 2, "list": [1] } });
        let new = json!({ "spec": { "a": 3, "list": [1, 2], "same": true } });
        let live = json!({ "spec": { "a": 1, "gone": 2, "list": [1], "same": true, "others": 5 }, "status": {} });
        assert_eq!(three_way(&old, &new, &live).1, json!({ "spec": { "a": 3, "list": [1, 2], "gone": null } }));
        assert_eq!(three_way(&new, &new, &json!({ "spec": { "a": 3, "list": [1, 2], "same": true, "x": 1 } })).1, json!({}));
    }
}
