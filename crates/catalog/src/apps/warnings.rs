//! What whoever writes a workload is told though nothing is wrong. Upstream: the strategies of `pkg/registry/apps`.

use api::meta;
use serde_json::Value;

use crate::core::persistent_volume_claim;
use crate::core::pod::warnings::of_template;
use crate::walk;

/// Pods and their hosts are named after these kinds.
pub fn name(told: &mut Vec<String>, object: &Value) {
    let faults = api::names::dns1123_label(meta::name(object));
    if !faults.is_empty() {
        told.push(format!("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: [{}]", faults.join(" ")));
    }
}

/// Whether an update changed what its writer wishes.
pub fn is_changed(object: &Value, old: &Value) -> bool {
    meta::generation(object) != meta::generation(old)
}

/// Of Deployments and ReplicaSets.
pub fn replicated(object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    if old.is_none() {
        name(&mut told, object);
    }
    if old.is_none_or(|old| is_changed(object, old)) {
        of_template(&mut told, walk::at(object, "spec.template"), "spec.template.");
    }
    told
}

/// Of ReplicationControllers.
// Upstream: an update is told of the template that was, not of the one that is.
pub fn replication_controller(object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    match old {
        None => return replicated(object, None),
        Some(old) if is_changed(object, old) => of_template(&mut told, walk::at(old, "spec.template"), "spec.template."),
        Some(_) => {}
    }
    told
}

/// Of DaemonSets: when the template is another.
pub fn daemon_set(object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    let template = walk::at(object, "spec.template");
    if old.is_none_or(|old| template != walk::at(old, "spec.template")) {
        of_template(&mut told, template, "spec.template.");
    }
    told
}

/// Of StatefulSets, and of the claims they make.
pub fn stateful_set(object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut told = Vec::new();
    if old.is_none_or(|old| is_changed(object, old)) {
        of_template(&mut told, walk::at(object, "spec.template"), "spec.template.");
    }
    // Upstream: only an update's path has this part.
    let spec = if old.is_some() { ".Spec" } else { "" };
    for (i, claim) in walk::list(object, "spec.volumeClaimTemplates").iter().enumerate() {
        persistent_volume_claim::warn_spec(&mut told, &claim["spec"], format_args!("spec.volumeClaimTemplates[{i}]{spec}"));
    }
    if walk::int(object, "spec.revisionHistoryLimit") < 0 {
        told.push("spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended".into());
    }
    told
}
