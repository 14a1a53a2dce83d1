//! Volumes of a pod: made before its containers, kept current while it runs, taken down after it.
//!
//! Never removes what it did not make: host paths and claims are left as they are.

mod atomic;
mod claim;
pub mod payload;
pub mod place;
pub mod subpath;
pub mod token;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, Pod, ProjectedVolumeSource, Volume, VolumeProjection};

use self::payload::{DEFAULT_MODE, Payload};
use crate::agent::Agent;
use crate::make::resources::pod_totals;
use crate::make::security::{pod_context, run_as_user};

/// Where each volume lies on the node.
#[derive(Clone, Debug, Default)]
pub struct Mounted {
    pub paths: BTreeMap<String, PathBuf>,
    /// When a token has to be renewed.
    pub renew_at: Option<Timestamp>,
}

/// Makes or refreshes all volumes. The error is upstream's event text.
pub async fn mount_all(agent: &Agent, pod: &Pod) -> Result<Mounted, String> {
    let mut mounted = Mounted::default();
    for volume in pod.spec.iter().flat_map(|s| s.volumes.iter().flatten()) {
        let path = mount_one(agent, pod, volume, &mut mounted.renew_at).await.map_err(|e| format!("MountVolume.SetUp failed for volume {:?} : {e}", volume.name))?;
        mounted.paths.insert(volume.name.clone(), path);
    }
    Ok(mounted)
}

async fn mount_one(agent: &Agent, pod: &Pod, volume: &Volume, renew: &mut Option<Timestamp>) -> Result<PathBuf, String> {
    let uid = pod.metadata.uid.as_deref().unwrap_or_default();
    let at = |plugin: &str| agent.paths.volume(uid, plugin, &volume.name);
    if let Some(source) = &volume.empty_dir {
        return empty_dir(pod, source, &at("empty-dir")).map_err(|e| e.to_string());
    }
    if let Some(source) = &volume.host_path {
        return place::host_path(source);
    }
    if let Some(claim) = &volume.persistent_volume_claim {
        return claim::mount(agent, pod, &claim.claim_name).await;
    }
    if volume.ephemeral.is_some() {
        let name = format!("{}-{}", pod.metadata.name.as_deref().unwrap_or_default(), volume.name);
        return claim::mount(agent, pod, &name).await;
    }
    let (plugin, in_memory) = if volume.config_map.is_some() {
        ("configmap", false)
    } else if volume.secret.is_some() {
        ("secret", true)
    } else if volume.downward_api.is_some() {
        ("downward-api", false)
    } else if volume.projected.is_some() {
        ("projected", true)
    } else {
        return Err(format!("no volume plugin matched for volume {}", volume.name));
    };
    let payload = payload_of(agent, pod, volume, renew).await?;
    let group = fs_group(pod);
    let dir = at(plugin);
    let made = tokio::task::spawn_blocking(move || write_files(&dir, in_memory, &payload, group).map(|()| dir)).await;
    made.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}

fn write_files(dir: &Path, in_memory: bool, payload: &Payload, group: Option<u32>) -> std::io::Result<()> {
    if in_memory {
        place::mount_memory(dir, None)?;
    }
    place::make_dir(dir, 0o777)?;
    if let Some(group) = group {
        std::os::unix::fs::chown(dir, None, Some(group))?;
        std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o2777))?;
    }
    atomic::write(dir, payload, group).map(|_| ())
}

fn fs_group(pod: &Pod) -> Option<u32> {
    pod_context(pod)?.fs_group.and_then(|g| u32::try_from(g).ok())
}

/// The user of all containers, when they share one: upstream lets it read projected tokens.
fn common_user(pod: &Pod) -> Option<u32> {
    let mut users = pod_lifecycle::containers(pod).into_iter().map(|c| run_as_user(pod, &c.container));
    let first = users.next()??;
    users.all(|u| u == Some(first)).then(|| u32::try_from(first).ok()).flatten()
}

fn empty_dir(pod: &Pod, source: &EmptyDirVolumeSource, path: &Path) -> std::io::Result<PathBuf> {
    let limit = source.size_limit.as_ref().and_then(|q| q.0.parse::<quantity::Quantity>().ok()).map(|q| q.value()).filter(|b| *b > 0);
    let mode = payload::mode(source.mode, 0o777);
    match source.medium.as_deref().unwrap_or_default() {
        "Memory" => {
            let of_pod = pod_totals(pod).memory_limit.filter(|b| *b > 0);
            let bytes = [limit, of_pod].into_iter().flatten().min();
            place::mount_memory(path, bytes)?;
        }
        medium if medium.starts_with("HugePages") => return Err(std::io::Error::other("hugepages medium is not available on this node")),
        _ => {}
    }
    let fresh = !path.is_dir() || std::fs::read_dir(path)?.next().is_none();
    if fresh {
        place::make_dir(path, mode)?;
    }
    if let Some(group) = fs_group(pod).filter(|_| fresh) {
        std::os::unix::fs::chown(path, None, Some(group))?;
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode | 0o2000))?;
    }
    Ok(path.to_path_buf())
}

