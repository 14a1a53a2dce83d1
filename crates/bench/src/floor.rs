//! What the runtime alone takes: a sandbox with its network and a container in it by bare CRI calls, no Kubernetes in between.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cri::{
    ContainerConfig, ContainerMetadata, CreateContainerRequest, Cri, ImageSpec, PodSandboxConfig, PodSandboxMetadata, RemovePodSandboxRequest, RunPodSandboxRequest, StartContainerRequest, StopPodSandboxRequest,
};

use crate::cluster::Cluster;

/// `RunPodSandbox`, `CreateContainer`, `StartContainer`: what any kubelet must ask for.
pub async fn bare_calls(cluster: &Cluster, runs: usize) -> Result<Vec<Duration>> {
    let cri = Cri::new(cluster.cri_socket().context("the cluster's containerd has no socket")?);
    let mut all = Vec::new();
    for run in 0..runs {
        let name = format!("bench-floor-{run}");
        let logs = std::env::temp_dir().join(&name);
        std::fs::create_dir_all(&logs)?;
        let metadata = PodSandboxMetadata { name: name.clone(), uid: name.clone(), namespace: "bench".into(), attempt: 0 };
        let config = PodSandboxConfig { metadata: Some(metadata), hostname: name.clone(), log_directory: logs.to_string_lossy().into_owned(), ..PodSandboxConfig::default() };
        let container = ContainerConfig {
            metadata: Some(ContainerMetadata { name, attempt: 0 }),
            image: Some(ImageSpec { image: "knarr.io/hello:1".into(), ..ImageSpec::default() }),
            log_path: "0.log".into(),
            ..ContainerConfig::default()
        };
        let start = Instant::now();
        let sandbox = cri.run_pod_sandbox(RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: String::new() }).await.context("RunPodSandbox")?.pod_sandbox_id;
        let request = CreateContainerRequest { pod_sandbox_id: sandbox.clone(), config: Some(container), sandbox_config: Some(config) };
        let id = cri.create_container(request).await.context("CreateContainer")?.container_id;
        cri.start_container(StartContainerRequest { container_id: id }).await.context("StartContainer")?;
        all.push(start.elapsed());
        cri.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: sandbox.clone() }).await.context("StopPodSandbox")?;
        cri.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: sandbox }).await.context("RemovePodSandbox")?;
        std::fs::remove_dir_all(&logs)?;
    }
    Ok(all)
}
