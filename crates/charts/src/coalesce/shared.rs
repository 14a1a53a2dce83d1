//! Tables that several holders share, as maps are in Go.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;

use super::DEPTH;
use crate::values::Table;

/// A table; its clones are the same table.
#[derive(Debug, Clone, Default)]
pub struct Shared(Rc<RefCell<BTreeMap<String, Node>>>);

#[derive(Debug, Clone)]
pub enum Node {
    Table(Shared),
    /// All else. Tables inside lists are never merged, so they need no sharing.
    Leaf(Value),
}

impl Node {
    pub fn is_null(&self) -> bool {
        matches!(self, Node::Leaf(Value::Null))
    }
}

impl From<&Table> for Shared {
    fn from(table: &Table) -> Shared {
        let node = |value: &Value| match value {
            Value::Object(below) => Node::Table(Shared::from(below)),
            leaf => Node::Leaf(leaf.clone()),
        };
        Shared(Rc::new(RefCell::new(table.iter().map(|(key, value)| (key.clone(), node(value))).collect())))
    }
}

impl Shared {
    pub fn get(&self, key: &str) -> Option<Node> {
        self.0.borrow().get(key).cloned()
    }

    pub fn set(&self, key: &str, node: Node) {
        self.0.borrow_mut().insert(key.to_string(), node);
    }

    pub fn remove(&self, key: &str) {
        self.0.borrow_mut().remove(key);
    }

    /// What is in it now; changes that follow are not seen.
    pub fn entries(&self) -> Vec<(String, Node)> {
        self.0.borrow().iter().map(|(key, node)| (key.clone(), node.clone())).collect()
    }

    /// A table of its own, with the same tables below.
    pub fn shallow(&self) -> Shared {
        Shared(Rc::new(RefCell::new(self.0.borrow().clone())))
    }

    /// The table at a dotted path, or the name at which there is none.
    // Upstream: helm pkg/chart/common/values.go Table.
    pub fn at<'p>(&self, path: &'p str) -> Result<Shared, &'p str> {
        path.split('.').try_fold(self.clone(), |table, key| match table.get(key) {
            Some(Node::Table(below)) => Ok(below),
            _ => Err(key),
        })
    }

    /// Takes out nulls at every level.
    pub fn drop_nulls(&self) {
        let mut here = self.0.borrow_mut();
        here.retain(|_, node| !node.is_null());
        for node in here.values() {
            if let Node::Table(below) = node {
                below.drop_nulls();
            }
        }
    }

    /// A copy that shares nothing. A table may have come to hold itself; that is refused.
    pub fn to_table(&self) -> Result<Table, String> {
        self.copied(0)
    }

    fn copied(&self, depth: usize) -> Result<Table, String> {
        if depth > DEPTH {
            return Err(format!("values nest more than {DEPTH} deep: does a chart import values into themselves?"));
        }
        let here = self.0.borrow();
        let value = |node: &Node| match node {
            Node::Table(below) => below.copied(depth + 1).map(Value::Object),
            Node::Leaf(leaf) => Ok(leaf.clone()),
        };
        here.iter().map(|(key, node)| Ok((key.clone(), value(node)?))).collect()
    }
}
