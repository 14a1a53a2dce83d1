//! Lists, maps and objects: borrowed JSON or built by expressions, behind one face.
//!
//! Upstream: k8s.io/apiserver/pkg/cel/common/values.go for how sets and keyed lists compare and add.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value as Json;

use crate::decl::{Decl, ListDecl, ListSemantics, ObjectDecl};
use crate::json::view;
use crate::steps;
use crate::value::{EvalError, Evaluated, Text, Value};

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

/// A map's key. Numbers are one kind whatever their type, as equality has it.
#[derive(Clone, Debug)]
pub enum Key<'a> {
    Bool(bool),
    Int(i64),
    Uint(u64),
    String(Text<'a>),
}

impl<'a> Key<'a> {
    pub(crate) fn from(value: &Value<'a>) -> Option<Key<'a>> {
        match value {
            Value::Bool(b) => Some(Key::Bool(*b)),
            Value::Int(i) => Some(Key::Int(*i)),
            Value::Uint(u) => Some(Key::Uint(*u)),
            Value::String(s) => Some(Key::String(s.clone())),
            Value::Double(d) if d.fract() == 0.0 && *d >= -9.2e18 && *d <= 9.2e18 => Some(Key::Int(*d as i64)),
            Value::Double(d) if d.fract() == 0.0 && *d > 0.0 && *d <= 1.8e19 => Some(Key::Uint(*d as u64)),
            _ => None,
        }
    }

    pub(crate) fn value(&self) -> Value<'a> {
        match self {
            Key::Bool(b) => Value::Bool(*b),
            Key::Int(i) => Value::Int(*i),
            Key::Uint(u) => Value::Uint(*u),
            Key::String(s) => Value::String(s.clone()),
        }
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Key::Bool(b) => b.to_string(),
            Key::Int(i) => i.to_string(),
            Key::Uint(u) => u.to_string(),
            Key::String(s) => s.to_string(),
        }
    }

    fn rank(&self) -> (u8, i128, &str) {
        match self {
            Key::Bool(b) => (0, i128::from(*b), ""),
            Key::Int(i) => (1, i128::from(*i), ""),
            Key::Uint(u) => (1, i128::from(*u), ""),
            Key::String(s) => (2, 0, s),
        }
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}
impl Eq for Key<'_> {}
impl PartialOrd for Key<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Key<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

pub(crate) type Built<'a> = BTreeMap<Key<'a>, Value<'a>>;

#[derive(Clone, Debug)]
pub enum Map<'a> {
    Json(&'a serde_json::Map<String, Json>, &'a Decl),
    Built(Arc<BTreeMap<Key<'a>, Value<'a>>>),
    /// Of maps: what is asked for and is not there is an empty map.
    Nested(Arc<BTreeMap<Key<'a>, Value<'a>>>),
}

impl<'a> Map<'a> {
    pub(crate) fn of(entries: Built<'a>) -> Map<'a> {
        Map::Built(Arc::new(entries))
    }

    pub fn len(&self) -> usize {
        match self {
            Map::Json(map, _) => map.len(),
            Map::Built(map) | Map::Nested(map) => map.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get_str(&self, key: &str) -> Option<Evaluated<'a>> {
        match self {
            Map::Json(map, decl) => map.get(key).map(|j| view(j, decl)),
            Map::Built(map) => {
                let map: &BTreeMap<Key<'_>, Value<'a>> = map;
                lookup(map, key)
            }
            Map::Nested(map) => {
                let map: &BTreeMap<Key<'_>, Value<'a>> = map;
                lookup(map, key).or_else(|| Some(Ok(Value::map([]))))
            }
        }
    }

    pub(crate) fn get(&self, key: &Value<'a>) -> Option<Evaluated<'a>> {
        match (self, key) {
            (Map::Json(..), Value::String(s)) => self.get_str(s),
            (Map::Json(..), _) => None,
            (Map::Nested(_), Value::String(s)) => self.get_str(s),
            (Map::Built(map) | Map::Nested(map), key) => map.get(&Key::from(key)?).cloned().map(Ok),
        }
    }

    pub(crate) fn has(&self, key: &Value<'a>) -> bool {
        match (self, key) {
            (Map::Json(map, _), Value::String(s)) => map.contains_key(&**s),
            (Map::Json(..), _) => false,
            (Map::Built(map) | Map::Nested(map), key) => Key::from(key).is_some_and(|k| map.contains_key(&k)),
        }
    }

    pub fn iter(&self) -> Box<dyn Iterator<Item = (Key<'a>, Evaluated<'a>)> + '_> {
        match self {
            Map::Json(map, decl) => {
                let decl: &'a Decl = decl;
                Box::new(map.iter().map(move |(k, v)| (Key::String(Text::Borrowed(k)), view(v, decl))))
            }
            Map::Built(map) | Map::Nested(map) => Box::new(map.iter().map(|(k, v)| (k.clone(), Ok(v.clone())))),
        }
    }

    pub(crate) fn insert(&mut self, key: Key<'a>, value: Value<'a>) -> Result<(), EvalError> {
        if !matches!(self, Map::Built(_)) {
            let entries = self.iter().map(|(k, v)| Ok((k, v?))).collect::<Result<_, EvalError>>()?;
            *self = Map::of(entries);
        }
        if let Map::Built(map) = self {
            if map.contains_key(&key) {
                return Err(EvalError::new(format!("insert failed: key {} already exists", key.text())));
            }
            Arc::make_mut(map).insert(key, value);
        }
        Ok(())
    }

    pub(crate) fn equals(&self, other: &Map<'_>) -> bool {
        if self.len() != other.len() {
            return false;
        }
        // Lifetimes of the two sides differ: shrink both to the shorter one.
        fn walk<'s>(a: &Map<'s>, b: &Map<'s>) -> bool {
            a.iter().all(|(k, v)| v.is_ok_and(|v| b.get(&k.value()).is_some_and(|o| o.is_ok_and(|o| o == v))))
        }
        walk(self, other)
    }
}

fn lookup<'m, 'a>(map: &'m BTreeMap<Key<'m>, Value<'a>>, key: &'m str) -> Option<Evaluated<'a>> {
    map.get(&Key::String(Text::Borrowed(key))).cloned().map(Ok)
}