async fn payload_of(agent: &Agent, pod: &Pod, volume: &Volume, renew: &mut Option<Timestamp>) -> Result<Payload, String> {
    let mut out = Payload::new();
    let allocatable = |name: &str| agent.allocatable(name);
    if let Some(source) = &volume.config_map {
        let (mode, user) = (payload::mode(source.default_mode, DEFAULT_MODE), payload::user(source.default_user));
        let (data, found) = config_map(agent, pod, &source.name, source.optional).await?;
        payload::from_keys(&data, source.items.as_deref().filter(|_| found), mode, user, source.optional == Some(true), "configmap", &mut out)?;
    } else if let Some(source) = &volume.secret {
        let (mode, user) = (payload::mode(source.default_mode, DEFAULT_MODE), payload::user(source.default_user));
        let name = source.secret_name.clone().unwrap_or_default();
        let (data, found) = secret(agent, pod, &name, source.optional).await?;
        payload::from_keys(&data, source.items.as_deref().filter(|_| found), mode, user, source.optional == Some(true), "secret", &mut out)?;
    } else if let Some(source) = &volume.downward_api {
        let (mode, user) = (payload::mode(source.default_mode, DEFAULT_MODE), payload::user(source.default_user));
        payload::from_downward(pod, source.items.as_deref().unwrap_or_default(), mode, user, &allocatable, &mut out)?;
    } else if let Some(source) = &volume.projected {
        for one in source.sources.iter().flatten() {
            project(agent, pod, source, one, &mut out, renew).await?;
        }
    }
    Ok(out)
}

async fn project(agent: &Agent, pod: &Pod, volume: &ProjectedVolumeSource, one: &VolumeProjection, out: &mut Payload, renew: &mut Option<Timestamp>) -> Result<(), String> {
    let (mode, user) = (payload::mode(volume.default_mode, DEFAULT_MODE), payload::user(volume.default_user));
    if let Some(source) = &one.config_map {
        let (data, found) = config_map(agent, pod, &source.name, source.optional).await?;
        payload::from_keys(&data, source.items.as_deref().filter(|_| found), mode, user, source.optional == Some(true), "configmap", out)?;
    } else if let Some(source) = &one.secret {
        let (data, found) = secret(agent, pod, &source.name, source.optional).await?;
        payload::from_keys(&data, source.items.as_deref().filter(|_| found), mode, user, source.optional == Some(true), "secret", out)?;
    } else if let Some(source) = &one.downward_api {
        payload::from_downward(pod, source.items.as_deref().unwrap_or_default(), mode, user, &|name: &str| agent.allocatable(name), out)?;
    } else if let Some(source) = &one.service_account_token {
        let (token, renew_at) = agent.tokens.get(pod, source.audience.as_deref().filter(|a| !a.is_empty()), source.expiration_seconds.unwrap_or(3600)).await?;
        *renew = Some(renew.map_or(renew_at, |r| r.min(renew_at)));
        let owner = payload::user(source.user).or_else(|| common_user(pod)).or(user);
        let mode = if owner.is_some() || fs_group(pod).is_some() { 0o600 } else { mode };
        payload::insert(out, &source.path, token.into_bytes(), mode, owner)?;
    } else if one.cluster_trust_bundle.is_some() || one.pod_certificate.is_some() {
        return Err("projected volume source is not supported by this node".into());
    }
    Ok(())
}

type Data = BTreeMap<String, Vec<u8>>;

/// The data, and whether the object exists.
async fn config_map(agent: &Agent, pod: &Pod, name: &str, optional: Option<bool>) -> Result<(Data, bool), String> {
    let (namespace, uid) = (pod.metadata.namespace.as_deref().unwrap_or_default(), pod.metadata.uid.as_deref().unwrap_or_default());
    match agent.config_maps.get(namespace, name, uid).await? {
        Some(map) => Ok((payload::config_map_data(&map), true)),
        None if optional == Some(true) => Ok((Data::new(), false)),
        None => Err(format!("configmap {name:?} not found")),
    }
}

async fn secret(agent: &Agent, pod: &Pod, name: &str, optional: Option<bool>) -> Result<(Data, bool), String> {
    let (namespace, uid) = (pod.metadata.namespace.as_deref().unwrap_or_default(), pod.metadata.uid.as_deref().unwrap_or_default());
    match agent.secrets.get(namespace, name, uid).await? {
        Some(secret) => Ok((payload::secret_data(&secret), true)),
        None if optional == Some(true) => Ok((Data::new(), false)),
        None => Err(format!("secret {name:?} not found")),
    }
}

/// Takes down what was mounted for the pod; with `all`, its folder as well.
pub fn unmount_all(pod_dir: &Path, all: bool) -> std::io::Result<()> {
    place::unmount_below(pod_dir)?;
    let gone = if all { pod_dir.to_path_buf() } else { pod_dir.join("volumes") };
    match std::fs::remove_dir_all(gone) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
