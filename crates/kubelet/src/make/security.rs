//! Users, groups, capabilities and profiles of a container. Upstream: pkg/securitycontext/util.go, pkg/kubelet/kuberuntime/security_context.go.
//!
//! Keeps true: what a container says wins over its pod; `runAsNonRoot` is checked before anything starts.

use cri::{Capability, Int64Value, LinuxContainerSecurityContext, NamespaceMode, NamespaceOption, ProfileType, SeLinuxOption, SecurityProfile};
use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SELinuxOptions, SeccompProfile, SecurityContext};

use super::apparmor;

const MASKED: [&str; 11] = [
    "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
];
const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// What the image asks for.
#[derive(Clone, Debug, Default)]
pub struct ImageUser {
    pub uid: Option<i64>,
    pub username: String,
}

pub fn namespaces(pod: &Pod) -> NamespaceOption {
    let spec = pod.spec.as_ref();
    let node = |on: Option<bool>, otherwise: NamespaceMode| if on == Some(true) { NamespaceMode::Node } else { otherwise } as i32;
    let shared = spec.is_some_and(|s| s.share_process_namespace == Some(true));
    NamespaceOption {
        network: node(spec.and_then(|s| s.host_network), NamespaceMode::Pod),
        pid: node(spec.and_then(|s| s.host_pid), if shared { NamespaceMode::Pod } else { NamespaceMode::Container }),
        ipc: node(spec.and_then(|s| s.host_ipc), NamespaceMode::Pod),
        target_id: String::new(),
    }
}

pub fn run_as_user(pod: &Pod, container: &Container) -> Option<i64> {
    container.security_context.as_ref().and_then(|c| c.run_as_user).or_else(|| pod_context(pod).and_then(|c| c.run_as_user))
}

/// Upstream words of the three refusals.
pub fn verify_non_root(pod: &Pod, container: &Container, image: &ImageUser) -> Result<(), String> {
    let own = container.security_context.as_ref();
    let wanted = own.and_then(|c| c.run_as_non_root).or_else(|| pod_context(pod).and_then(|c| c.run_as_non_root));
    if wanted != Some(true) {
        return Ok(());
    }
    let named = format!("pod: \"{}({})\", container: {}", format_args!("{}_{}", pod.metadata.name.as_deref().unwrap_or_default(), pod.metadata.namespace.as_deref().unwrap_or_default()), pod.metadata.uid.as_deref().unwrap_or_default(), container.name);
    match (run_as_user(pod, container), image.uid) {
        (Some(0), _) => Err(format!("container's runAsUser breaks non-root policy ({named})")),
        (Some(_), _) => Ok(()),
        (None, Some(0)) => Err(format!("container has runAsNonRoot and image will run as root ({named})")),
        (None, None) if !image.username.is_empty() => Err(format!("container has runAsNonRoot and image has non-numeric user ({}), cannot verify user is non-root ({named})", image.username)),
        (None, None) => Err(format!("container has runAsNonRoot and image will run as root ({named})")),
        (None, Some(_)) => Ok(()),
    }
}

pub fn container_context(pod: &Pod, container: &Container, image: &ImageUser, seccomp_root: &std::path::Path) -> Result<LinuxContainerSecurityContext, String> {
    let none = SecurityContext::default();
    let own = container.security_context.as_ref().unwrap_or(&none);
    let of_pod = pod_context(pod);
    let user = run_as_user(pod, container);
    let privileged = own.privileged == Some(true);
    let unmasked = own.proc_mount.as_deref() == Some("Unmasked") || privileged;
    let mut context = LinuxContainerSecurityContext {
        capabilities: own.capabilities.as_ref().map(|c| Capability { add_capabilities: c.add.clone().unwrap_or_default(), drop_capabilities: c.drop.clone().unwrap_or_default() }),
        privileged,
        namespace_options: Some(namespaces(pod)),
        selinux_options: own.se_linux_options.as_ref().or_else(|| of_pod.and_then(|c| c.se_linux_options.as_ref())).map(selinux),
        run_as_group: own.run_as_group.or_else(|| of_pod.and_then(|c| c.run_as_group)).map(|value| Int64Value { value }),
        readonly_rootfs: own.read_only_root_filesystem == Some(true),
        supplemental_groups: supplemental_groups(of_pod),
        no_new_privs: own.allow_privilege_escalation == Some(false),
        seccomp: Some(seccomp(own.seccomp_profile.as_ref().or_else(|| of_pod.and_then(|c| c.seccomp_profile.as_ref())), privileged, seccomp_root)?),
        ..LinuxContainerSecurityContext::default()
    };
    if let Some((profile, old_form)) = apparmor::profile(pod, container)? {
        context.apparmor = Some(profile);
        context.apparmor_profile = old_form;
    }
    match (user, image.uid) {
        (Some(value), _) | (None, Some(value)) => context.run_as_user = Some(Int64Value { value }),
        (None, None) => context.run_as_username = image.username.clone(),
    }
    // A group without a user is refused by the runtime; root is what such an image runs as.
    if context.run_as_group.is_some() && context.run_as_user.is_none() && context.run_as_username.is_empty() {
        context.run_as_user = Some(Int64Value { value: 0 });
    }
    if !unmasked {
        context.masked_paths = MASKED.map(str::to_owned).to_vec();
        context.readonly_paths = READONLY.map(str::to_owned).to_vec();
    }
    Ok(context)
}

pub fn pod_context(pod: &Pod) -> Option<&PodSecurityContext> {
    pod.spec.as_ref()?.security_context.as_ref()
}

pub fn supplemental_groups(context: Option<&PodSecurityContext>) -> Vec<i64> {
    let Some(context) = context else { return Vec::new() };
    context.fs_group.into_iter().chain(context.supplemental_groups.iter().flatten().copied()).collect()
}

pub fn selinux(options: &SELinuxOptions) -> SeLinuxOption {
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    SeLinuxOption { user: text(&options.user), role: text(&options.role), type_: text(&options.type_), level: text(&options.level) }
}

/// Differs: without a profile a container gets the runtime's default, not none; a privileged one gets none.
fn seccomp(profile: Option<&SeccompProfile>, privileged: bool, root: &std::path::Path) -> Result<SecurityProfile, String> {
    let plain = |kind: ProfileType| SecurityProfile { profile_type: kind as i32, localhost_ref: String::new() };
    let Some(profile) = profile.filter(|_| !privileged) else {
        return Ok(plain(if privileged { ProfileType::Unconfined } else { ProfileType::RuntimeDefault }));
    };
    match profile.type_.as_str() {
        "Unconfined" => Ok(plain(ProfileType::Unconfined)),
        "Localhost" => {
            // An empty name would mean no profile at all (CVE-2023-2431).
            let name = profile.localhost_profile.as_deref().filter(|n| !n.is_empty() && !n.split('/').any(|p| p == "..")).ok_or("localhostProfile must be set if seccompProfile type is Localhost.")?;
            Ok(SecurityProfile { profile_type: ProfileType::Localhost as i32, localhost_ref: root.join(name).to_string_lossy().into_owned() })
        }
        _ => Ok(plain(ProfileType::RuntimeDefault)),
    }
}
