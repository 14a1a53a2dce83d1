//! The configuration of one container: environment, command, mounts, limits, security.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cri::{ContainerConfig, ContainerMetadata, Device, HugepageLimit, Image, ImageSpec, KeyValue, LinuxContainerConfig, LinuxContainerResources, Mount, MountPropagation, NamespaceMode, UpdateContainerResourcesRequest};
use k8s_openapi::api::core::v1::{ConfigMap, Container, Pod, ResourceRequirements, Secret, VolumeMount};
use pod_lifecycle::container_hash;

use super::start::{Start, pod_reference};
use crate::agent::Agent;
use crate::make::env::{Lookup, environment};
use crate::make::expand::expand;
use crate::make::hosts::{host_and_domain, host_network_hosts_file, hosts_file};
use crate::make::resources::{QUOTA_PERIOD, cpu_quota, cpu_shares, limit, oom_score_adj, request};
use crate::make::sandbox::{CONTAINER_HASH, CONTAINER_NAME, MESSAGE_PATH, MESSAGE_POLICY, POD_GRACE, PRE_STOP, RESTART_COUNT, pod_labels};
use crate::make::security::{ImageUser, container_context};
use crate::paths::Paths;
use crate::volume::subpath::mount_subpath;

/// Upstream limits what is read of it, not what is written.
const LAST_WORDS_MODE: u32 = 0o666;

type Variables = Vec<(String, String)>;

pub async fn config(s: &Start<'_>, image: &Image, user: &ImageUser) -> Result<ContainerConfig, String> {
    let container = &s.spec.container;
    let variables = variables(s).await?;
    let known: HashMap<&str, &str> = variables.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    let expanded = |list: &Option<Vec<String>>| -> Vec<String> { list.iter().flatten().map(|text| expand(text, |name| known.get(name).map(|v| (*v).to_owned()))).collect() };
    let mut security = container_context(s.pod, container, user, &s.agent.paths.seccomp())?;
    let own_processes = |o: &&mut cri::NamespaceOption| o.pid == NamespaceMode::Container as i32;
    if let (Some(options), Some(target)) = (security.namespace_options.as_mut().filter(own_processes), s.target_id.clone()) {
        options.pid = NamespaceMode::Target as i32;
        options.target_id = target;
    }
    let (command, args) = (expanded(&container.command), expanded(&container.args));
    let mounts = mounts(s, &variables).await?;
    let uid = s.pod.metadata.uid.clone().unwrap_or_default();
    Ok(ContainerConfig {
        metadata: Some(ContainerMetadata { name: container.name.clone(), attempt: s.restart_count }),
        image: Some(ImageSpec { image: image.id.clone(), ..ImageSpec::default() }),
        command,
        args,
        working_dir: container.working_dir.clone().unwrap_or_default(),
        envs: variables.into_iter().map(|(key, value)| KeyValue { key, value }).collect(),
        mounts,
        devices: Vec::<Device>::new(),
        labels: pod_labels(s.pod).into_iter().chain([(CONTAINER_NAME.to_owned(), container.name.clone())]).collect(),
        annotations: annotations(s),
        log_path: Paths::container_log(&container.name, s.restart_count),
        stdin: container.stdin == Some(true),
        stdin_once: container.stdin_once == Some(true),
        tty: container.tty == Some(true),
        linux: Some(LinuxContainerConfig { resources: Some(resources(s.agent, s.pod, container)), security_context: Some(security) }),
    })
    .inspect(|_| tracing::debug!(%uid, container = container.name, "container was configured"))
}

fn annotations(s: &Start<'_>) -> HashMap<String, String> {
    let container = &s.spec.container;
    let mut all: HashMap<String, String> = HashMap::new();
    all.insert(CONTAINER_HASH.into(), container_hash(container));
    all.insert(RESTART_COUNT.into(), s.restart_count.to_string());
    all.insert(MESSAGE_PATH.into(), message_path(s).to_owned());
    all.insert(MESSAGE_POLICY.into(), container.termination_message_policy.clone().unwrap_or_else(|| "File".into()));
    if let Some(grace) = s.pod.spec.as_ref().and_then(|p| p.termination_grace_period_seconds) {
        all.insert(POD_GRACE.into(), grace.to_string());
    }
    if let Some(hook) = container.lifecycle.as_ref().and_then(|l| l.pre_stop.as_ref()).and_then(|h| serde_json::to_string(h).ok()) {
        all.insert(PRE_STOP.into(), hook);
    }
    all
}

fn message_path<'a>(s: &'a Start<'_>) -> &'a str {
    s.spec.container.termination_message_path.as_deref().filter(|p| !p.is_empty()).unwrap_or("/dev/termination-log")
}

