//! What differs between two values of one shape: paths added, modified, removed.

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
        compare(old, new, shape).below
    }

    pub fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    pub fn without(mut self, ignored: &Set) -> Self {
        for set in [&mut self.added, &mut self.modified, &mut self.removed] {
            set.subtract_recursively(ignored);
        }
        self
    }
}

/// What differs at one place, and below it.
#[derive(Default)]
struct Difference {
    modified: bool,
    below: Comparison,
}

fn compare(old: &Value, new: &Value, shape: Shape) -> Difference {
    let mut out = Difference::default();
    if old == new {
        return out;
    }
    let descended = by_key(old, new, shape, &mut out.below) || by_item(old, new, shape, &mut out.below);
    out.modified = !descended && !equal(old, new);
    out
}

/// Two empty or missing containers are compared as leaves, which keeps empty and null apart.
fn by_key(old: &Value, new: &Value, shape: Shape, out: &mut Comparison) -> bool {
    let (before, after) = (shape.object(Some(old)), shape.object(Some(new)));
    if before.is_none_or(serde_json::Map::is_empty) && after.is_none_or(serde_json::Map::is_empty) {
        return false;
    }
    for (key, old) in before.into_iter().flatten() {
        place(out, || path::of_name(key), Some(old), after.and_then(|m| m.get(key)), shape.under(key));
    }
    for (key, new) in after.into_iter().flatten().filter(|(key, _)| before.is_none_or(|m| !m.contains_key(*key))) {
        place(out, || path::of_name(key), None, Some(new), shape.under(key));
    }
    true
}

fn by_item(old: &Value, new: &Value, shape: Shape, out: &mut Comparison) -> bool {
    let (before, after) = (shape.items(Some(old)).unwrap_or_default(), shape.items(Some(new)).unwrap_or_default());
    if before.is_empty() && after.is_empty() {
        return false;
    }
    let find = |list: &[(String, &Value)], element: &str| list.iter().position(|(e, _)| e == element);
    for (element, item) in &before {
        place(out, || element.clone(), Some(item), find(&after, element).map(|i| after[i].1), shape.item());
    }
    for (element, item) in after.iter().filter(|(e, _)| find(&before, e).is_none()) {
        place(out, || element.clone(), None, Some(item), shape.item());
    }
    true
}

/// Compares what stands under an element, and puts what differs under it.
fn place(out: &mut Comparison, element: impl Fn() -> String, old: Option<&Value>, new: Option<&Value>, shape: Shape) {
    match (old, new) {
        (Some(old), Some(new)) => {
            let Difference { modified, below } = compare(old, new, shape);
            for (into, ends, set) in [(&mut out.added, false, below.added), (&mut out.modified, modified, below.modified), (&mut out.removed, false, below.removed)] {
                if ends || !set.is_empty() {
                    into.place(element(), ends, set);
                }
            }
        }
        (None, Some(new)) => whole(&mut out.added, element(), new, shape),
        (Some(old), None) => whole(&mut out.removed, element(), old, shape),
        (None, None) => {}
    }
}

/// A value that is new or gone: every place of it.
fn whole(out: &mut Set, element: String, value: &Value, shape: Shape) {
    let mut below = Set::default();
    if let Some(map) = shape.object(Some(value)) {
        for (key, value) in map {
            whole(&mut below, path::of_name(key), value, shape.under(key));
        }
    } else if let Some(items) = shape.items(Some(value)) {
        for (element, item) in items {
            whole(&mut below, element, item, shape.item());
        }
    }
    out.place(element, true, below);
}

/// Numbers are equal by value, and quantities are compared as the texts that are stored.
fn equal(old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (a, b) => a == b,
    }
}
