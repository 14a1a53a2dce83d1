//! StatefulSets.

use serde_json::{Value, json};

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
