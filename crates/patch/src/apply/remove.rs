//! A value without the fields of a set.

use serde_json::{Map, Value};

use super::path;
use super::set::Set;
use super::shape::Shape;

/// What is left of `value`; `None` when an object or list lost everything.
pub(super) fn remove(value: &Value, gone: &Set, shape: Shape) -> Option<Value> {
    if let Some(map) = shape.object(Some(value)).filter(|m| !m.is_empty()) {
        let mut out = Map::new();
        for (key, value) in map {
            let element = path::of_name(key);
            if gone.ends_at(&element) {
                continue;
            }
            let kept = gone.below(&element).map_or_else(|| Some(value.clone()), |child| remove(value, child, shape.under(key)));
            out.extend(kept.map(|v| (key.clone(), v)));
        }
        return (!out.is_empty()).then_some(Value::Object(out));
    }
    if let Some(items) = shape.items(Some(value)).filter(|items| !items.is_empty()) {
        let kept = items.into_iter().filter(|(e, _)| !gone.ends_at(e)).filter_map(|(element, item)| {
            gone.below(&element).map_or_else(|| Some(item.clone()), |child| remove(item, child, shape.item()))
        });
        let out: Vec<Value> = kept.collect();
        return (!out.is_empty()).then_some(Value::Array(out));
    }
    Some(value.clone())
}
