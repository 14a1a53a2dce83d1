//! Maps and their keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::decl::Decl;
use crate::json::view;
use crate::value::{EvalError, Evaluated, Text, Value};

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
