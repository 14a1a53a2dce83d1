//! A configuration laid over an object without ownership: what mutating policies do.
//!
//! Upstream: apiserver `pkg/admission/plugin/policy/mutating/patch/smd.go`.

use schema::Type;
use serde_json::Value;

use super::merge::merge;
use super::shape::Shape;

/// The object with the configuration merged into it. What has one owner as a whole may not be in it: what the
/// configuration leaves out there would be lost.
pub fn merge_configuration(object: &Value, configuration: &Value, of: &Type) -> Result<Value, String> {
    let mut atomics = Vec::new();
    find_atomics(configuration, Shape::root(of), &mut String::new(), &mut atomics);
    if !atomics.is_empty() {
        return Err(format!("invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {}", atomics.join(", ")));
    }
    Ok(merge(Some(object), Some(configuration), Shape::root(of)).unwrap_or_else(|| object.clone()))
}

fn find_atomics(value: &Value, shape: Shape, path: &mut String, found: &mut Vec<String>) {
    let length = path.len();
    let single = matches!(shape, Shape::Leaf);
    match value {
        Value::Object(map) => {
            if single {
                found.push(path.clone());
                return;
            }
            for (key, value) in map {
                path.push_str(&format!(".{key}"));
                find_atomics(value, shape.under(key), path, found);
                path.truncate(length);
            }
        }
        Value::Array(items) => {
            if single {
                found.push(path.clone());
                return;
            }
            for (i, value) in items.iter().enumerate() {
                path.push_str(&format!("[{i}]"));
                find_atomics(value, shape.item(), path, found);
                path.truncate(length);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_merge_by_key_and_atomic_ones_are_refused() {
        let pod = schema::by_kind("", "v1", "Pod").unwrap();
        let object = json!({"metadata": {"labels": {"a": "1"}}, "spec": {"containers": [{"name": "x", "image": "i", "env": [{"name": "A", "value": "1"}]}]}});
        let configuration = json!({"metadata": {"labels": {"b": "2"}}, "spec": {"containers": [{"name": "x", "env": [{"name": "B", "value": "2"}]}]}});
        let merged = merge_configuration(&object, &configuration, pod).unwrap();
        assert_eq!(merged["metadata"]["labels"], json!({"a": "1", "b": "2"}));
        assert_eq!(merged["spec"]["containers"][0], json!({"name": "x", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}));
        let atomic = json!({"spec": {"containers": [{"name": "x", "args": ["a"]}]}});
        assert_eq!(merge_configuration(&object, &atomic, pod).unwrap_err(), "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.containers[0].args");
    }
}
