//! Which path is answered by what.

use std::sync::Arc;

use cri::ExecSyncRequest;
use http::Method;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use serde_json::json;

use super::answer::{self, Query, Request, Response, decode, json, text};
use super::{container_logs, metrics, stats, stream};
use crate::agent::Agent;
use crate::pod::registry::PodHandle;

pub async fn route(agent: &Arc<Agent>, request: Request) -> Response {
    let parts: Vec<String> = request.uri().path().split('/').filter(|p| !p.is_empty()).map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (get, method) = (request.method() == Method::GET, request.method().clone());
    let changes = matches!(method, Method::GET | Method::POST);
    match parts.as_slice() {
        ["healthz", ..] if get => text(200, "ok"),
        ["pods"] if get => pods(agent),
        ["runningpods"] if get => pods(agent),
        ["configz"] if get => configz(agent),
        ["metrics"] if get => metrics::agent(agent),
        ["metrics", "resource"] if get => metrics::resource(agent).await,
        ["metrics", "cadvisor"] if get => metrics::cadvisor(agent).await,
        ["metrics", "probes"] if get => text(200, ""),
        ["stats", "summary"] if get => stats::summary(agent).await,
        ["containerLogs", namespace, pod, container] if get => container_logs::serve(agent, namespace, pod, container, &Query::of(request.uri())),
        ["run", namespace, pod, container] | ["run", namespace, pod, _, container] if method == Method::POST => run(agent, namespace, pod, container, &Query::of(request.uri())).await,
        ["exec", namespace, pod, container] | ["exec", namespace, pod, _, container] if changes => stream::exec(agent, namespace, pod, container, request).await,
        ["attach", namespace, pod, container] | ["attach", namespace, pod, _, container] if changes => stream::attach(agent, namespace, pod, container, request).await,
        ["portForward", namespace, pod] | ["portForward", namespace, pod, _] if changes => stream::port_forward(agent, namespace, pod, request).await,
        ["healthz" | "pods" | "runningpods" | "configz" | "metrics" | "stats" | "containerLogs" | "run" | "exec" | "attach" | "portForward", ..] => text(405, "405: Method Not Allowed"),
        _ => text(404, "404: Page Not Found"),
    }
}

/// The pod, or the answer that it is not here.
pub fn find_pod(agent: &Agent, namespace: &str, name: &str) -> Result<Arc<PodHandle>, Box<Response>> {
    agent.registry.find(namespace, name).ok_or_else(|| Box::new(text(404, &format!("pod {name:?} does not exist\n"))))
}

pub fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status.iter().flat_map(|s| [&s.init_container_statuses, &s.container_statuses, &s.ephemeral_container_statuses]).flatten().flatten()
}

/// The id of a running container.
pub fn running(handle: &PodHandle, container: &str) -> Option<String> {
    handle.running_containers().into_iter().find(|(name, _, _)| name == container).map(|(_, _, id)| id)
}

fn pods(agent: &Agent) -> Response {
    let items: Vec<Pod> = agent.registry.all().iter().map(|h| h.pod_with_status()).collect();
    json(&json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}))
}

fn configz(agent: &Agent) -> Response {
    let c = &agent.config;
    json(&json!({"kubeletconfig": {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "clusterDomain": c.cluster_domain,
        "clusterDNS": c.cluster_dns.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "maxPods": c.max_pods,
        "port": c.listen.port(),
        "containerLogMaxSize": format!("{}Mi", c.log_max_bytes >> 20),
        "containerLogMaxFiles": c.log_max_files,
        "containerRuntimeEndpoint": format!("unix://{}", c.cri_socket.display()),
        "cgroupRoot": c.cgroup_root,
        "cgroupDriver": "cgroupfs",
        "readOnlyPort": 0,
        "nodeLeaseDurationSeconds": 40,
    }}))
}

async fn run(agent: &Agent, namespace: &str, pod: &str, container: &str, query: &Query) -> Response {
    let handle = match find_pod(agent, namespace, pod) {
        Ok(handle) => handle,
        Err(answer) => return *answer,
    };
    let Some(id) = running(&handle, container) else { return text(404, &format!("container not found ({container:?})\n")) };
    let command: Vec<String> = query.get("cmd").unwrap_or_default().split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
    match agent.cri.exec_sync(ExecSyncRequest { container_id: id, cmd: command, timeout: 0 }).await {
        Ok(answer) => answer::bytes([answer.stdout, answer.stderr].concat()),
        Err(error) => text(500, &error.to_string()),
    }
}
