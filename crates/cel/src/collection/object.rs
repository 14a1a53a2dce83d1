//! Objects: JSON with declared fields, or constructed by an expression.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use super::Map;
use crate::decl::ObjectDecl;
use crate::json::view;
use crate::steps;
use crate::value::{Evaluated, Value};

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
        Value::List(list) => list.built().iter().try_for_each(|v| check_place(v, expected)),
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
