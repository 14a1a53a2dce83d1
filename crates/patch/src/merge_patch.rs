//! RFC 7386 merge patches.

use serde_json::{Map, Value};

/// Applies `patch` to `target`: objects merge, null deletes, everything else replaces.
pub fn apply_merge_patch(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(map) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            map.remove(&name);
        } else {
            apply_merge_patch(map.entry(name).or_insert(Value::Null), value);
        }
    }
}
