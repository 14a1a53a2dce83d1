//! Lists that are sets or maps hold nothing twice.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/schema/listtype/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Map, Value};

use super::node::Node;

pub fn validate(value: &Value, node: &Node) -> FieldErrors {
    let mut errors = FieldErrors::new();
    collect(value, node, &Path::default(), &mut errors);
    errors
}

fn collect(value: &Value, node: &Node, path: &Path, errors: &mut FieldErrors) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let Some(of) = node.under(key) else { continue };
                let path = if node.properties.contains_key(key) { path.child(key) } else { path.key(key) };
                collect(value, of, &path, errors);
            }
        }
        Value::Array(items) => {
            match node.list_type.as_deref() {
                Some("set") => errors.extend(repeated(items).into_iter().map(|at| FieldError::duplicate(&path.index(at), items[at].clone()))),
                Some("map") => map_items(items, node, path, errors),
                _ => {}
            }
            if let Some(of) = &node.items {
                items.iter().enumerate().for_each(|(at, item)| collect(item, of, &path.index(at), errors));
            }
        }
        _ => {}
    }
}

/// Places of items that were there before; of items that come often only the first repetition.
fn repeated(items: &[Value]) -> Vec<usize> {
    let mut seen: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let second = |(at, item): (usize, &Value)| {
        let times = seen.entry(item.to_string()).or_default();
        *times += 1;
        (*times == 2).then_some(at)
    };
    items.iter().enumerate().filter_map(second).collect()
}

fn map_items(items: &[Value], node: &Node, path: &Path, errors: &mut FieldErrors) {
    if let Some(at) = items.iter().position(|item| !item.is_null() && !item.is_object()) {
        errors.push(FieldError::invalid(&path.index(at), items[at].clone(), "must be an object for an array of list-type map"));
        return;
    }
    let key = |item: &Value| Value::Object(node.list_keys.iter().filter_map(|k| Some((k.clone(), item.get(k)?.clone()))).collect::<Map<_, _>>());
    let keys: Vec<Value> = items.iter().map(key).collect();
    errors.extend(repeated(&keys).into_iter().map(|at| FieldError::duplicate(&path.index(at), keys[at].clone())));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sets_and_maps_hold_nothing_twice() {
        let node = Node::compile(&json!({"type": "object", "properties": {
            "s": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "m": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object"}}}}));
        let faults: Vec<String> = validate(&json!({"s": ["a", "b", "a", "a"], "m": [{"n": 1}, {"n": 1, "x": 2}, {}]}), &node).iter().map(ToString::to_string).collect();
        assert_eq!(faults, ["m[1]: Duplicate value: {\"n\":1}", "s[2]: Duplicate value: \"a\""]);
    }
}