async fn variables(s: &Start<'_>) -> Result<Variables, String> {
    let (namespace, uid) = (s.pod.metadata.namespace.as_deref().unwrap_or_default(), s.pod.metadata.uid.as_deref().unwrap_or_default());
    let container = &s.spec.container;
    let sources = container.env.iter().flatten().filter_map(|v| v.value_from.as_ref());
    let map_names = sources.clone().filter_map(|f| f.config_map_key_ref.as_ref().map(|r| r.name.clone())).chain(container.env_from.iter().flatten().filter_map(|f| f.config_map_ref.as_ref().map(|r| r.name.clone())));
    let secret_names = sources.filter_map(|f| f.secret_key_ref.as_ref().map(|r| r.name.clone())).chain(container.env_from.iter().flatten().filter_map(|f| f.secret_ref.as_ref().map(|r| r.name.clone())));
    let mut maps: HashMap<String, Arc<ConfigMap>> = HashMap::new();
    for name in map_names {
        if let Some(found) = s.agent.config_maps.get(namespace, &name, uid).await? {
            maps.insert(name, found);
        }
    }
    let mut secrets: HashMap<String, Arc<Secret>> = HashMap::new();
    for name in secret_names {
        if let Some(found) = s.agent.secrets.get(namespace, &name, uid).await? {
            secrets.insert(name, found);
        }
    }
    if !s.agent.services.is_synced() && s.agent.registry.get(uid).is_none_or(|h| !h.is_static) {
        return Err("services have not yet been read at least once, cannot construct envvars".into());
    }
    let services = s.agent.services.list();
    let host_ips = s.agent.host_ips();
    let lookup = Lookup {
        config_maps: &|name| maps.get(name).cloned(),
        secrets: &|name| secrets.get(name).cloned(),
        services: &services,
        pod_ips: s.pod_ips,
        host_ips: &host_ips,
        node_name: &s.agent.config.node_name,
        allocatable: &|name| s.agent.allocatable(name),
    };
    let found = environment(s.pod, container, &lookup)?;
    for warning in found.warnings {
        s.agent.recorder.event(&pod_reference(s.pod), client::EventType::Warning, "InvalidEnvironmentVariableNames", warning);
    }
    Ok(found.variables)
}

/// Gives a running container and its pod's group the limits of the spec; the group first where it grows.
pub async fn resize(agent: &Agent, pod: &Pod, name: &str, id: &str) -> Result<ResourceRequirements, String> {
    let spec = pod_lifecycle::find_container(pod, name).ok_or_else(|| format!("container {name} is not in the spec"))?;
    let mut linux = resources(agent, pod, &spec.container);
    // The score of what runs is not changed: without its own capability the runtime could not.
    linux.oom_score_adj = 0;
    if linux.cpu_quota == 0 {
        linux.cpu_quota = -1;
    }
    let grown = agent.cgroups.ensure_pod(pod);
    let request = UpdateContainerResourcesRequest { container_id: id.to_owned(), linux: Some(linux) };
    agent.cri.update_container_resources(request).await.map_err(|e| e.message())?;
    // A group cannot shrink below what is used: only after its container did.
    if grown.is_err() {
        agent.cgroups.ensure_pod(pod).map_err(|e| e.to_string())?;
    }
    Ok(spec.container.resources.unwrap_or_default())
}

fn resources(agent: &Agent, pod: &Pod, container: &Container) -> LinuxContainerResources {
    let (asked, most) = (request(container, "cpu"), limit(container, "cpu"));
    let hugepages = container.resources.iter().flat_map(|r| r.limits.iter().flatten());
    LinuxContainerResources {
        cpu_period: QUOTA_PERIOD,
        cpu_quota: cpu_quota(most.map_or(0, |q| q.milli_value())),
        cpu_shares: cpu_shares(asked.map_or(0, |q| q.milli_value())),
        memory_limit_in_bytes: limit(container, "memory").map_or(0, |q| q.value()),
        oom_score_adj: oom_score_adj(pod, container, agent.machine.memory_bytes),
        hugepage_limits: hugepages
            .filter_map(|(name, value)| {
                let size = name.strip_prefix("hugepages-")?;
                let limit = value.0.parse::<quantity::Quantity>().ok()?.value();
                Some(HugepageLimit { page_size: size.replace("Mi", "MB").replace("Gi", "GB"), limit: u64::try_from(limit).ok()? })
            })
            .collect(),
        ..LinuxContainerResources::default()
    }
}

