//! How the value at a place merges, read off the schema. Scalars and atomic values are leaves.

use schema::{Field, List, ListKind, Of, Type, Unknown};
use serde_json::{Map, Value};

use super::path;

#[derive(Clone, Copy)]
pub(super) enum Shape<'a> {
    Leaf,
    Struct(&'a Type),
    /// A map whose keys are owned one by one.
    Map(&'a Of),
    /// A list of scalars, each owned by itself.
    Set,
    /// A list of objects, each owned by its keys.
    Keyed(&'a List),
    /// No schema: objects merge, everything else is a leaf.
    Deduced,
}

impl<'a> Shape<'a> {
    pub fn root(of: &'a Type) -> Self {
        Self::Struct(of)
    }

    fn of(of: &'a Of, atomic: bool) -> Self {
        match of {
            Of::Object(target) => {
                let target = target.get();
                if atomic || target.atomic || target.special.is_some() { Self::Leaf } else { Self::Struct(target) }
            }
            Of::Map(map) if !atomic && !map.atomic => Self::Map(&map.value),
            Of::List(list) => match list.kind {
                ListKind::Atomic => Self::Leaf,
                ListKind::Set => Self::Set,
                ListKind::Map => Self::Keyed(list),
            },
            _ => Self::Leaf,
        }
    }

    pub fn of_field(field: &'a Field) -> Self {
        Self::of(&field.of, field.atomic)
    }

    /// The shape under a key of an object or map.
    pub fn under(self, key: &str) -> Self {
        match self {
            Self::Struct(of) => match of.field(key) {
                Some(field) => Self::of_field(field),
                None if of.unknown == Unknown::Keep => Self::Deduced,
                None => Self::Leaf,
            },
            Self::Map(of) => Self::of(of, false),
            Self::Deduced => Self::Deduced,
            _ => Self::Leaf,
        }
    }

    /// True for keys that the type names; others stand for themselves.
    pub fn names(self, key: &str) -> bool {
        matches!(self, Self::Struct(of) if of.field(key).is_some())
    }

    pub fn item(self) -> Self {
        match self {
            Self::Keyed(list) => Self::of(&list.item, false),
            _ => Self::Leaf,
        }
    }

    /// The value as an object, where the shape lets keys have owners of their own.
    pub fn object(self, value: Option<&Value>) -> Option<&Map<String, Value>> {
        match self {
            Self::Struct(_) | Self::Map(_) | Self::Deduced => value?.as_object(),
            _ => None,
        }
    }

    /// The value's items by path element, where the shape lets items have owners; the first of equal ones counts.
    pub fn items(self, value: Option<&Value>) -> Option<Vec<(String, &Value)>> {
        let items = match self {
            Self::Set | Self::Keyed(_) => value?.as_array()?,
            _ => return None,
        };
        let mut out: Vec<(String, &Value)> = Vec::with_capacity(items.len());
        for item in items {
            if let Some(element) = self.element(item)
                && !out.iter().any(|(e, _)| *e == element)
            {
                out.push((element, item));
            }
        }
        Some(out)
    }

    fn element(self, item: &Value) -> Option<String> {
        match self {
            Self::Set => path::of_scalar(item),
            Self::Keyed(list) => path::of_keys(item, list),
            _ => None,
        }
    }

    /// Why an applied list cannot be told apart item by item, if so.
    pub fn broken_item(self, items: &[Value]) -> Option<String> {
        let mut seen = Vec::new();
        for item in items {
            match (self.element(item), self) {
                (Some(element), _) if seen.contains(&element) => return Some(format!("duplicate entries for key {}", path::display(&element))),
                (Some(element), _) => seen.push(element),
                (None, Self::Keyed(list)) => {
                    let missing = list.keys.iter().find(|k| item.get(k.as_ref()).is_none()).map_or("", |k| k.as_ref());
                    return Some(format!("element {}: associative list with keys has an element that omits key field {missing:?} (and doesn't have default value)", seen.len()));
                }
                (None, _) => return Some(format!("element {}: associative list without keys has an element that's a map type", seen.len())),
            }
        }
        None
    }
}
