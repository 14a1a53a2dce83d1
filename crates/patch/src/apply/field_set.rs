//! The fields that a value sets, as paths.

use serde_json::Value;

use super::path;
use super::set::Set;
use super::shape::Shape;

/// Every path that `value` sets.
pub(super) fn of_value(value: &Value, shape: Shape) -> Set {
    let mut out = Set::default();
    collect(value, shape, &mut out);
    out
}

/// Fills `out` with what lies below; true when the place itself is a path of the set.
fn collect(value: &Value, shape: Shape, out: &mut Set) -> bool {
    if let Some(map) = shape.object(Some(value)) {
        for (key, value) in map {
            let mut child = Set::default();
            let mut itself = collect(value, shape.under(key), &mut child);
            itself |= value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty) || !shape.names(key);
            out.place(path::of_name(key), itself, child);
        }
        return false;
    }
    if let Some(items) = shape.items(Some(value)) {
        for (element, item) in items {
            let mut child = Set::default();
            collect(item, shape.item(), &mut child);
            out.place(element, true, child);
        }
        return false;
    }
    matches!(shape, Shape::Leaf | Shape::Deduced)
}

/// Named fields that only lead further become paths of their own, so that removing all below them removes them too.
pub(super) fn with_named_parents(set: &Set, shape: Shape) -> Set {
    let mut out = Set::default();
    for (element, ends, child) in set.elements() {
        let (below, named) = match element.strip_prefix("f:") {
            Some(name) => (shape.under(name), shape.names(name)),
            None => (shape.item(), false),
        };
        out.place(element.clone(), ends || (named && !child.is_empty()), with_named_parents(child, below));
    }
    out
}
