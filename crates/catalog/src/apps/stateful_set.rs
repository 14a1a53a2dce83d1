//! StatefulSets.

use api::field::{FieldError, FieldErrors, Path};
use serde_json::{Value, json};

use super::workload;
use crate::check;
use crate::columns::{age, columns, containers, name};
use crate::core::pod::{defaults::template, disabled};
use crate::resource::Resource;
use crate::walk::{self, fill, fill_text, made};

pub fn resource() -> Resource {
    Resource::new("apps", "v1", "StatefulSet", "statefulsets", true)
        .short(&["sts"])
        .in_all()
        .scale()
        .status()
        .rules(|rules| {
            rules.default = default;
            rules.validate = validate;
            rules.warn = super::warnings::stateful_set;
            rules.validate_status = |object, _| workload::counts(object, &["replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"]);
            rules.prepare = |object, old| {
                walk::own_status(object, old, json!({"replicas": 0, "availableReplicas": 0}));
                disabled::drop(object, old, "spec.template.spec");
            };
        })
        .columns(columns(&["Name", "Ready", "Age", "+Containers", "+Images"]), |object, now| {
            let [names, images] = containers(walk::at(object, "spec.template.spec"));
            vec![name(object), format!("{}/{}", walk::int(object, "status.readyReplicas"), walk::int(object, "spec.replicas")).into(), age(object, now), names, images]
        })
}

/// Upstream: `pkg/apis/apps/v1/defaults.go`; conversion names the kind of the claims.
fn default(object: &mut Value) {
    template(object, "spec.template");
    let Some(spec) = walk::existing_mut(object, "spec") else { return };
    fill_text(spec, "podManagementPolicy", "OrderedReady");
    if let Some(strategy) = made(spec, "updateStrategy") {
        if strategy.get("type").is_none_or(|t| t == "") {
            strategy.insert("type".into(), "RollingUpdate".into());
            fill(strategy, "rollingUpdate", json!({}));
        }
        if strategy["type"] == "RollingUpdate"
            && let Some(rolling) = walk::child(strategy, "rollingUpdate")
        {
            fill(rolling, "partition", 0);
        }
    }
    if let Some(retention) = made(spec, "persistentVolumeClaimRetentionPolicy") {
        fill_text(retention, "whenDeleted", "Retain");
        fill_text(retention, "whenScaled", "Retain");
    }
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    for claim in walk::items(spec, "volumeClaimTemplates") {
        claim.insert("apiVersion".into(), "v1".into());
        claim.insert("kind".into(), "PersistentVolumeClaim".into());
        if let Some(spec) = walk::child(claim, "spec") {
            fill(spec, "volumeMode", "Filesystem");
        }
        if let Some(status) = made(claim, "status") {
            fill_text(status, "phase", "Pending");
        }
    }
}

/// Upstream: `ValidateStatefulSetUpdate`: most of a set is fixed once it is made.
fn validate(object: &Value, old: Option<&Value>) -> FieldErrors {
    let mut errors = FieldErrors::new();
    let (spec, path) = (walk::at(object, "spec"), Path::new("spec"));
    let (policy, policy_path) = (walk::text(spec, "podManagementPolicy"), path.child("podManagementPolicy"));
    if !matches!(policy, "OrderedReady" | "Parallel") {
        errors.push(FieldError::invalid(&policy_path, policy, "must be 'OrderedReady' or 'Parallel'"));
    }
    update_strategy(&mut errors, walk::at(spec, "updateStrategy"), &path.child("updateStrategy"));
    for key in ["whenDeleted", "whenScaled"] {
        let path = path.child("persistentVolumeClaimRetentionPolicy").child(key);
        check::maybe_one_of(&mut errors, &path, walk::text(walk::at(spec, "persistentVolumeClaimRetentionPolicy"), key), &["Retain", "Delete"]);
    }
    let start = walk::int(spec, "ordinals.start");
    workload::spec(&mut errors, object, None, "statefulset");
    if start < 0 {
        errors.push(FieldError::invalid(&path.child("ordinals").child("start"), start, check::NEGATIVE));
    }
    let Some(old) = old else { return errors };
    let mut kept = spec.clone();
    for key in ["replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds"] {
        walk::keep(&mut kept, old.get("spec"), key);
    }
    if kept != *walk::at(old, "spec") {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden(&path, detail));
    }
    errors
}

fn update_strategy(errors: &mut FieldErrors, strategy: &Value, path: &Path) {
    let (rolling, rolling_path) = (walk::at(strategy, "rollingUpdate"), path.child("rollingUpdate"));
    match walk::text(strategy, "type") {
        "OnDelete" if rolling.is_object() => errors.push(FieldError::invalid(&rolling_path, rolling.clone(), "only allowed for updateStrategy 'RollingUpdate'")),
        "OnDelete" => {}
        "RollingUpdate" => rolling_update(errors, rolling, &rolling_path),
        other => errors.push(FieldError::invalid(path, other, "must be 'RollingUpdate' or 'OnDelete'")),
    }
}

/// Upstream: `validateRollingUpdateStatefulSet`.
fn rolling_update(errors: &mut FieldErrors, rolling: &Value, path: &Path) {
    check::non_negative(errors, rolling, "partition", path);
    let (missing, path) = (walk::at(rolling, "maxUnavailable"), path.child("maxUnavailable"));
    if missing.is_null() {
        return;
    }
    check::count_or_percent(errors, &path, missing);
    // Upstream: what is no percentage counts as none.
    if check::is_zero(missing) || (missing.is_string() && check::percent(missing).is_none()) {
        errors.push(FieldError::invalid(&path, missing.clone(), "cannot be 0"));
    }
    check::not_over_100_percent(errors, &path, missing);
}
