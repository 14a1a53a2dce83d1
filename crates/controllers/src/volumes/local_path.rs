//! The provisioner `knarr.io/local-path`: a folder on the chosen node for each claim, gone with its volume.
//!
//! Runs wherever volumes are to be made and touches only folders that it names itself: `DIR/pvc-<uid of the claim>`.
//! It keeps true: the folder is there before its volume is, and gone before its volume is.

use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use client::{Action, Announce, Controller, Error, EventType, Informer, ObjectKey, Plan, Shell, WorkQueue, reference, run_controller};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LocalVolumeSource, Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, PersistentVolume, PersistentVolumeClaim, PersistentVolumeSpec, VolumeNodeAffinity};
use k8s_openapi::api::storage::v1::StorageClass;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use scheduling::volumes::{SELECTED_NODE, class_of_claim};
use tokio::task::JoinSet;

use super::claim::PROVISIONER;
use super::volume::PROVISIONED_BY;
use crate::caches::Caches;

const NAME: &str = "knarr.io/local-path";
const HOST_NAME: &str = "kubernetes.io/hostname";

struct Provisioner {
    claims: Informer<PersistentVolumeClaim>,
    volumes: Informer<PersistentVolume>,
    classes: Informer<StorageClass>,
    nodes: Informer<Node>,
    folder: PathBuf,
    node_name: String,
}

pub(crate) enum Observed {
    /// The folder of the claim, made; or why it could not be.
    Claim { claim: Arc<PersistentVolumeClaim>, class: Arc<StorageClass>, host_name: String, folder: Result<PathBuf, String> },
    /// The folder of a released volume, removed; or why it could not be.
    Volume { volume: Arc<PersistentVolume>, removed: Result<(), String> },
}

pub(crate) fn start(caches: &Caches, shell: &Shell, folder: &Path, node_name: &str, tasks: &mut JoinSet<()>) {
    let informers = &caches.informers;
    let controller = Provisioner { claims: informers.get(), volumes: informers.get(), classes: informers.get(), nodes: caches.nodes.clone(), folder: folder.to_owned(), node_name: node_name.to_owned() };
    let queue: WorkQueue<ObjectKey> = WorkQueue::default();
    let on_claim = queue.clone();
    controller.claims.on_change(move |change| on_claim.add(ObjectKey::of(&**change.object())));
    let on_volume = queue.clone();
    controller.volumes.on_change(move |change| on_volume.add(ObjectKey::of(&**change.object())));
    let mut shell = shell.clone();
    shell.executor = shell.executor.named(NAME);
    tasks.spawn(run_controller(controller, queue, shell, 2));
}

fn annotation<'m>(meta: &'m ObjectMeta, key: &str) -> Option<&'m str> {
    meta.annotations.as_ref()?.get(key).map(String::as_str)
}

impl Provisioner {
    fn host_name(&self) -> String {
        let node = self.nodes.get("", &self.node_name);
        let label = node.and_then(|n| n.metadata.labels.as_ref()?.get(HOST_NAME).cloned());
        label.unwrap_or_else(|| self.node_name.clone())
    }

    fn wants(&self, claim: &PersistentVolumeClaim) -> Option<Arc<StorageClass>> {
        let named = claim.spec.as_ref().and_then(|s| s.volume_name.as_deref()).is_some_and(|n| !n.is_empty());
        if named || claim.metadata.deletion_timestamp.is_some() || annotation(&claim.metadata, PROVISIONER) != Some(NAME) {
            return None;
        }
        let class = self.classes.get("", class_of_claim(claim)).filter(|c| c.provisioner == NAME)?;
        let waits = class.volume_binding_mode.as_deref() == Some("WaitForFirstConsumer");
        match annotation(&claim.metadata, SELECTED_NODE) {
            Some(node) if node == self.node_name => Some(class),
            None if !waits => Some(class),
            _ => None,
        }
    }

    /// Released, ours, on this node, to be deleted.
    fn unwanted(&self, volume: &PersistentVolume) -> bool {
        let spec = volume.spec.as_ref();
        let released = volume.status.as_ref().and_then(|s| s.phase.as_deref()) == Some("Released");
        let path = spec.and_then(|s| s.local.as_ref()).map(|l| Path::new(&l.path));
        released
            && annotation(&volume.metadata, PROVISIONED_BY) == Some(NAME)
            && spec.and_then(|s| s.persistent_volume_reclaim_policy.as_deref()) == Some("Delete")
            && path == self.folder_of(volume.metadata.name.as_deref().unwrap_or_default()).as_deref()
            && self.nodes.get("", &self.node_name).is_none_or(|n| scheduling::volumes::reachable(volume, &n))
    }

    /// Only names of the form that this provisioner gives lead to a folder.
    fn folder_of(&self, volume: &str) -> Option<PathBuf> {
        let uid = volume.strip_prefix("pvc-")?;
        let plain = !uid.is_empty() && uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        plain.then(|| self.folder.join(volume))
    }
}