/// An object an expression constructed (`Object{...}`, `JSONPatch{...}`).
#[derive(Clone, Debug)]
pub struct BuiltObject<'a> {
    pub name: Arc<str>,
    pub fields: BTreeMap<String, Value<'a>>,
}

impl BuiltObject<'_> {
    /// Whether every object inside is of the type its place has: under `Object`, the field `spec` is an `Object.spec`, and so on
    /// through lists and maps. The first mismatch is told.
    // Upstream: k8s.io/apiserver/pkg/cel/mutation/dynamic/objects.go.
    pub fn check_type_names(&self) -> Result<(), String> {
        let root = self.name.to_string();
        self.check_at(&root)
    }

    fn check_at(&self, expected: &str) -> Result<(), String> {
        if *self.name != *expected {
            return Err(format!("unexpected type name {:?}, expected {expected:?}, which matches field name path from root Object type", &*self.name));
        }
        self.fields.iter().try_for_each(|(field, value)| check_place(value, &format!("{expected}.{field}")))
    }
}

fn check_place(value: &Value<'_>, expected: &str) -> Result<(), String> {
    match value {
        Value::Object(Object::Built(built)) => built.check_at(expected),
        Value::List(List { items: Items::Built(items), .. }) => items.iter().try_for_each(|v| check_place(v, expected)),
        Value::Map(Map::Built(map)) => map.values().try_for_each(|v| check_place(v, expected)),
        _ => Ok(()),
    }
}

#[derive(Clone, Debug)]
pub enum Object<'a> {
    Json(&'a serde_json::Map<String, Json>, &'a ObjectDecl),
    Built(Arc<BuiltObject<'a>>),
}

impl<'a> Object<'a> {
    pub fn type_name(&self) -> Arc<str> {
        match self {
            Object::Json(_, decl) => decl.name.clone(),
            Object::Built(built) => built.name.clone(),
        }
    }

    /// By the name expressions use.
    pub fn get(&self, field: &str) -> Option<Evaluated<'a>> {
        match self {
            Object::Json(map, decl) => {
                // A null field is an absent one.
                let field = decl.fields.get(field)?;
                map.get(&field.json).filter(|j| !j.is_null()).map(|j| view(j, &field.decl))
            }
            Object::Built(built) => built.fields.get(field).cloned().map(Ok),
        }
    }

    pub(crate) fn has(&self, field: &str) -> bool {
        match self {
            Object::Json(map, decl) => decl.fields.get(field).is_some_and(|f| map.get(&f.json).is_some_and(|j| !j.is_null())),
            Object::Built(built) => built.fields.contains_key(field),
        }
    }

    pub(crate) fn equals(&self, other: &Object<'_>) -> bool {
        match (self, other) {
            (Object::Json(a, of), Object::Json(b, as_of)) => {
                a.len() == b.len()
                    && a.iter().all(|(name, mine)| {
                        let Some(theirs) = b.get(name) else { return false };
                        let field = |decl: &'_ ObjectDecl| decl.fields.values().find(|f| f.json == *name).map(|f| f.decl.clone());
                        match (field(of), field(as_of)) {
                            (Some(of), Some(as_of)) => matches!((view(mine, &of), view(theirs, &as_of)), (Ok(a), Ok(b)) if a == b),
                            _ => steps::take() && mine == theirs,
                        }
                    })
            }
            (Object::Built(a), Object::Built(b)) => a.name == b.name && a.fields == b.fields,
            (a, b) => {
                let (Some(a), Some(b)) = (Value::Object(a.clone()).to_json(), Value::Object(b.clone()).to_json()) else { return false };
                a == b
            }
        }
    }
}
