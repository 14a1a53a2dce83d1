//! Making and tearing down a pod's sandbox.

use std::time::Duration;

use cri::{DnsConfig, PodSandboxConfig, RemovePodSandboxRequest, RunPodSandboxRequest, StopPodSandboxRequest};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::node::v1::RuntimeClass;
use kube::Api;

use crate::agent::Agent;
use crate::make::dns::{parse_resolv_conf, pod_dns};
use crate::make::hosts::kernel_hostname;
use crate::make::sandbox::{SandboxSettings, sandbox_config};

/// The configuration that the runtime is given for this pod, for its sandbox and again for each container.
pub fn config(agent: &Agent, pod: &Pod, attempt: u32) -> Result<(PodSandboxConfig, Vec<String>), String> {
    let of_node = std::fs::read_to_string(&agent.config.resolv_conf).map(|t| parse_resolv_conf(&t)).unwrap_or_else(|_| DnsConfig::default());
    let (dns, warnings) = pod_dns(pod, &agent.config.cluster_dns, &agent.config.cluster_domain, &of_node);
    let hostname = if pod_lifecycle::is_host_network(pod) { String::new() } else { kernel_hostname(pod, &agent.config.cluster_domain)? };
    let settings = SandboxSettings { attempt, hostname, log_directory: agent.paths.pod_logs_of(pod).to_string_lossy().into_owned(), dns, cgroup_parent: agent.cgroups.pod_path(pod) };
    Ok((sandbox_config(pod, settings), warnings))
}

/// Stops what is left, makes the folders and the control group, and runs a new sandbox.
pub async fn create(agent: &Agent, pod: &Pod, attempt: u32, stop: &[String]) -> Result<Vec<String>, String> {
    for id in stop {
        stop_one(agent, id).await.map_err(|e| e.to_string())?;
    }
    if pod.spec.as_ref().is_some_and(|s| s.host_users == Some(false)) {
        // Running it in the host's user namespace would be less than what was asked for.
        return Err("the container runtime does not support user namespaces (hostUsers: false)".into());
    }
    let handler = runtime_handler(agent, pod).await?;
    let (config, warnings) = config(agent, pod, attempt)?;
    let (cgroups, target, logs) = (agent.cgroups.clone(), pod.clone(), agent.paths.pod_logs_of(pod));
    let made = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(logs)?;
        cgroups.ensure_pod(&target)
    });
    made.await.map_err(|e| e.to_string())?.map_err(|e| format!("unable to ensure pod container exists: {e}"))?;
    let made = agent.cri.run_pod_sandbox(RunPodSandboxRequest { config: Some(config), runtime_handler: handler }).await.map_err(|e| e.to_string())?;
    agent.registry.own(&made.pod_sandbox_id, pod.metadata.uid.as_deref().unwrap_or_default());
    Ok(warnings)
}

async fn runtime_handler(agent: &Agent, pod: &Pod) -> Result<String, String> {
    let Some(name) = pod.spec.as_ref().and_then(|s| s.runtime_class_name.as_deref()).filter(|n| !n.is_empty()) else { return Ok(String::new()) };
    let api: Api<RuntimeClass> = Api::all(agent.client.clone());
    match api.get(name).await {
        Ok(class) => Ok(class.handler),
        Err(error) => Err(format!("failed to get sandbox runtime: {}", client::api_message(&error))),
    }
}

pub async fn stop_one(agent: &Agent, id: &str) -> Result<(), cri::Error> {
    match agent.cri.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: id.into() }).await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

pub async fn remove_one(agent: &Agent, id: &str) -> Result<(), cri::Error> {
    let removal = agent.cri.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: id.into() });
    match tokio::time::timeout(Duration::from_secs(60), removal).await {
        Err(_) => Err(cri::Error::Deadline),
        Ok(Err(error)) if !error.is_not_found() => Err(error),
        Ok(_) => {
            agent.registry.disown(id);
            Ok(())
        }
    }
}
