//! Sets of field paths, and their `FieldsV1` JSON form.
//!
//! A path element is its wire text (`f:spec`, `k:{"name":"a"}`, `v:"x"`). Invariant: no child set is empty.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// Paths as a tree: `members` end here, `children` lead further; an element may do both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    pub(super) members: BTreeSet<String>,
    pub(super) children: BTreeMap<String, Set>,
}

impl Set {
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.is_empty()
    }

    /// From dotted field names such as `metadata.labels`; for reset fields and stripped metadata.
    pub fn of_fields<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut out = Self::default();
        for path in paths {
            let elements: Vec<String> = path.split('.').map(|name| format!("f:{name}")).collect();
            out.insert(&elements);
        }
        out
    }

    pub(super) fn insert(&mut self, path: &[String]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    pub(super) fn insert_child(&mut self, element: String, child: Set) {
        if !child.is_empty() {
            self.children.insert(element, child);
        }
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.members.extend(other.members.iter().cloned());
        for (element, theirs) in &other.children {
            let joined = out.children.get(element).map_or_else(|| theirs.clone(), |ours| ours.union(theirs));
            out.children.insert(element.clone(), joined);
        }
        out
    }

    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut out = Self { members: self.members.intersection(&other.members).cloned().collect(), children: BTreeMap::new() };
        for (element, ours) in &self.children {
            if let Some(theirs) = other.children.get(element) {
                out.insert_child(element.clone(), ours.intersection(theirs));
            }
        }
        out
    }

    /// The paths of `self` that `other` does not hold.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = Self { members: self.members.difference(&other.members).cloned().collect(), children: BTreeMap::new() };
        for (element, ours) in &self.children {
            let left = other.children.get(element).map_or_else(|| ours.clone(), |theirs| ours.difference(theirs));
            out.insert_child(element.clone(), left);
        }
        out
    }

    /// Like `difference`, and what lies below a path of `other` goes too.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        let mut out = Self { members: self.members.difference(&other.members).cloned().collect(), children: BTreeMap::new() };
        for (element, ours) in self.children.iter().filter(|(e, _)| !other.members.contains(*e)) {
            let left = other.children.get(element).map_or_else(|| ours.clone(), |theirs| ours.recursive_difference(theirs));
            out.insert_child(element.clone(), left);
        }
        out
    }

    /// Takes out the paths that `other` holds.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.members.retain(|m| !other.members.contains(m));
        self.children.retain(|element, ours| {
            if let Some(theirs) = other.children.get(element) {
                ours.subtract(theirs);
            }
            !ours.is_empty()
        });
    }

    /// Like `subtract`, and what lies below a path of `other` goes too.
    pub(super) fn subtract_recursively(&mut self, other: &Self) {
        self.members.retain(|m| !other.members.contains(m));
        self.children.retain(|element, ours| {
            if other.members.contains(element) {
                return false;
            }
            if let Some(theirs) = other.children.get(element) {
                ours.subtract_recursively(theirs);
            }
            !ours.is_empty()
        });
    }

    /// Adds the paths of `other`.
    pub(super) fn unite(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        self.members.extend(other.members);
        for (element, theirs) in other.children {
            match self.children.entry(element) {
                Entry::Vacant(place) => drop(place.insert(theirs)),
                Entry::Occupied(mut ours) => ours.get_mut().unite(theirs),
            }
        }
    }

    /// Every path, in order.
    pub(super) fn paths(&self) -> Vec<Vec<String>> {
        fn walk(set: &Set, at: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
            let elements: BTreeSet<&String> = set.members.iter().chain(set.children.keys()).collect();
            for element in elements {
                at.push(element.clone());
                if set.members.contains(element) {
                    out.push(at.clone());
                }
                if let Some(child) = set.children.get(element) {
                    walk(child, at, out);
                }
                at.pop();
            }
        }
        let mut out = Vec::new();
        walk(self, &mut Vec::new(), &mut out);
        out
    }

    pub fn to_fields_v1(&self) -> Value {
        let mut out: Map<String, Value> = self.members.iter().map(|m| (m.clone(), Value::Object(Map::new()))).collect();
        for (element, child) in &self.children {
            let mut value = child.to_fields_v1();
            if let (true, Value::Object(map)) = (self.members.contains(element), &mut value) {
                map.insert(".".into(), Value::Object(Map::new()));
            }
            out.insert(element.clone(), value);
        }
        Value::Object(out)
    }

    /// The same as [`Self::to_fields_v1`], nothing copied.
    pub(super) fn into_fields_v1(self) -> Value {
        let mut out: Map<String, Value> = self.members.into_iter().map(|m| (m, Value::Object(Map::new()))).collect();
        for (element, child) in self.children {
            let mut value = child.into_fields_v1();
            match out.entry(element) {
                serde_json::map::Entry::Vacant(place) => drop(place.insert(value)),
                serde_json::map::Entry::Occupied(mut place) => {
                    if let Value::Object(map) = &mut value {
                        map.insert(".".into(), Value::Object(Map::new()));
                    }
                    place.insert(value);
                }
            }
        }
        Value::Object(out)
    }

    /// Reads `FieldsV1`; elements that are none of the known forms are skipped, as newer writers may know more.
    pub fn from_fields_v1(fields: &Value) -> Option<Self> {
        let mut out = Self::default();
        for (element, value) in fields.as_object()? {
            if element == "." || !matches!(element.get(..2), Some("f:" | "k:" | "v:" | "i:")) {
                continue;
            }
            let child = Self::from_fields_v1(value)?;
            let itself = value.as_object().is_some_and(|m| m.is_empty() || m.contains_key("."));
            if itself {
                out.members.insert(element.clone());
            }
            out.insert_child(element.clone(), child);
        }
        Some(out)
    }
}
