//! Sets of field paths, and their `FieldsV1` JSON form.
//!
//! A path element is its wire text (`f:spec`, `k:{"name":"a"}`, `v:"x"`).

use std::cmp::Ordering;

use serde_json::{Map, Value};

/// An element of paths: some path ends here, or some lead further, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    element: String,
    ends: bool,
    below: Set,
}

impl Node {
    fn is_void(&self) -> bool {
        !self.ends && self.below.is_empty()
    }
}

/// Paths as a tree. Invariant: nodes are in the order of their elements, each once, none void.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    nodes: Vec<Node>,
}

impl Set {
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
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

    fn insert(&mut self, path: &[String]) {
        match path {
            [] => {}
            [last] => self.place(last.clone(), true, Self::default()),
            [first, rest @ ..] => {
                let mut below = Self::default();
                below.insert(rest);
                self.place(first.clone(), false, below);
            }
        }
    }

    /// Adds an element: whether a path ends there, and what lies below. Cheapest where elements come in order.
    pub(super) fn place(&mut self, element: String, ends: bool, below: Self) {
        let node = Node { element, ends, below };
        if node.is_void() {
            return;
        }
        if self.nodes.last().is_none_or(|last| last.element < node.element) {
            self.nodes.push(node);
            return;
        }
        match self.find(&node.element) {
            Ok(at) => {
                self.nodes[at].ends |= node.ends;
                self.nodes[at].below.unite(node.below);
            }
            Err(at) => self.nodes.insert(at, node),
        }
    }

    fn find(&self, element: &str) -> Result<usize, usize> {
        self.nodes.binary_search_by(|node| node.element.as_str().cmp(element))
    }

    /// Whether a path ends at the element.
    pub(super) fn ends_at(&self, element: &str) -> bool {
        self.find(element).is_ok_and(|at| self.nodes[at].ends)
    }

    /// What lies below the element, where anything does.
    pub(super) fn below(&self, element: &str) -> Option<&Self> {
        self.find(element).ok().map(|at| &self.nodes[at].below).filter(|below| !below.is_empty())
    }

    /// The elements in order, each with whether a path ends there and what lies below.
    pub(super) fn elements(&self) -> impl Iterator<Item = (&String, bool, &Self)> {
        self.nodes.iter().map(|node| (&node.element, node.ends, &node.below))
    }

    /// Pairs each node with the other set's node of the same element.
    fn paired<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a Node, Option<&'a Node>)> {
        let mut theirs = other.nodes.iter().peekable();
        self.nodes.iter().map(move |ours| {
            while theirs.next_if(|node| node.element < ours.element).is_some() {}
            (ours, theirs.next_if(|node| node.element == ours.element))
        })
    }

    fn of_nodes(nodes: impl Iterator<Item = Node>) -> Self {
        Self { nodes: nodes.filter(|node| !node.is_void()).collect() }
    }

    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.unite(other.clone());
        out
    }

    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self::of_nodes(self.paired(other).filter_map(|(ours, theirs)| {
            let theirs = theirs?;
            Some(Node { element: ours.element.clone(), ends: ours.ends && theirs.ends, below: ours.below.intersection(&theirs.below) })
        }))
    }

    /// The paths of `self` that `other` does not hold.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.subtract(other);
        out
    }

    /// Like `difference`, and what lies below a path of `other` goes too.
    #[must_use]
    pub fn recursive_difference(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.subtract_recursively(other);
        out
    }

    /// Takes out the paths that `other` holds.
    pub(super) fn subtract(&mut self, other: &Self) {
        self.retain_beside(other, |ours, theirs| {
            ours.ends &= !theirs.ends;
            ours.below.subtract(&theirs.below);
        });
    }

    /// Like `subtract`, and what lies below a path of `other` goes too.
    pub(super) fn subtract_recursively(&mut self, other: &Self) {
        self.retain_beside(other, |ours, theirs| {
            if theirs.ends {
                (ours.ends, ours.below) = (false, Self::default());
            } else {
                ours.below.subtract_recursively(&theirs.below);
            }
        });
    }

    /// Changes each node that has one of the same element beside it; those that are void then go.
    fn retain_beside(&mut self, other: &Self, mut change: impl FnMut(&mut Node, &Node)) {
        if other.is_empty() {
            return;
        }
        let mut theirs = other.nodes.iter().peekable();
        self.nodes.retain_mut(|ours| {
            while theirs.next_if(|node| node.element < ours.element).is_some() {}
            if let Some(theirs) = theirs.next_if(|node| node.element == ours.element) {
                change(ours, theirs);
            }
            !ours.is_void()
        });
    }

    /// Adds the paths of `other`.
    pub(super) fn unite(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        if other.is_empty() {
            return;
        }
        let (mut ours, mut theirs) = (std::mem::take(&mut self.nodes).into_iter().peekable(), other.nodes.into_iter().peekable());
        while let (Some(one), Some(two)) = (ours.peek(), theirs.peek()) {
            match one.element.cmp(&two.element) {
                Ordering::Less => self.nodes.extend(ours.next()),
                Ordering::Greater => self.nodes.extend(theirs.next()),
                Ordering::Equal => self.nodes.extend(ours.next().zip(theirs.next()).map(|(mut one, two)| {
                    one.ends |= two.ends;
                    one.below.unite(two.below);
                    one
                })),
            }
        }
        self.nodes.extend(ours.chain(theirs));
    }

    /// Every path, in order.
    pub(super) fn paths(&self) -> Vec<Vec<String>> {
        fn walk(set: &Set, at: &mut Vec<String>, out: &mut Vec<Vec<String>>) {
            for node in &set.nodes {
                at.push(node.element.clone());
                if node.ends {
                    out.push(at.clone());
                }
                walk(&node.below, at, out);
                at.pop();
            }
        }
        let mut out = Vec::new();
        walk(self, &mut Vec::new(), &mut out);
        out
    }

    pub fn to_fields_v1(&self) -> Value {
        self.clone().into_fields_v1()
    }

    /// The same as [`Self::to_fields_v1`], nothing copied.
    pub(super) fn into_fields_v1(self) -> Value {
        let fields = self.nodes.into_iter().map(|Node { element, ends, below }| {
            if below.is_empty() {
                return (element, Value::Object(Map::new()));
            }
            let mut value = below.into_fields_v1();
            if let (true, Value::Object(map)) = (ends, &mut value) {
                map.insert(".".into(), Value::Object(Map::new()));
            }
            (element, value)
        });
        Value::Object(fields.collect())
    }

    /// Reads `FieldsV1`; elements that are none of the known forms are skipped, as newer writers may know more.
    pub fn from_fields_v1(fields: &Value) -> Option<Self> {
        let mut out = Self::default();
        for (element, value) in fields.as_object()? {
            if element == "." || !matches!(element.get(..2), Some("f:" | "k:" | "v:" | "i:")) {
                continue;
            }
            let ends = value.as_object().is_some_and(|m| m.is_empty() || m.contains_key("."));
            out.place(element.clone(), ends, Self::from_fields_v1(value)?);
        }
        Some(out)
    }
}
