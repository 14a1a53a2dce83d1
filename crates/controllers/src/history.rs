//! Revisions of templates as ControllerRevisions, for daemon sets and stateful sets. Pure.
//!
//! Equal templates are one revision: going back gives an old one a new number. Upstream: pkg/controller/history.

use std::sync::Arc;

use client::Action;
use k8s_openapi::api::apps::v1::ControllerRevision;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::runtime::RawExtension;
use serde_json::{Value, json};

use crate::deployment::{Fnv32, safe_encode};

const HASH: &str = "controller.kubernetes.io/hash";
pub(crate) const POD_LABEL: &str = "controller-revision-hash";

/// The owner of a history.
pub(crate) struct Owner<'a> {
    pub meta: &'a ObjectMeta,
    pub reference: OwnerReference,
    pub template: &'a PodTemplateSpec,
    pub collisions: Option<i32>,
    pub limit: usize,
}

/// The revision of the owner's template as it is now, and the writes that make it so.
pub(crate) struct Current {
    pub name: String,
    pub hash: String,
    pub actions: Vec<Action>,
}

pub(crate) fn hash_of(revision: &ControllerRevision) -> &str {
    let labels = revision.metadata.labels.as_ref();
    labels.and_then(|l| l.get(HASH).or_else(|| l.get(POD_LABEL))).map_or("", String::as_str)
}

/// What kubectl applies to go back: the template, whole.
// Upstream: clients compare these bytes with their own encoding of the template, which writes some fields even when empty.
fn data_of(template: &PodTemplateSpec) -> Value {
    let mut template = serde_json::to_value(template).unwrap_or_default();
    template["metadata"]["creationTimestamp"] = Value::Null;
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for container in template["spec"].get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if container.get("resources").is_none() {
                container["resources"] = json!({});
            }
        }
    }
    template["$patch"] = json!("replace");
    json!({"spec": {"template": template}})
}

pub(crate) fn template_of(revision: &ControllerRevision) -> Option<PodTemplateSpec> {
    let mut template = revision.data.0.get("spec")?.get("template")?.clone();
    template.as_object_mut()?.remove("$patch");
    serde_json::from_value(template).ok()
}

/// `known`: the revisions that the owner controls.
pub(crate) fn current(owner: &Owner<'_>, known: &[Arc<ControllerRevision>]) -> Current {
    let data = data_of(owner.template);
    let newest = known.iter().filter_map(|r| r.revision).max().unwrap_or(0);
    // Compared as templates: a revision written by another hand may order or default differently.
    let equal = known.iter().filter(|r| r.data.0 == data || template_of(r).as_ref() == Some(owner.template)).max_by_key(|r| r.revision);
    if let Some(found) = equal {
        let mut actions = Vec::new();
        if found.revision < Some(newest) {
            let mut renewed = (**found).clone();
            renewed.revision = Some(newest + 1);
            actions.extend(Action::update(&**found, &renewed));
        }
        return Current { name: found.metadata.name.clone().unwrap_or_default(), hash: hash_of(found).to_owned(), actions };
    }
    let mut hash = Fnv32::default();
    hash.write(&serde_json::to_vec(&data).unwrap_or_default());
    if let Some(collisions) = owner.collisions {
        hash.write(&collisions.to_le_bytes());
    }
    let hash = safe_encode(&hash.0.to_string());
    let name = format!("{}-{hash}", owner.meta.name.as_deref().unwrap_or_default());
    let mut labels = owner.template.metadata.as_ref().and_then(|m| m.labels.clone()).unwrap_or_default();
    labels.insert(HASH.into(), hash.clone());
    labels.insert(POD_LABEL.into(), hash.clone());
    let revision = ControllerRevision {
        metadata: ObjectMeta {
            name: Some(name.clone()),
            namespace: owner.meta.namespace.clone(),
            labels: Some(labels),
            annotations: owner.meta.annotations.clone(),
            owner_references: Some(vec![owner.reference.clone()]),
            ..ObjectMeta::default()
        },
        data: RawExtension(data),
        revision: Some(newest + 1),
    };
    Current { name, hash, actions: vec![Action::create(&revision)] }
}

/// Drops the oldest beyond the limit; those in `live` (by name) stay.
pub(crate) fn trim(known: &[Arc<ControllerRevision>], live: &[&str], limit: usize) -> Vec<Action> {
    let mut idle: Vec<_> = known.iter().filter(|r| !live.contains(&r.metadata.name.as_deref().unwrap_or_default())).collect();
    idle.sort_by_key(|r| r.revision);
    let surplus = idle.len().saturating_sub(limit);
    idle.into_iter().take(surplus).map(|r| Action::delete(&**r)).collect()
}

