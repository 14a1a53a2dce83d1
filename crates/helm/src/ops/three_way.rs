//! The patch that makes of a live object what a new revision asks for, where objects are written from here: what the old revision had
//! and the new one has not is removed, what others set stays. Built-in kinds merge lists by their keys, all else as JSON.
// Upstream: helm pkg/kube/client.go createPatch: strategic where client-go's scheme knows the kind.

use patch::{FieldFacts, Facts, three_way_merge, three_way_strategic};
use schema::{Of, Type};
use serde_json::Value;

/// The content type and the patch; an empty one where nothing is to do.
pub fn three_way(old: &Value, new: &Value, live: &Value) -> Result<(&'static str, Value), String> {
    let api_version = new["apiVersion"].as_str().unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    match schema::by_kind(group, version, new["kind"].as_str().unwrap_or_default()) {
        Some(of) => Ok(("application/strategic-merge-patch+json", three_way_strategic(old, new, live, Place::Object(of)).map_err(|e| e.to_string())?)),
        None => Ok(("application/merge-patch+json", three_way_merge(old, new, live).map_err(|e| e.to_string())?)),
    }
}

/// A place in a built-in kind.
#[derive(Clone, Copy)]
enum Place {
    Object(&'static Type),
    /// Values of a map, all of one shape.
    Map(&'static Of),
    Unknown,
}

impl Place {
    fn of(of: &'static Of) -> Place {
        match of {
            Of::Object(of) if of.get().special.is_none() => Place::Object(of.get()),
            Of::Map(map) => Place::Map(&map.value),
            Of::List(list) => Place::of(&list.item),
            _ => Place::Unknown,
        }
    }
}

impl Facts for Place {
    fn field(self, name: &str) -> FieldFacts<Place> {
        let plain = |below| FieldFacts { strategies: Vec::new(), merge_key: String::new(), below };
        match self {
            Place::Object(of) => of.field(name).map_or_else(|| plain(Place::Unknown), |field| FieldFacts {
                strategies: field.patch_strategy.as_deref().map(|s| s.split(',').map(str::to_owned).collect()).unwrap_or_default(),
                merge_key: field.merge_key.as_deref().unwrap_or_default().to_owned(),
                below: Place::of(&field.of),
            }),
            Place::Map(of) => plain(Place::of(of)),
            Place::Unknown => plain(Place::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_others_set_stays() {
        let of = |containers: Value| json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "p" }, "spec": { "containers": containers } });
        let old = of(json!([{ "name": "a", "image": "1", "tty": true }]));
        let new = of(json!([{ "name": "a", "image": "2" }]));
        let live = of(json!([{ "name": "a", "image": "1", "tty": true, "imagePullPolicy": "Always" }, { "name": "sidecar", "image": "s" }]));
        let (content_type, patch) = three_way(&old, &new, &live).expect("a patch");
        assert_eq!(content_type, "application/strategic-merge-patch+json");
        assert_eq!(patch["spec"]["containers"], json!([{ "name": "a", "image": "2", "tty": null }]));
        let custom = |spec: Value| json!({ "apiVersion": "ex.io/v1", "kind": "Widget", "metadata": { "name": "w" }, "spec": spec });
        let (content_type, patch) = three_way(&custom(json!({ "a": 1, "gone": 2 })), &custom(json!({ "a": 3 })), &custom(json!({ "a": 1, "gone": 2, "other": 5 }))).expect("a patch");
        assert_eq!((content_type, patch), ("application/merge-patch+json", json!({ "spec": { "a": 3, "gone": null } })));
    }
}
