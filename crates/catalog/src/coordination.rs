//! The `coordination.k8s.io` group.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::columns::{age, columns, name};
use crate::resource::Resource;
use crate::walk;

pub fn resources() -> Vec<Resource> {
    let mut lease = Resource::new("coordination.k8s.io", "v1", "Lease", "leases", true)
        .rules(|rules| {
            rules.unconditional_update = false;
            rules.validate = validate;
            rules.prepare = drop_coordination;
        })
        .columns(columns(&["Name", "Holder", "Age"]), |object, now| vec![name(object), walk::text(object, "spec.holderIdentity").into(), age(object, now)]);
    lease.table = "/registry/leases".into();
    vec![lease]
}

/// Leases that candidates agree on are of a feature that is off: what only it reads is not kept, but where it was.
///
/// Upstream: `pkg/registry/coordination/lease/strategy.go`.
fn drop_coordination(object: &mut Value, old: Option<&Value>) {
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    for key in ["strategy", "preferredHolder"] {
        if old.is_none_or(|old| walk::at(old, "spec")[key].is_null()) {
            spec.remove(key);
        }
    }
}

/// Upstream: `pkg/apis/coordination/validation/validation.go`.
fn validate(object: &Value, _: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    if let Some(seconds) = walk::at(spec, "leaseDurationSeconds").as_i64().filter(|n| *n <= 0) {
        errors.push(FieldError::invalid(&path.child("leaseDurationSeconds"), seconds, "must be greater than 0"));
    }
    if let Some(count) = walk::at(spec, "leaseTransitions").as_i64().filter(|n| *n < 0) {
        errors.push(FieldError::invalid(&path.child("leaseTransitions"), count, "must be greater than or equal to 0"));
    }
    let (strategy, holder) = (walk::text(spec, "strategy"), walk::at(spec, "preferredHolder"));
    // Upstream: the field's name stands twice in the path.
    let at = path.child("strategy").child("strategy");
    if strategy.contains('/') {
        errors.extend(api::names::qualified_name(strategy).into_iter().map(|fault| FieldError::invalid(&at, strategy, fault)));
    } else if !strategy.is_empty() && strategy != "OldestEmulationVersion" {
        errors.push(FieldError::not_supported(&at, strategy, &["OldestEmulationVersion"]));
    }
    if strategy.is_empty() && holder.as_str().is_some_and(|h| !h.is_empty()) {
        errors.push(FieldError::forbidden(&path.child("preferredHolder"), "may only be specified if `strategy` is defined"));
    }
    errors
}
