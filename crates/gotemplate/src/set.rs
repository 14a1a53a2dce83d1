//! Templates that know each other by name.
//!
//! A set is never changed while it is executed; `child` gives one that sees its parent's templates and may define its own over
//! them, without copying or parsing anything again.

use std::collections::HashMap;
use std::rc::Rc;

use crate::ast::Tree;
use crate::budget::Budget;
use crate::exec::Scope;
use crate::function::{Failure, Functions};
use crate::parse::{ParseError, parse};
use crate::value::Value;

/// What a key that a map lacks gives: the option `missingkey`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// No value.
    #[default]
    Invalid,
    /// The zero value of the map's element type.
    Zero,
    Error,
}

pub struct Set {
    name: Rc<str>,
    functions: Rc<Functions>,
    missing: MissingKey,
    parent: Option<Rc<Set>>,
    own: HashMap<String, Rc<Tree>>,
}

impl Set {
    pub fn new(name: &str, functions: Rc<Functions>, missing: MissingKey) -> Set {
        Set { name: name.into(), functions, missing, parent: None, own: HashMap::new() }
    }

    /// A set over this one: `Clone` of Go's templates.
    pub fn child(self: &Rc<Set>) -> Set {
        Set { name: self.name.clone(), functions: self.functions.clone(), missing: self.missing, parent: Some(self.clone()), own: HashMap::new() }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn missing(&self) -> MissingKey {
        self.missing
    }

    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Parses a text and adds what it defines; gives the tree of `name`. A text of nothing but space and definitions does not
    /// replace a template that is there.
    pub fn parse(&mut self, name: &str, text: &[u8]) -> Result<Rc<Tree>, ParseError> {
        let trees = parse(name, text, &self.functions)?;
        let mut main = None;
        for (key, tree) in trees {
            let tree = Rc::new(tree);
            if key == name {
                main = Some(tree.clone());
            }
            if tree.is_empty() && self.lookup(&key).is_some() {
                continue;
            }
            self.own.insert(key, tree);
        }
        main.ok_or_else(|| ParseError(format!("template: {name}: nothing was parsed")))
    }

    pub fn lookup(&self, name: &str) -> Option<&Rc<Tree>> {
        let mut set = self;
        loop {
            if let Some(tree) = set.own.get(name) {
                return Some(tree);
            }
            set = set.parent.as_deref()?;
        }
    }

    /// Executes the template of that name.
    pub fn execute(self: &Rc<Set>, name: &str, data: Value, budget: &Budget) -> Result<Vec<u8>, Failure> {
        Scope::new(self, budget).execute(name, data)
    }
}