async fn mounts(s: &Start<'_>, variables: &Variables) -> Result<Vec<Mount>, String> {
    let container = &s.spec.container;
    let uid = s.pod.metadata.uid.clone().unwrap_or_default();
    let mut all = Vec::new();
    for (index, mount) in container.volume_mounts.iter().flatten().enumerate() {
        let volume = s.mounted.paths.get(&mount.name).ok_or_else(|| format!("cannot find volume {:?} to mount into container {:?}", mount.name, container.name))?;
        let target = s.agent.paths.subpath(&uid, &mount.name, &container.name, index);
        let path = volume_path(volume, mount, variables, target).await.map_err(|e| format!("failed to prepare subPath for volumeMount {:?} of container {:?}: {e}", mount.name, container.name))?;
        all.push(volume_mount(mount, &path));
    }
    let has = |all: &[Mount], path: &str| all.iter().any(|m| m.container_path == path);
    if !has(&all, "/etc/hosts") {
        let file = write_hosts(s, &uid).map_err(|e| format!("/etc/hosts of the pod could not be written: {e}"))?;
        all.push(Mount { container_path: "/etc/hosts".into(), host_path: file.to_string_lossy().into_owned(), selinux_relabel: true, ..Mount::default() });
    }
    let last_words = s.agent.paths.last_words(&uid, &container.name, s.restart_count);
    make_last_words(&last_words).map_err(|e| format!("the file of the termination message could not be made: {e}"))?;
    all.push(Mount { container_path: message_path(s).into(), host_path: last_words.to_string_lossy().into_owned(), selinux_relabel: true, ..Mount::default() });
    Ok(all)
}

fn volume_mount(mount: &VolumeMount, path: &Path) -> Mount {
    let readonly = mount.read_only == Some(true);
    // Relative paths count from the root, as upstream makes them absolute.
    let container_path = if mount.mount_path.starts_with('/') { mount.mount_path.clone() } else { format!("/{}", mount.mount_path) };
    Mount {
        container_path,
        host_path: path.to_string_lossy().into_owned(),
        readonly,
        propagation: match mount.mount_propagation.as_deref() {
            Some("HostToContainer") => MountPropagation::HostToContainer,
            Some("Bidirectional") => MountPropagation::Bidirectional,
            _ => MountPropagation::Private,
        } as i32,
        recursive_read_only: readonly && matches!(mount.recursive_read_only.as_deref(), Some("Enabled")),
        selinux_relabel: true,
    }
}

async fn volume_path(volume: &Path, mount: &VolumeMount, variables: &Variables, target: PathBuf) -> Result<PathBuf, String> {
    let sub = match (mount.sub_path.as_deref().filter(|p| !p.is_empty()), mount.sub_path_expr.as_deref().filter(|p| !p.is_empty())) {
        (Some(path), _) => path.to_owned(),
        (None, Some(expression)) => expand_all(expression, variables)?,
        (None, None) => return Ok(volume.to_path_buf()),
    };
    if Path::new(&sub).is_absolute() {
        return Err(format!("error SubPath `{sub}` must not be an absolute path"));
    }
    if Path::new(&sub).components().any(|c| c == std::path::Component::ParentDir) {
        return Err(format!("unable to provision SubPath `{sub}`: must not contain '..'"));
    }
    let volume = volume.to_path_buf();
    tokio::task::spawn_blocking(move || mount_subpath(&volume, &sub, &target)).await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
}

/// Every reference must be known. Upstream: ExpandContainerVolumeMounts.
fn expand_all(expression: &str, variables: &Variables) -> Result<String, String> {
    let missing = std::cell::RefCell::new(Vec::new());
    let out = expand(expression, |name| {
        let found = variables.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone());
        if found.is_none() {
            missing.borrow_mut().push(name.to_owned());
        }
        found
    });
    let missing = missing.into_inner();
    if missing.is_empty() { Ok(out) } else { Err(format!("missing value for {:?}", missing.join(", "))) }
}

/// One file for all containers of the pod, so that what one writes the others see.
fn write_hosts(s: &Start<'_>, uid: &str) -> std::io::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let path = s.agent.paths.etc_hosts(uid);
    let aliases = s.pod.spec.as_ref().and_then(|p| p.host_aliases.as_deref()).unwrap_or_default();
    let text = if pod_lifecycle::is_host_network(s.pod) {
        host_network_hosts_file(&std::fs::read_to_string("/etc/hosts").unwrap_or_default(), aliases)
    } else {
        let (host, domain) = host_and_domain(s.pod, &s.agent.config.cluster_domain);
        hosts_file(s.pod_ips, &host, &domain, aliases)
    };
    // Upstream writes it before every start: a new sandbox has a new address.
    std::fs::create_dir_all(s.agent.paths.pod(uid))?;
    std::fs::write(&path, text)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))?;
    Ok(path)
}

fn make_last_words(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::File::create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(LAST_WORDS_MODE))
}
