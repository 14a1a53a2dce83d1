//! The configuration of a pod's sandbox. Upstream: pkg/kubelet/kuberuntime/kuberuntime_sandbox.go.

use std::collections::HashMap;

use cri::{DnsConfig, Int64Value, LinuxPodSandboxConfig, LinuxSandboxSecurityContext, PodSandboxConfig, PodSandboxMetadata, PortMapping, ProfileType, Protocol, SecurityProfile};
use k8s_openapi::api::core::v1::Pod;

use super::security::{namespaces, pod_context, selinux, supplemental_groups};

pub const POD_NAME: &str = "io.kubernetes.pod.name";
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
pub const POD_UID: &str = "io.kubernetes.pod.uid";
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
pub const CONTAINER_HASH: &str = "io.kubernetes.container.hash";
pub const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
pub const MESSAGE_PATH: &str = "io.kubernetes.container.terminationMessagePath";
pub const MESSAGE_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
pub const POD_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
pub const PRE_STOP: &str = "io.kubernetes.container.preStopHandler";

pub struct SandboxSettings {
    pub attempt: u32,
    pub hostname: String,
    pub log_directory: String,
    pub dns: DnsConfig,
    pub cgroup_parent: String,
}

pub fn sandbox_config(pod: &Pod, settings: SandboxSettings) -> PodSandboxConfig {
    let meta = &pod.metadata;
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    let mut labels: HashMap<String, String> = meta.labels.clone().unwrap_or_default().into_iter().collect();
    labels.extend(pod_labels(pod));
    let context = pod_context(pod);
    let privileged = pod_lifecycle::containers(pod).iter().any(|c| c.container.security_context.as_ref().is_some_and(|s| s.privileged == Some(true)));
    let sysctls = context.and_then(|c| c.sysctls.as_ref()).into_iter().flatten().map(|s| (s.name.clone(), s.value.clone())).collect();
    let security = LinuxSandboxSecurityContext {
        namespace_options: Some(namespaces(pod)),
        selinux_options: context.and_then(|c| c.se_linux_options.as_ref()).map(selinux),
        run_as_user: context.and_then(|c| c.run_as_user).map(|value| Int64Value { value }),
        run_as_group: context.filter(|c| c.run_as_user.is_some()).and_then(|c| c.run_as_group).map(|value| Int64Value { value }),
        supplemental_groups: supplemental_groups(context),
        privileged,
        seccomp: Some(SecurityProfile { profile_type: ProfileType::RuntimeDefault as i32, localhost_ref: String::new() }),
        ..LinuxSandboxSecurityContext::default()
    };
    PodSandboxConfig {
        metadata: Some(PodSandboxMetadata { name: text(&meta.name), uid: text(&meta.uid), namespace: text(&meta.namespace), attempt: settings.attempt }),
        hostname: settings.hostname,
        log_directory: settings.log_directory,
        dns_config: Some(settings.dns),
        port_mappings: port_mappings(pod),
        labels,
        annotations: meta.annotations.clone().unwrap_or_default().into_iter().collect(),
        linux: Some(LinuxPodSandboxConfig { cgroup_parent: settings.cgroup_parent, security_context: Some(security), sysctls }),
    }
}

/// The labels by which the runtime's objects are found again.
pub fn pod_labels(pod: &Pod) -> HashMap<String, String> {
    let meta = &pod.metadata;
    [(POD_NAME, &meta.name), (POD_NAMESPACE, &meta.namespace), (POD_UID, &meta.uid)].into_iter().map(|(k, v)| (k.to_owned(), v.clone().unwrap_or_default())).collect()
}

fn port_mappings(pod: &Pod) -> Vec<PortMapping> {
    if pod_lifecycle::is_host_network(pod) {
        return Vec::new();
    }
    let all = pod_lifecycle::containers(pod);
    let ports = all.iter().flat_map(|c| c.container.ports.iter().flatten());
    ports
        .map(|p| PortMapping {
            protocol: match p.protocol.as_deref() {
                Some("UDP") => Protocol::Udp,
                Some("SCTP") => Protocol::Sctp,
                _ => Protocol::Tcp,
            } as i32,
            container_port: p.container_port,
            host_port: p.host_port.unwrap_or(0),
            host_ip: p.host_ip.clone().unwrap_or_default(),
        })
        .collect()
}
