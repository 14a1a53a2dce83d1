//! Namespaces.

use api::field::{FieldError, FieldErrors, Path};
use api::names;
use serde_json::{Value, json};

use crate::check;
use crate::columns::{age, columns, name};
use crate::resource::{Resource, Subresource, Verbs};
use crate::walk;

pub fn resource() -> Resource {
    let finalize = Subresource { verbs: Verbs { update: true, ..Verbs::NONE }, ..Subresource::part("finalize") };
    let verbs = Verbs { deletecollection: false, ..Verbs::ALL };
    Resource { verbs, ..Resource::new("", "v1", "Namespace", "namespaces", false) }
        .short(&["ns"])
        .sub(finalize)
        .status_only()
        .select(&["status.phase"])
        .rules(|rules| {
            rules.name = names::dns1123_label;
            rules.default = |object| {
                let label = api::meta::name(object).to_owned();
                if !label.is_empty()
                    && let Some(labels) = walk::object_mut(object, "metadata.labels")
                {
                    labels.insert("kubernetes.io/metadata.name".into(), label.into());
                }
            };
            rules.prepare = prepare;
            rules.validate = validate;
            rules.validate_status = validate_status;
            rules.validate_part = Some(validate_part);
        })
        .columns(columns(&["Name", "Status", "Age"]), |object, now| vec![name(object), walk::text(object, "status.phase").into(), age(object, now)])
}

const OWN: &str = "kubernetes";

/// Upstream: `pkg/registry/core/namespace/strategy.go`: a new one is active and waits for its contents at its end.
fn prepare(object: &mut Value, old: Option<&Value>) {
    walk::own_status(object, old, json!({"phase": "Active"}));
    if old.is_some() {
        return walk::keep(object, old, "spec");
    }
    if !object.get("spec").is_some_and(Value::is_object) {
        object["spec"] = json!({});
    }
    let Some(spec) = walk::object_mut(object, "spec") else { return };
    match spec.entry("finalizers").or_insert_with(|| json!([])) {
        Value::Array(all) if all.iter().any(|one| one == OWN) => {}
        Value::Array(all) => all.push(OWN.into()),
        other => *other = json!([OWN]),
    }
}

fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for name in walk::list(object, "spec.finalizers").iter().filter_map(Value::as_str).filter(|_| old.is_none()) {
        finalizer(&mut errors, name, &Path::new("spec.finalizers"));
    }
    errors
}

/// Upstream: `ValidateNamespaceFinalizeUpdate`.
fn validate_part(_: &str, object: &Value, _: &Value) -> FieldErrors {
    let mut errors = FieldErrors::new();
    for (i, name) in walk::list(object, "spec.finalizers").iter().filter_map(Value::as_str).enumerate() {
        finalizer(&mut errors, name, &Path::new("spec.finalizers").index(i));
    }
    errors
}

/// Upstream: `validateFinalizerName`.
fn finalizer(errors: &mut FieldErrors, name: &str, path: &Path) {
    check::syntax(errors, path, name, names::qualified_name(name));
    if !name.contains('/') && !matches!(name, OWN | "orphan" | "foregroundDeletion") {
        errors.push(FieldError::invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"));
    }
}

/// Upstream: `ValidateNamespaceStatusUpdate`.
fn validate_status(object: &Value, _: &Value) -> FieldErrors {
    let (phase, leaves) = (walk::text(object, "status.phase"), api::meta::is_deleting(object));
    let (expected, when) = if leaves { ("Terminating", "not empty") } else { ("Active", "empty") };
    if phase == expected {
        return FieldErrors::new();
    }
    vec![FieldError::invalid(&Path::new("status.Phase"), phase, format!("may only be '{expected}' if `deletionTimestamp` is {when}"))]
}
