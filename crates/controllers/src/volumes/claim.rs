//! What to do about a claim. Pure. Upstream: syncClaim.

use std::sync::Arc;

use client::{Action, EventType, Plan, reference};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, PersistentVolume, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use scheduling::volumes::{BIND_COMPLETED, NO_PROVISIONER, SELECTED_NODE, best_volume, reserved_for, suits};

pub(crate) const BOUND_BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
pub(crate) const PROVISIONER: &str = "volume.kubernetes.io/storage-provisioner";
const BETA_PROVISIONER: &str = "volume.beta.kubernetes.io/storage-provisioner";

pub(crate) struct Observed {
    pub claim: Arc<PersistentVolumeClaim>,
    /// The volume that the claim names; `Some(None)`: it names one that is not there.
    pub named: Option<Option<Arc<PersistentVolume>>>,
    /// The class that the claim names; `Some(None)`: there is none of that name.
    pub class: Option<Option<Arc<StorageClass>>>,
    pub volumes: Vec<Arc<PersistentVolume>>,
}

pub(crate) fn is_unbound(claim: &PersistentVolumeClaim) -> bool {
    !claim.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(BIND_COMPLETED))
}

pub(crate) fn plan(observed: &Observed, _now: Timestamp) -> Plan {
    let claim = &observed.claim;
    if is_unbound(claim) {
        return match &observed.named {
            None => choose(observed),
            Some(None) => phase(claim, "Pending"),
            Some(Some(volume)) => bind_named(claim, volume),
        };
    }
    let told = |reason: &'static str, message: &'static str| {
        let mut plan = phase(claim, "Lost");
        if !plan.actions.is_empty() {
            plan.actions.push(event(claim, EventType::Warning, reason, message));
        }
        plan
    };
    match observed.named.as_ref().and_then(|v| v.as_ref()) {
        None => told("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"),
        Some(volume) if free(volume) || reserved_for(volume, claim) => bind(claim, volume),
        Some(_) => told("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly"),
    }
}

fn free(volume: &PersistentVolume) -> bool {
    volume.spec.as_ref().is_some_and(|s| s.claim_ref.is_none())
}

fn event(claim: &PersistentVolumeClaim, kind: EventType, reason: &'static str, message: impl Into<String>) -> Action {
    Action::event(reference(claim), kind, reason, message)
}