fn volume_name(claim: &PersistentVolumeClaim) -> String {
    format!("pvc-{}", claim.metadata.uid.as_deref().unwrap_or_default())
}

impl Controller for Provisioner {
    const NAME: &'static str = "local-path-provisioner";
    type Key = ObjectKey;
    type Observed = Observed;

    async fn observe(&self, key: &ObjectKey) -> Result<Option<Observed>, Error> {
        if key.namespace.is_empty() {
            let Some(volume) = self.volumes.get_key(key).filter(|v| self.unwanted(v)) else { return Ok(None) };
            let Some(folder) = self.folder_of(&key.name) else { return Ok(None) };
            let removed = tokio::task::spawn_blocking(move || remove_folder(&folder)).await.unwrap_or_else(|e| Err(e.to_string()));
            return Ok(Some(Observed::Volume { volume, removed }));
        }
        let Some(claim) = self.claims.get_key(key) else { return Ok(None) };
        let Some(class) = self.wants(&claim).filter(|_| self.volumes.get("", &volume_name(&claim)).is_none()) else { return Ok(None) };
        let Some(folder) = self.folder_of(&volume_name(&claim)) else { return Ok(None) };
        let made = tokio::task::spawn_blocking(move || make_folder(folder)).await.unwrap_or_else(|e| Err(e.to_string()));
        Ok(Some(Observed::Claim { claim, class, host_name: self.host_name(), folder: made }))
    }

    fn plan(observed: Observed, _now: Timestamp) -> Plan {
        match observed {
            Observed::Claim { claim, class, host_name, folder: Ok(folder) } => provision(&claim, &class, host_name, &folder),
            Observed::Claim { claim, folder: Err(why), .. } => fail(&*claim, "ProvisioningFailed", why),
            Observed::Volume { volume, removed: Ok(()) } => Plan::of([Action::delete(&*volume)]),
            Observed::Volume { volume, removed: Err(why) } => fail(&*volume, "VolumeFailedDelete", why),
        }
    }
}

fn fail<K: kube::Resource<DynamicType = ()>>(object: &K, reason: &'static str, why: String) -> Plan {
    let mut plan = Plan::of([Action::event(reference(object), EventType::Warning, reason, why)]);
    plan.wake_after(std::time::Duration::from_secs(15));
    plan
}

fn provision(claim: &PersistentVolumeClaim, class: &StorageClass, host_name: String, folder: &Path) -> Plan {
    let name = volume_name(claim);
    let spec = claim.spec.clone().unwrap_or_default();
    if spec.volume_mode.as_deref() == Some("Block") {
        return fail(claim, "ProvisioningFailed", format!("{NAME} makes folders: volumeMode Block is not supported"));
    }
    let here = NodeSelectorRequirement { key: HOST_NAME.into(), operator: "In".into(), values: Some(vec![host_name]) };
    let term = NodeSelectorTerm { match_expressions: Some(vec![here]), match_fields: None };
    let mut claim_ref = reference(claim);
    claim_ref.resource_version.clone_from(&claim.metadata.resource_version);
    let volume = PersistentVolume {
        metadata: ObjectMeta { name: Some(name.clone()), annotations: Some([(PROVISIONED_BY.to_owned(), NAME.to_owned())].into()), ..ObjectMeta::default() },
        spec: Some(PersistentVolumeSpec {
            access_modes: spec.access_modes,
            capacity: spec.resources.and_then(|r| r.requests),
            claim_ref: Some(claim_ref),
            local: Some(LocalVolumeSource { path: folder.to_string_lossy().into_owned(), fs_type: None }),
            mount_options: class.mount_options.clone(),
            node_affinity: Some(VolumeNodeAffinity { required: Some(NodeSelector { node_selector_terms: vec![term] }) }),
            persistent_volume_reclaim_policy: Some(class.reclaim_policy.clone().unwrap_or_else(|| "Delete".into())),
            storage_class_name: class.metadata.name.clone(),
            volume_mode: Some("Filesystem".into()),
            ..PersistentVolumeSpec::default()
        }),
        status: None,
    };
    let words = Announce {
        regarding: reference(claim),
        done: Some(("ProvisioningSucceeded", format!("Successfully provisioned volume {name}"))),
        failed: Some(("ProvisioningFailed", "Error saving volume: {error}".into())),
    };
    Plan::of([Action::create(&volume).or_exists().announced(words)])
}

/// Everybody may write: the pods that will use it run as anybody.
fn make_folder(folder: PathBuf) -> Result<PathBuf, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
    if let Some(parent) = folder.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(failed)?;
    }
    match std::fs::create_dir(&folder) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && folder.symlink_metadata().is_ok_and(|m| m.is_dir()) => {}
        Err(e) => return Err(failed(e)),
    }
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).map_err(failed)?;
    Ok(folder)
}

/// Links inside are removed as links: `remove_dir_all` follows none.
fn remove_folder(folder: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(format!("{}: {e}", folder.display())),
        _ => Ok(()),
    }
}
