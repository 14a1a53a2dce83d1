//! Tables: what `kubectl get` prints.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Call, partial};

/// The table of objects; `includeObject` of the request says what each row carries.
pub fn of_objects(call: &Call, objects: &[Value], revision: &str, with_columns: bool) -> Value {
    let rules = &call.served.resource.rules;
    let now = Timestamp::now();
    let include = call.query.get("includeObject");
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells = call.served.resource.cells(object, now);
            match include {
                "None" => json!({"cells": cells}),
                "Object" => json!({"cells": cells, "object": object}),
                _ => json!({"cells": cells, "object": partial::object(object)}),
            }
        })
        .collect();
    let columns: Vec<Value> = if with_columns {
        let column = |c: &catalog::Column| json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description, "priority": c.priority});
        rules.columns.iter().map(column).collect()
    } else {
        Vec::new()
    };
    let metadata = match (revision, objects) {
        ("", [only]) => json!({"resourceVersion": api::meta::resource_version(only)}),
        ("", _) => json!({}),
        (revision, _) => json!({"resourceVersion": revision}),
    };
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": columns, "rows": rows})
}
