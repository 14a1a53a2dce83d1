//! Lists, and how sets and keyed lists compare and add.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/common/values.go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value as Json;

use super::{Map, Object};
use crate::decl::{Decl, ListDecl, ListSemantics};
use crate::json::view;
use crate::value::{EvalError, Evaluated, Value};

#[derive(Clone, Debug)]
enum Items<'a> {
    Json(&'a [Json], &'a Decl),
    Built(Arc<Vec<Value<'a>>>),
}

#[derive(Clone, Debug)]
pub struct List<'a> {
    items: Items<'a>,
    semantics: &'a ListSemantics,
}

const ATOMIC: &ListSemantics = &ListSemantics::Atomic;

impl<'a> List<'a> {
    pub fn of(items: Vec<Value<'a>>) -> List<'a> {
        List { items: Items::Built(Arc::new(items)), semantics: ATOMIC }
    }

    pub(crate) fn json(items: &'a [Json], decl: &'a ListDecl) -> List<'a> {
        List { items: Items::Json(items, &decl.items), semantics: &decl.semantics }
    }

    pub(crate) fn untyped(items: &'a [Json]) -> List<'a> {
        List { items: Items::Json(items, Decl::DYN), semantics: ATOMIC }
    }

    pub fn len(&self) -> usize {
        match &self.items {
            Items::Json(items, _) => items.len(),
            Items::Built(items) => items.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, index: usize) -> Option<Evaluated<'a>> {
        match &self.items {
            Items::Json(items, decl) => items.get(index).map(|j| view(j, decl)),
            Items::Built(items) => items.get(index).cloned().map(Ok),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Evaluated<'a>> + '_ {
        (0..self.len()).filter_map(|i| self.get(i))
    }

    /// What an expression put in it.
    pub(super) fn built(&self) -> &[Value<'a>] {
        match &self.items {
            Items::Json(..) => &[],
            Items::Built(items) => items,
        }
    }

    pub(crate) fn to_vec(&self) -> Result<Vec<Value<'a>>, EvalError> {
        self.iter().collect()
    }

    pub(crate) fn contains(&self, value: &Value<'a>) -> bool {
        self.iter().any(|v| v.is_ok_and(|v| v == *value))
    }

    /// Adds to a list nobody else holds without copying it.
    pub(crate) fn push(&mut self, value: Value<'a>) {
        match &mut self.items {
            Items::Built(items) if *self.semantics == ListSemantics::Atomic => Arc::make_mut(items).push(value),
            _ => {
                if let Ok(sum) = self.plus(&List::of(vec![value])) {
                    *self = sum;
                }
            }
        }
    }

    /// `a + b`: concatenation, union, or merge by key.
    pub(crate) fn plus(&self, other: &List<'a>) -> Result<List<'a>, EvalError> {
        let mut items = self.to_vec()?;
        match self.semantics {
            ListSemantics::Atomic => items.extend(other.to_vec()?),
            ListSemantics::Set => {
                let mut seen: HashSet<String> = items.iter().map(scalar).collect();
                for value in other.iter() {
                    let value = value?;
                    if seen.insert(scalar(&value)) {
                        items.push(value);
                    }
                }
            }
            ListSemantics::Map(keys) => {
                let mut places: HashMap<String, usize> = items.iter().enumerate().map(|(i, v)| (key_of(v, keys), i)).collect();
                for value in other.iter() {
                    let value = value?;
                    let key = key_of(&value, keys);
                    match places.get(&key) {
                        Some(&place) => items[place] = value,
                        None => {
                            places.insert(key, items.len());
                            items.push(value);
                        }
                    }
                }
            }
        }
        Ok(List { items: Items::Built(Arc::new(items)), semantics: self.semantics })
    }

    pub(crate) fn equals(&self, other: &List<'_>) -> bool {
        if self.len() != other.len() {
            return false;
        }
        let same = |a: Evaluated<'_>, b: Evaluated<'_>| matches!((a, b), (Ok(a), Ok(b)) if a == b);
        match self.semantics {
            ListSemantics::Atomic => self.iter().zip(other.iter()).all(|(a, b)| same(a, b)),
            ListSemantics::Set => {
                let mine: HashSet<String> = self.iter().flatten().map(|v| scalar(&v)).collect();
                other.iter().all(|v| v.is_ok_and(|v| mine.contains(&scalar(&v))))
            }
            ListSemantics::Map(keys) => {
                let mine: HashMap<String, Value<'_>> = self.iter().flatten().map(|v| (key_of(&v, keys), v)).collect();
                other.iter().all(|v| v.is_ok_and(|v| mine.get(&key_of(&v, keys)).is_some_and(|m| *m == v)))
            }
        }
    }
}

/// A scalar as text that tells types apart.
fn scalar(value: &Value<'_>) -> String {
    match value {
        Value::String(s) => format!("s{}", &**s),
        Value::Int(i) => format!("n{i}"),
        Value::Uint(i) => format!("n{i}"),
        Value::Double(d) => format!("n{d}"),
        Value::Bool(b) => format!("b{b}"),
        other => other.to_json().map(|j| j.to_string()).unwrap_or_default(),
    }
}

fn key_of(value: &Value<'_>, keys: &[String]) -> String {
    let mut key = String::new();
    for name in keys {
        let part = match value {
            Value::Object(Object::Json(map, _)) | Value::Map(Map::Json(map, _)) => map.get(name).map(Json::to_string),
            Value::Object(object) => object.get(name).and_then(|v| v.ok()?.to_json()).map(|j| j.to_string()),
            Value::Map(map) => map.get_str(name).and_then(|v| v.ok()?.to_json()).map(|j| j.to_string()),
            _ => None,
        };
        key.push_str(&part.unwrap_or_default());
        key.push('\u{0}');
    }
    key
}