fn choose(observed: &Observed) -> Plan {
    let claim = &observed.claim;
    if claim.metadata.deletion_timestamp.is_some() {
        return Plan::default();
    }
    let class = observed.class.as_ref().and_then(|c| c.as_ref());
    let waits = class.is_some_and(|c| c.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer"));
    let selected = claim.metadata.annotations.as_ref().is_some_and(|a| a.contains_key(SELECTED_NODE));
    if let Some(volume) = observed.volumes.iter().find(|v| reserved_for(v, claim)) {
        return bind(claim, volume);
    }
    let mut plan = phase(claim, "Pending");
    if waits && !selected {
        plan.actions.push(event(claim, EventType::Normal, "WaitForFirstConsumer", "waiting for first consumer to be created before binding"));
        return plan;
    }
    if let Some(volume) = best_volume(claim, observed.volumes.iter()).filter(|_| !waits) {
        return bind(claim, volume);
    }
    match (&observed.class, class) {
        (None, _) => plan.actions.push(event(claim, EventType::Normal, "FailedBinding", "no persistent volumes available for this claim and no storage class is set")),
        (Some(_), None) => {
            let name = scheduling::volumes::class_of_claim(claim);
            plan.actions.push(event(claim, EventType::Warning, "ProvisioningFailed", format!("storageclass.storage.k8s.io {name:?} not found")));
        }
        (Some(_), Some(class)) if class.provisioner == NO_PROVISIONER => {}
        (Some(_), Some(class)) => plan.actions.extend(ask_provisioner(claim, &class.provisioner)),
    }
    plan
}

fn ask_provisioner(claim: &PersistentVolumeClaim, provisioner: &str) -> Vec<Action> {
    let mut after = claim.clone();
    let annotations = after.metadata.annotations.get_or_insert_default();
    annotations.insert(PROVISIONER.into(), provisioner.into());
    annotations.insert(BETA_PROVISIONER.into(), provisioner.into());
    let words = format!(
        "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    );
    let mut actions: Vec<Action> = any_version(Action::update(claim, &after)).into_iter().collect();
    actions.push(event(claim, EventType::Normal, "ExternalProvisioning", words));
    actions
}

fn bind_named(claim: &Arc<PersistentVolumeClaim>, volume: &Arc<PersistentVolume>) -> Plan {
    if reserved_for(volume, claim) {
        return bind(claim, volume);
    }
    if !free(volume) {
        let mut plan = phase(claim, "Pending");
        plan.actions.push(event(claim, EventType::Warning, "FailedBinding", format!("volume {:?} already bound to a different claim.", volume.metadata.name.as_deref().unwrap_or_default())));
        return plan;
    }
    if suits(volume, claim) {
        return bind(claim, volume);
    }
    let mut plan = phase(claim, "Pending");
    let name = volume.metadata.name.as_deref().unwrap_or_default();
    plan.actions.push(event(claim, EventType::Warning, "VolumeMismatch", format!("Cannot bind to requested volume {name:?}: storageClassName does not match")));
    plan
}

fn phase(claim: &PersistentVolumeClaim, phase: &str) -> Plan {
    let mut after = claim.clone();
    let status = after.status.get_or_insert_default();
    status.phase = Some(phase.into());
    if phase == "Pending" {
        status.access_modes = None;
        status.capacity = None;
    }
    Plan::of(Action::update_status(claim, &after))
}

/// Several writes of one object in one plan: only the first is decided on a version, the next follow it.
fn any_version(action: Option<Action>) -> Option<Action> {
    action.map(|mut action| {
        if let Action::Patch { target, .. } = &mut action {
            target.resource_version = None;
        }
        action
    })
}

/// The four writes of a binding, each only if it is still to be done: the volume first.
fn bind(claim: &PersistentVolumeClaim, volume: &PersistentVolume) -> Plan {
    let mut bound = volume.clone();
    let spec = bound.spec.get_or_insert_default();
    let whole = spec.claim_ref.as_ref().is_some_and(|r| r.uid.is_some() && r.uid == claim.metadata.uid);
    if !whole {
        let by_us = spec.claim_ref.is_none();
        spec.claim_ref = Some(ObjectReference {
            kind: Some("PersistentVolumeClaim".into()),
            api_version: Some("v1".into()),
            namespace: claim.metadata.namespace.clone(),
            name: claim.metadata.name.clone(),
            uid: claim.metadata.uid.clone(),
            resource_version: claim.metadata.resource_version.clone(),
            field_path: None,
        });
        if by_us {
            bound.metadata.annotations.get_or_insert_default().insert(BOUND_BY_CONTROLLER.into(), "yes".into());
        }
    }
    let mut plan = Plan::of(Action::update(volume, &bound));
    let mut volume_status = bound.clone();
    volume_status.status.get_or_insert_default().phase = Some("Bound".into());
    plan.actions.extend(any_version(Action::update_status(&bound, &volume_status)));
    let mut named = claim.clone();
    let spec = named.spec.get_or_insert_default();
    let annotations = named.metadata.annotations.get_or_insert_default();
    if spec.volume_name != volume.metadata.name {
        spec.volume_name.clone_from(&volume.metadata.name);
        annotations.insert(BOUND_BY_CONTROLLER.into(), "yes".into());
    }
    annotations.insert(BIND_COMPLETED.into(), "yes".into());
    plan.actions.extend(Action::update(claim, &named));
    let mut done = named.clone();
    let status = done.status.get_or_insert_default();
    status.phase = Some("Bound".into());
    status.access_modes = volume.spec.as_ref().and_then(|s| s.access_modes.clone());
    let capacity = volume.spec.as_ref().and_then(|s| s.capacity.as_ref()).and_then(|c| c.get("storage"));
    status.capacity = capacity.map(|c| [("storage".to_owned(), c.clone())].into());
    plan.actions.extend(any_version(Action::update_status(&named, &done)));
    plan
}
