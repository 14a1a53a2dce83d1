//! The applied configuration laid over the live object. The right side wins; nothing is removed here.

use serde_json::{Map, Value};

use super::shape::Shape;

pub(super) fn merge(live: Option<&Value>, applied: Option<&Value>, shape: Shape) -> Option<Value> {
    let (left, right) = (shape.object(live), shape.object(applied));
    if left.is_some_and(|m| !m.is_empty()) || right.is_some_and(|m| !m.is_empty()) {
        if applied.is_some() && right.is_none() && applied != Some(&Value::Null) {
            return applied.cloned();
        }
        let mut out = Map::new();
        for (key, value) in left.into_iter().flatten() {
            out.extend(merge(Some(value), right.and_then(|m| m.get(key)), shape.under(key)).map(|v| (key.clone(), v)));
        }
        for (key, value) in right.into_iter().flatten().filter(|(k, _)| !left.is_some_and(|m| m.contains_key(*k))) {
            out.extend(merge(None, Some(value), shape.under(key)).map(|v| (key.clone(), v)));
        }
        return (!out.is_empty()).then_some(Value::Object(out));
    }
    let (left, right) = (shape.items(live).unwrap_or_default(), shape.items(applied).unwrap_or_default());
    if !left.is_empty() || !right.is_empty() {
        let out = merge_items(&left, &right, shape);
        return (!out.is_empty()).then_some(Value::Array(out));
    }
    applied.or(live).cloned()
}

/// The applied order rules among shared items; items only the live list has keep their neighbourhood.
fn merge_items(left: &[(String, &Value)], right: &[(String, &Value)], shape: Shape) -> Vec<Value> {
    let find = |list: &[(String, &Value)], element: &str| list.iter().position(|(e, _)| e == element);
    let mut shared = right.iter().map(|(e, _)| e).filter(|e| find(left, e).is_some()).peekable();
    let mut out = Vec::with_capacity(left.len().max(right.len()));
    let item = |l: Option<usize>, r: Option<usize>| merge(l.map(|i| left[i].1), r.map(|i| right[i].1), shape.item());
    let (mut l, mut r) = (0, 0);
    while l < left.len() || r < right.len() {
        if l < left.len() && r < right.len() {
            if left[l].0 == right[r].0 {
                out.extend(item(Some(l), Some(r)));
                (l, r) = (l + 1, r + 1);
                shared.next();
                continue;
            }
            if find(right, &left[l].0).is_some() && shared.peek().is_some_and(|next| **next != left[l].0) {
                // Shared, but another shared item comes first in the applied order.
                l += 1;
                continue;
            }
        }
        if l < left.len() && find(right, &left[l].0).is_none() {
            out.extend(item(Some(l), None));
            l += 1;
            continue;
        }
        if r < right.len() {
            out.extend(item(find(left, &right[r].0), Some(r)));
            if shared.peek().is_some_and(|next| **next == right[r].0) {
                shared.next();
            }
            r += 1;
        } else {
            // Only shared items are left on this side, and all of them were taken already.
            l += 1;
        }
    }
    out
}
