//! In what order an object's fields are written: Go's struct order for objects that upstream holds typed, sorted for all others.
//!
//! Facts come from the schema table alone; a kind that it does not know is written sorted.

use std::borrow::Cow;

use schema::{Field, Of, Type};
use serde_json::{Map, Value};

#[derive(Clone, Copy)]
pub enum Shape<'a> {
    /// Fields are sorted by name.
    Sorted,
    Object(&'a Type),
    Value(&'a Of),
    /// Structs that are kubectl's own: the names of their fields, at any depth, in one order.
    Listed(&'static [&'static str]),
}

/// The type of a built-in kind; none of any other.
pub fn type_of(object: &Value) -> Option<&'static Type> {
    let version = object["apiVersion"].as_str()?;
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    schema::by_kind(group, version, object["kind"].as_str()?)
}

/// The object as a Go program holds it once it was decoded into its struct: fields that are always written are there.
pub fn typed(object: &Value) -> Cow<'_, Value> {
    let Some(of) = type_of(object) else { return Cow::Borrowed(object) };
    let Ok(mut decoded) = codec::conform(object.clone(), of, codec::Strictness::Ignore) else { return Cow::Borrowed(object) };
    fill_nulls(&mut decoded.value, Shape::Object(of));
    Cow::Owned(decoded.value)
}

/// Lists and maps that Go always writes are null where they were never set.
fn fill_nulls(value: &mut Value, shape: Shape) {
    match value {
        Value::Object(map) => {
            for field in shape.fields().iter().filter(|f| f.always && matches!(f.of, Of::List(_) | Of::Map(_) | Of::Time | Of::MicroTime)) {
                map.entry(field.name.as_ref()).or_insert(Value::Null);
            }
            for (key, item) in map {
                fill_nulls(item, shape.entry(key));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill_nulls(item, shape.item())),
        _ => {}
    }
}

impl<'a> Shape<'a> {
    pub fn of(object: &Value) -> Self {
        type_of(object).map_or(Self::Sorted, Shape::Object)
    }

    fn object(self) -> Option<&'a Type> {
        match self {
            Self::Object(of) => Some(of),
            Self::Value(Of::Object(of)) => Some(of.get()),
            _ => None,
        }
    }

    fn fields(self) -> &'a [Field] {
        self.object().map_or(&[], |of| &of.fields)
    }

    /// What the value under a key is.
    fn entry(self, key: &str) -> Self {
        match self {
            Self::Value(Of::Map(of)) => Self::Value(&of.value),
            Self::Listed(_) => self,
            _ => self.object().and_then(|of| of.field(key)).map_or(Self::Sorted, |f| Self::Value(&f.of)),
        }
    }

    /// An object's entries in the order of writing.
    pub fn entries<'v>(self, map: &'v Map<String, Value>) -> Vec<(&'v String, &'v Value, Shape<'a>)> {
        let entry = |(key, value): (&'v String, &'v Value)| (key, value, self.entry(key));
        if let Self::Listed(names) = self {
            let mut entries: Vec<_> = map.iter().map(entry).collect();
            entries.sort_by_key(|(key, ..)| names.iter().position(|n| n == key).unwrap_or(usize::MAX));
            return entries;
        }
        let Some(of) = self.object() else { return map.iter().map(entry).collect() };
        let known = of.in_go_order().into_iter().filter_map(|f| map.get_key_value(f.name.as_ref()));
        let unknown = map.iter().filter(|(key, _)| of.field(key).is_none());
        known.chain(unknown).map(entry).collect()
    }

    /// What a list's items are.
    pub fn item(self) -> Self {
        match self {
            Self::Value(Of::List(list)) => Self::Value(&list.item),
            Self::Listed(_) => self,
            _ => Self::Sorted,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn keys(value: &Value, shape: Shape) -> Vec<String> {
        shape.entries(value.as_object().unwrap()).into_iter().map(|(key, ..)| key.clone()).collect()
    }

    #[test]
    fn structs_have_go_s_order() {
        let service = typed(&json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "labels": {"z": "1", "b": "2"}}, "spec": {"type": "ClusterIP", "clusterIP": "None", "ports": [], "ipFamilies": ["IPv4"]}})).into_owned();
        let shape = Shape::of(&service);
        assert_eq!(keys(&service, shape), ["kind", "apiVersion", "metadata", "spec", "status"]);
        assert_eq!(keys(&service["metadata"], shape.entry("metadata")), ["name", "labels"]);
        assert_eq!(keys(&service["metadata"]["labels"], shape.entry("metadata").entry("labels")), ["b", "z"]);
        assert_eq!(keys(&service["spec"], shape.entry("spec")), ["clusterIP", "type", "ipFamilies"]);
    }

    #[test]
    fn what_go_always_writes_is_there() {
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "a"}, "aggregationRule": {}});
        assert_eq!(typed(&role)["rules"], Value::Null);
        assert_eq!(keys(&typed(&role), Shape::of(&role)), ["kind", "apiVersion", "metadata", "rules", "aggregationRule"]);
    }

    #[test]
    fn unknown_kinds_are_sorted() {
        let object = json!({"apiVersion": "x.io/v1", "kind": "Foo", "spec": {}, "a": 1});
        assert_eq!(keys(&typed(&object), Shape::of(&object)), ["a", "apiVersion", "kind", "spec"]);
    }
}
