//! The `node.k8s.io` group.

use std::collections::HashSet;

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use crate::check;
use crate::columns::{age, columns, name};
use crate::node_labels;
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let mut class = Resource::new("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses", false)
        .rules(|rules| {
            rules.validate = validate;
            rules.warn = warn;
        })
        .columns(columns(&["Name", "Handler", "Age"]), |object, now| vec![name(object), walk::text(object, "handler").into(), age(object, now)]);
    class.table = "/registry/runtimeclasses".into();
    vec![class]
}

/// Upstream: `pkg/apis/node/validation/validation.go`.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let handler = walk::text(object, "handler");
    if let Some(old) = old {
        check::immutable(&mut errors, &Path::new("handler"), walk::at(object, "handler"), walk::at(old, "handler"));
        return errors;
    }
    check::syntax(&mut errors, &Path::new("handler"), handler, api::names::dns1123_label(handler));
    let overhead = walk::at(object, "overhead");
    if overhead.is_object() {
        let limits = json!({"limits": walk::at(overhead, "podFixed")});
        crate::core::pod::resources::requirements(&mut errors, &limits, &HashSet::new(), &Path::new("overhead"));
    }
    let (scheduling, path) = (walk::at(object, "scheduling"), Path::new("scheduling"));
    errors.extend(crate::metadata::validate_labels(walk::at(scheduling, "nodeSelector"), &path.child("nodeSelector")));
    // Upstream: the name stands twice in the path.
    crate::core::pod::placement::tolerations(&mut errors, scheduling, &path.child("tolerations").child("tolerations"));
    let mut seen = Vec::new();
    for (i, toleration) in walk::list(scheduling, "tolerations").iter().enumerate() {
        let key = ["key", "operator", "value", "effect"].map(|part| walk::text(toleration, part));
        if seen.contains(&key) {
            errors.push(FieldError::duplicate(&path.child("tolerations").index(i), toleration.clone()));
        }
        seen.push(key);
    }
    errors
}

/// Upstream: `pkg/api/node/util.go`; the path does not say which label.
fn warn(object: &Value, _: Option<&Value>) -> Vec<String> {
    node_labels::deprecated_keys(object, "scheduling.nodeSelector").map(|(_, why)| format!("scheduling.nodeSelector: {why}")).collect()
}
