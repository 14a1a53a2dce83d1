//! What a schema leaves of a value, and what it adds: pruning, dropping of nulls, defaulting.
//!
//! Upstream: apiextensions-apiserver `pkg/apiserver/schema/{pruning,defaulting}`.

use serde_json::Value;

use super::node::Node;

const META: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops what the schema does not know; `unknown` collects the paths of what went.
pub fn prune(value: &mut Value, node: &Node, is_root: bool, unknown: &mut Vec<String>) {
    below(value, Some(node), is_root, &mut String::new(), unknown);
}

fn below(value: &mut Value, node: Option<&Node>, is_root: bool, path: &mut String, unknown: &mut Vec<String>) {
    let preserves = node.is_some_and(|n| n.preserves);
    match value {
        Value::Object(map) => {
            let is_resource = is_root || node.is_some_and(|n| n.embedded);
            map.retain(|key, value| {
                if is_resource && META.contains(&key.as_str()) {
                    return true;
                }
                let length = path.len();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                let keep = match node.and_then(|n| n.under(key)) {
                    Some(of) => {
                        below(value, Some(of), false, path, unknown);
                        true
                    }
                    None if preserves => true,
                    // Upstream: `additionalProperties: true` keeps keys and prunes what they hold.
                    None if node.is_some_and(|n| n.additional.is_some()) => {
                        below(value, None, false, path, unknown);
                        true
                    }
                    None => {
                        unknown.push(path.clone());
                        false
                    }
                };
                path.truncate(length);
                keep
            });
        }
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                let length = path.len();
                path.push_str(&format!("[{at}]"));
                match node {
                    // Where unknown fields are kept, items without a schema of their own are left alone.
                    Some(n) if n.preserves && n.items.is_none() => {}
                    _ => below(item, node.and_then(|n| n.items.as_deref()), false, path, unknown),
                }
                path.truncate(length);
            }
        }
        _ => {}
    }
}

/// Drops nulls of fields that are not nullable and have no default.
pub fn drop_nulls(value: &mut Value, node: Option<&Node>) {
    match value {
        Value::Object(map) => map.retain(|key, value| {
            let of = node.and_then(|n| n.under(key));
            if value.is_null() && of.is_some_and(|n| !n.nullable && n.default.is_none()) {
                return false;
            }
            drop_nulls(value, of);
            true
        }),
        Value::Array(items) => items.iter_mut().for_each(|item| drop_nulls(item, node.and_then(|n| n.items.as_deref()))),
        _ => {}
    }
}

/// Fills defaults; a null that may not be null counts as absent.
pub fn default(value: &mut Value, node: &Node) {
    match value {
        Value::Object(map) => {
            for (key, of) in &node.properties {
                if let Some(default) = &of.default
                    && map.get(key).is_none_or(|v| v.is_null() && !of.nullable)
                {
                    map.insert(key.clone(), default.clone());
                }
            }
            for (key, value) in map.iter_mut() {
                let Some(of) = node.under(key) else { continue };
                fill_null(value, of);
                default(value, of);
            }
        }
        Value::Array(items) => {
            let Some(of) = &node.items else { return };
            for item in items {
                fill_null(item, of);
                default(item, of);
            }
        }
        _ => {}
    }
}

fn fill_null(value: &mut Value, of: &Node) {
    if value.is_null()
        && !of.nullable
        && let Some(default) = &of.default
    {
        *value = default.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prunes_keeps_and_defaults() {
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {"a": {"type": "string", "default": "x"}, "n": {"type": "string", "nullable": true, "default": "y"}, "o": {"type": "object", "default": {}, "properties": {"i": {"type": "integer", "default": 1}}}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"type": "object", "properties": {"b": {"type": "string"}}}}},
            "list": {"type": "array", "items": {"type": "object", "properties": {"c": {"type": "string"}}}}}});
        let node = Node::compile(&schema);
        let mut value = json!({"kind": "X", "metadata": {"name": "m"}, "extra": 1, "spec": {"a": null, "n": null, "z": 1}, "free": {"any": 1, "known": {"b": "", "gone": 1}}, "list": [{"c": "", "d": 1}]});
        let mut unknown = Vec::new();
        prune(&mut value, &node, true, &mut unknown);
        assert_eq!(unknown, ["extra", "free.known.gone", "list[0].d", "spec.z"]);
        drop_nulls(&mut value, Some(&node));
        default(&mut value, &node);
        assert_eq!(value, json!({"kind": "X", "metadata": {"name": "m"}, "spec": {"a": "x", "n": null, "o": {"i": 1}}, "free": {"any": 1, "known": {"b": ""}}, "list": [{"c": ""}]}));
    }
}
