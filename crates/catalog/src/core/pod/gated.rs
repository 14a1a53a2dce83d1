//! Where a pod that still waits at its gates may be told to go: only closer.
//!
//! Upstream: `validateNodeSelectorMutation` and `validateNodeAffinityMutation` in `pkg/apis/core/validation/validation.go`.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::Value;

use crate::walk;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// Judges `new` against `old`, and puts what was judged back into `munged` as it was.
pub fn check(errors: &mut FieldErrors, munged: &mut Value, new: &Value, old: &Value, path: &Path) {
    selector(errors, new, old, &path.child("nodeSelector"));
    node_affinity(errors, walk::at(new, "affinity.nodeAffinity"), walk::at(old, "affinity.nodeAffinity"), &path.child("affinity").child("nodeAffinity"));
    walk::keep(munged, Some(old), "nodeSelector");
    restore_affinity(munged, old);
}

/// Gates are only taken away.
pub fn gates(errors: &mut FieldErrors, new: &Value, old: &Value, path: &Path) {
    let before = walk::list(old, "schedulingGates");
    for (i, gate) in walk::list(new, "schedulingGates").iter().enumerate().filter(|(_, gate)| !before.contains(gate)) {
        errors.push(FieldError::forbidden(&path.child("schedulingGates").index(i).child("name"), format!("only deletion is allowed, but found new scheduling gate '{}'", walk::text(gate, "name"))));
    }
}

fn selector(errors: &mut FieldErrors, new: &Value, old: &Value, path: &Path) {
    let now = walk::at(new, "nodeSelector");
    if walk::map(old, "nodeSelector").into_iter().flatten().any(|(key, value)| now.get(key) != Some(value)) {
        errors.push(FieldError::invalid(path, now.clone(), "only additions to spec.nodeSelector are allowed (no mutations or deletions)"));
    }
}

fn node_affinity(errors: &mut FieldErrors, new: &Value, old: &Value, path: &Path) {
    let terms = |affinity| walk::list(walk::at(affinity, REQUIRED), "nodeSelectorTerms");
    let (now, before, path) = (terms(new), terms(old), path.child(REQUIRED).child("nodeSelectorTerms"));
    if before.is_empty() {
        return;
    }
    if now.len() != before.len() {
        return errors.push(FieldError::invalid(&path, now.to_vec(), "no additions/deletions to non-empty NodeSelectorTerms list are allowed"));
    }
    for (i, (now, before)) in now.iter().zip(before).enumerate() {
        if !only_adds(now, before) {
            errors.push(FieldError::invalid(&path.index(i), now.clone(), "only additions are allowed (no mutations or deletions)"));
        }
    }
}

/// A term that asked for nothing matches nothing, so it may not begin to ask.
fn only_adds(now: &Value, before: &Value) -> bool {
    let lists = ["matchExpressions", "matchFields"].map(|key| (walk::list(now, key), walk::list(before, key)));
    if lists.iter().all(|(_, before)| before.is_empty()) {
        return lists.iter().all(|(now, _)| now.is_empty());
    }
    lists.iter().all(|(now, before)| now.starts_with(before))
}

fn restore_affinity(munged: &mut Value, old: &Value) {
    if walk::at(munged, "affinity.nodeAffinity") == walk::at(old, "affinity.nodeAffinity") {
        return;
    }
    let had = old.get("affinity").is_some_and(Value::is_object);
    if let Some(affinity) = walk::object_mut(munged, "affinity") {
        match old.get("affinity").and_then(|affinity| affinity.get("nodeAffinity")) {
            Some(value) => affinity.insert("nodeAffinity".into(), value.clone()),
            None => affinity.remove("nodeAffinity"),
        };
        if affinity.is_empty() && !had {
            walk::keep(munged, Some(old), "affinity");
        }
    }
}
