//! What differs between two values of one shape: paths added, modified, removed.

use std::collections::BTreeSet;

use serde_json::Value;

use super::path;
use super::set::Set;
use super::shape::Shape;

#[derive(Default, Debug)]
pub(super) struct Comparison {
    pub added: Set,
    pub modified: Set,
    pub removed: Set,
}

impl Comparison {
    pub fn of(old: &Value, new: &Value, shape: Shape) -> Self {
        let mut out = Self::default();
        compare(Some(old), Some(new), shape, &mut Vec::new(), &mut out);
        out
    }

    pub fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    pub fn without(self, ignored: &Set) -> Self {
        let keep = |set: Set| set.recursive_difference(ignored);
        Self { added: keep(self.added), modified: keep(self.modified), removed: keep(self.removed) }
    }
}

fn compare(old: Option<&Value>, new: Option<&Value>, shape: Shape, at: &mut Vec<String>, out: &mut Comparison) {
    if let (Some(old), Some(new)) = (old, new)
        && old == new
    {
        return;
    }
    let descended = by_key(old, new, shape, at, out) || by_item(old, new, shape, at, out);
    match (old, new) {
        (None, _) => out.added.insert(at),
        (_, None) => out.removed.insert(at),
        (Some(old), Some(new)) if !descended && !equal(old, new) => out.modified.insert(at),
        _ => {}
    }
}

/// Two empty or missing containers are compared as leaves, which keeps empty and null apart.
fn by_key(old: Option<&Value>, new: Option<&Value>, shape: Shape, at: &mut Vec<String>, out: &mut Comparison) -> bool {
    let (before, after) = (shape.object(old), shape.object(new));
    if before.is_none_or(serde_json::Map::is_empty) && after.is_none_or(serde_json::Map::is_empty) {
        return false;
    }
    let keys: BTreeSet<&String> = before.into_iter().chain(after).flat_map(serde_json::Map::keys).collect();
    for key in keys {
        at.push(path::of_name(key));
        compare(before.and_then(|m| m.get(key)), after.and_then(|m| m.get(key)), shape.under(key), at, out);
        at.pop();
    }
    true
}

fn by_item(old: Option<&Value>, new: Option<&Value>, shape: Shape, at: &mut Vec<String>, out: &mut Comparison) -> bool {
    let (before, after) = (shape.items(old).unwrap_or_default(), shape.items(new).unwrap_or_default());
    if before.is_empty() && after.is_empty() {
        return false;
    }
    let find = |list: &[(String, &Value)], element: &str| list.iter().position(|(e, _)| e == element);
    for (element, item) in &before {
        at.push(element.clone());
        compare(Some(item), find(&after, element).map(|i| after[i].1), shape.item(), at, out);
        at.pop();
    }
    for (element, item) in after.iter().filter(|(e, _)| find(&before, e).is_none()) {
        at.push(element.clone());
        compare(None, Some(item), shape.item(), at, out);
        at.pop();
    }
    true
}

/// Numbers are equal by value, and quantities are compared as the texts that are stored.
fn equal(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}
