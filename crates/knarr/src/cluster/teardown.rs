//! The orderly end of everything a cluster runs on this machine: containers get their time, then the sweep takes what is left.

use std::collections::HashMap;
use std::time::Duration;

use cri::{Cri, ListContainersRequest, ListPodSandboxRequest, RemovePodSandboxRequest, StopContainerRequest, StopPodSandboxRequest};
use futures::StreamExt;
use host::{Containerd, Layout, Swept};

const GRACE: i64 = 10;
const AT_ONCE: usize = 16;
const WHOLE_TIME: Duration = Duration::from_secs(60);

/// How many pods were stopped, and what the sweep did.
pub struct Ended {
    pub pods: usize,
    pub swept: Swept,
}

pub async fn run(layout: &Layout, pod_cidr: &str) -> Ended {
    let mut pods = 0;
    if Containerd::running(layout).is_some() {
        match tokio::time::timeout(WHOLE_TIME, stop_pods(layout)).await {
            Ok(Ok(count)) => pods = count,
            Ok(Err(error)) => tracing::warn!(%error, "pods were not stopped in order"),
            Err(_) => tracing::warn!("pods took too long to stop"),
        }
    }
    Ended { pods, swept: host::sweep(layout, pod_cidr).await }
}

async fn stop_pods(layout: &Layout) -> Result<usize, cri::Error> {
    let cri = Cri::new(layout.containerd_socket());
    let containers = cri.list_containers(ListContainersRequest::default()).await?.containers;
    let mut by_pod: HashMap<String, Vec<String>> = HashMap::new();
    for container in containers {
        by_pod.entry(container.pod_sandbox_id).or_default().push(container.id);
    }
    let sandboxes = cri.list_pod_sandbox(ListPodSandboxRequest::default()).await?.items;
    let count = sandboxes.len();
    let work = sandboxes.into_iter().map(|sandbox| {
        let (cri, containers) = (cri.clone(), by_pod.remove(&sandbox.id).unwrap_or_default());
        async move { stop_pod(&cri, sandbox.id, containers).await }
    });
    futures::stream::iter(work).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    Ok(count)
}

async fn stop_pod(cri: &Cri, sandbox: String, containers: Vec<String>) {
    let stops = containers.into_iter().map(|container_id| cri.stop_container(StopContainerRequest { container_id, timeout: GRACE }));
    for error in futures::future::join_all(stops).await.into_iter().filter_map(Result::err) {
        tracing::debug!(%error, "container was not stopped");
    }
    if let Err(error) = cri.stop_pod_sandbox(StopPodSandboxRequest { pod_sandbox_id: sandbox.clone() }).await {
        tracing::warn!(%error, sandbox, "sandbox was not stopped");
    }
    if let Err(error) = cri.remove_pod_sandbox(RemovePodSandboxRequest { pod_sandbox_id: sandbox.clone() }).await {
        tracing::warn!(%error, sandbox, "sandbox was not removed");
    }
}
