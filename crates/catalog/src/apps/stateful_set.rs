//! StatefulSets.

use api::field::{FieldError, FieldErrors};
use serde_json::{Value, json};

use super::workload;
use crate::check;
use crate::columns::{age, columns, containers, name};
use crate::core::pod::defaults::template;
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
            rules.validate_status = |object, _| workload::counts(object, &["replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"]);
            rules.prepare = |object, old| walk::own_status(object, old, json!({"replicas": 0, "availableReplicas": 0}));
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
    let spec_path = workload::spec(&mut errors, object, None, "statefulset");
    let (policy, path) = (walk::text(object, "spec.podManagementPolicy"), spec_path.child("podManagementPolicy"));
    if !matches!(policy, "OrderedReady" | "Parallel") {
        errors.push(FieldError::invalid(&path, policy, "must be 'OrderedReady' or 'Parallel'"));
    }
    let (strategy, path) = (walk::at(object, "spec.updateStrategy"), spec_path.child("updateStrategy"));
    match walk::text(strategy, "type") {
        "OnDelete" if walk::at(strategy, "rollingUpdate").is_object() => {
            errors.push(FieldError::invalid(&path.child("rollingUpdate"), walk::at(strategy, "rollingUpdate").clone(), "only allowed for updateStrategy 'RollingUpdate'"));
        }
        "OnDelete" => {}
        "RollingUpdate" => check::non_negative(&mut errors, walk::at(strategy, "rollingUpdate"), "partition", &path.child("rollingUpdate")),
        other => errors.push(FieldError::invalid(&path, other, "must be 'RollingUpdate' or 'OnDelete'")),
    }
    for key in ["whenDeleted", "whenScaled"] {
        let path = spec_path.child("persistentVolumeClaimRetentionPolicy").child(key);
        check::maybe_one_of(&mut errors, &path, walk::text(walk::at(object, "spec.persistentVolumeClaimRetentionPolicy"), key), &["Retain", "Delete"]);
    }
    let Some(old) = old else { return errors };
    let mut kept = walk::at(object, "spec").clone();
    for key in ["replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy", "minReadySeconds"] {
        walk::keep(&mut kept, old.get("spec"), key);
    }
    if kept != *walk::at(old, "spec") {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden(&spec_path, detail));
    }
    errors
}
