//! What to do about a volume. Pure. Upstream: syncVolume.

use std::sync::Arc;

use client::{Action, EventType, ObjectKey, Plan, reference};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};

use super::claim::BOUND_BY_CONTROLLER;

pub(crate) const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";

pub(crate) struct Observed {
    pub volume: Arc<PersistentVolume>,
    /// The claim that the volume names, if it still is that claim.
    pub claim: Option<Arc<PersistentVolumeClaim>>,
}

pub(crate) fn claim_key(volume: &PersistentVolume) -> Option<ObjectKey> {
    let reference = volume.spec.as_ref()?.claim_ref.as_ref()?;
    Some(ObjectKey::new(reference.namespace.clone()?, reference.name.clone()?))
}

pub(crate) fn plan(observed: &Observed, _now: Timestamp) -> Plan {
    let volume = &*observed.volume;
    let Some(owner) = volume.spec.as_ref().and_then(|s| s.claim_ref.as_ref()) else { return phase(volume, "Available", None) };
    // Reserved by an administrator, before the claim came.
    if owner.uid.as_ref().is_none_or(String::is_empty) {
        return phase(volume, "Available", None);
    }
    let annotated = |key: &str| volume.metadata.annotations.as_ref().and_then(|a| a.get(key));
    let policy = volume.spec.as_ref().and_then(|s| s.persistent_volume_reclaim_policy.as_deref()).unwrap_or("Retain");
    match &observed.claim {
        None => release(volume, policy, annotated(PROVISIONED_BY).is_some()),
        Some(claim) => {
            let named = claim.spec.as_ref().and_then(|s| s.volume_name.as_deref()).unwrap_or_default();
            if named.is_empty() {
                // The claim's own turn writes its side.
                Plan::default()
            } else if Some(named) == volume.metadata.name.as_deref() {
                phase(volume, "Bound", None)
            } else if annotated(PROVISIONED_BY).is_some() && policy == "Delete" {
                release(volume, policy, true)
            } else {
                unbind(volume, annotated(BOUND_BY_CONTROLLER).is_some())
            }
        }
    }
}

fn phase(volume: &PersistentVolume, phase: &str, message: Option<&str>) -> Plan {
    let mut after = volume.clone();
    let status = after.status.get_or_insert_default();
    status.phase = Some(phase.into());
    status.message = message.map(str::to_owned);
    Plan::of(Action::update_status(volume, &after))
}

/// The claim is gone. Who made the volume removes it, if the policy says so.
fn release(volume: &PersistentVolume, policy: &str, provisioned: bool) -> Plan {
    if volume.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Failed") {
        return Plan::default();
    }
    let mut plan = phase(volume, "Released", None);
    match policy {
        "Delete" if !provisioned => {
            let words = "error getting deleter volume plugin for volume: no volume plugin matched";
            plan = phase(volume, "Failed", Some(words));
            plan.actions.push(Action::event(reference(volume), EventType::Warning, "VolumeFailedDelete", words));
        }
        "Recycle" => {
            let words = "No recycler plugin found for the volume!";
            plan = phase(volume, "Failed", Some(words));
            plan.actions.push(Action::event(reference(volume), EventType::Warning, "VolumeFailedRecycle", words));
        }
        _ => {}
    }
    plan
}

/// The claim took another volume: this one is free again.
fn unbind(volume: &PersistentVolume, by_controller: bool) -> Plan {
    let mut after = volume.clone();
    if let Some(spec) = &mut after.spec {
        if by_controller {
            spec.claim_ref = None;
        } else if let Some(owner) = &mut spec.claim_ref {
            owner.uid = None;
            owner.resource_version = None;
        }
    }
    if let Some(annotations) = &mut after.metadata.annotations {
        annotations.remove(BOUND_BY_CONTROLLER);
    }
    Plan::of(Action::update(volume, &after))
}
