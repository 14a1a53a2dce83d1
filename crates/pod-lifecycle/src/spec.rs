//! Reading a pod's spec: its containers in one list, whatever their kind. Never changes it.

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Lifecycle, Pod, PodSpec, Probe};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Runs to its end before the next one starts.
    Init,
    /// A restartable init container.
    Sidecar,
    Regular,
    Ephemeral,
}

impl Kind {
    pub fn is_init(self) -> bool {
        matches!(self, Self::Init | Self::Sidecar)
    }
}

/// A container of the spec with its kind. An ephemeral container is shown as a container, with the one it looks into in `target`.
#[derive(Clone, Debug)]
pub struct SpecContainer {
    pub kind: Kind,
    pub container: Container,
    pub target: Option<String>,
}

impl SpecContainer {
    pub fn name(&self) -> &str {
        &self.container.name
    }

    pub fn lifecycle(&self) -> Option<&Lifecycle> {
        self.container.lifecycle.as_ref()
    }

    pub fn startup(&self) -> Option<&Probe> {
        self.container.startup_probe.as_ref()
    }
}

/// All containers, init first, in the spec's order.
pub fn containers(pod: &Pod) -> Vec<SpecContainer> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let mut all = Vec::new();
    for container in spec.init_containers.iter().flatten() {
        let kind = if container.restart_policy.as_deref() == Some("Always") { Kind::Sidecar } else { Kind::Init };
        all.push(SpecContainer { kind, container: container.clone(), target: None });
    }
    all.extend(spec.containers.iter().map(|c| SpecContainer { kind: Kind::Regular, container: c.clone(), target: None }));
    all.extend(spec.ephemeral_containers.iter().flatten().map(ephemeral));
    all
}

pub fn find_container(pod: &Pod, name: &str) -> Option<SpecContainer> {
    containers(pod).into_iter().find(|c| c.name() == name)
}

fn ephemeral(from: &EphemeralContainer) -> SpecContainer {
    let from = from.clone();
    let container = Container {
        args: from.args,
        command: from.command,
        env: from.env,
        env_from: from.env_from,
        image: from.image,
        image_pull_policy: from.image_pull_policy,
        name: from.name,
        ports: from.ports,
        resources: from.resources,
        security_context: from.security_context,
        stdin: from.stdin,
        stdin_once: from.stdin_once,
        termination_message_path: from.termination_message_path,
        termination_message_policy: from.termination_message_policy,
        tty: from.tty,
        volume_devices: from.volume_devices,
        volume_mounts: from.volume_mounts,
        working_dir: from.working_dir,
        ..Container::default()
    };
    SpecContainer { kind: Kind::Ephemeral, container, target: from.target_container_name }
}

pub fn is_host_network(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|s| s.host_network == Some(true))
}

/// Whether a container's readiness is probed rather than assumed.
pub fn uses_readiness(container: &Container) -> bool {
    container.readiness_probe.is_some()
}

pub(crate) fn restart_policy(spec: &PodSpec) -> &str {
    spec.restart_policy.as_deref().unwrap_or("Always")
}
