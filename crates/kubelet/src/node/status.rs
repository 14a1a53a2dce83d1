//! Registration and status of the node: written when something changed, and every five minutes.
//!
//! Never removes labels, taints or conditions of others. Upstream: pkg/kubelet/{kubelet_node_status.go,nodestatus/setters.go}.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use client::EventType;
use cri::{ListImagesRequest, StatusRequest, VersionRequest};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerImage, DaemonEndpoint, Node, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeSpec, NodeStatus, NodeSystemInfo, ObjectReference};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::json;
use tokio::sync::Notify;

use super::capacity::meminfo;
use crate::agent::Agent;
use crate::pod::admit::is_extended;

const EVERY: Duration = Duration::from_secs(10);
const REPORT: SignedDuration = SignedDuration::from_secs(300);
/// Until the node is ready for the first time it is looked at this often.
const EAGER: Duration = Duration::from_millis(50);
const EAGER_LOOKS: u32 = 600;
const MAX_IMAGES: usize = 50;
pub const VERSION: &str = "v1.37.0";

pub async fn keep(agent: Arc<Agent>, port: u16) {
    let mut told: Option<(NodeStatus, Timestamp)> = None;
    let mut looks = 0u32;
    let capacity_changed = notice_capacity(&agent);
    register(&agent, port).await;
    event(&agent, "Starting", "Starting kubelet.".into());
    loop {
        let now = Timestamp::now();
        let status = observe(&agent, port, told.as_ref().map(|(s, _)| s), now).await;
        let ready = is_ready(&status);
        let due = told.as_ref().is_none_or(|(old, at)| differs(old, &status) || now.duration_since(*at) >= REPORT);
        if due {
            announce(&agent, told.as_ref().map(|(s, _)| s), &status);
            match write(&agent, &status).await {
                Ok(()) => told = Some((status, now)),
                Err(error) if client::is_not_found(&error) => register(&agent, port).await,
                Err(error) => tracing::warn!(error = client::api_message(&error), "node status was not written"),
            }
        }
        looks = looks.saturating_add(1);
        let wait = if ready && told.is_some() || looks > EAGER_LOOKS { EVERY } else { EAGER };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = capacity_changed.notified() => {}
            () = agent.shutdown.cancelled() => return,
        }
    }
}

/// Tells when somebody else changed what the node has.
fn notice_capacity(agent: &Agent) -> Arc<Notify> {
    let changed = Arc::new(Notify::new());
    let tell = changed.clone();
    agent.node.on_change(move |change| {
        let capacity = |node: &Node| node.status.as_ref().and_then(|s| s.capacity.clone());
        if change.old().is_some_and(|old| capacity(old) != capacity(change.object())) {
            tell.notify_one();
        }
    });
    changed
}

fn labels(agent: &Agent) -> BTreeMap<String, String> {
    let arch = architecture();
    let mut labels = agent.config.labels.clone();
    for (name, value) in [("kubernetes.io/hostname", agent.config.node_name.as_str()), ("kubernetes.io/os", "linux"), ("kubernetes.io/arch", arch), ("beta.kubernetes.io/os", "linux"), ("beta.kubernetes.io/arch", arch)] {
        labels.entry(name.into()).or_insert_with(|| value.into());
    }
    labels
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

async fn register(agent: &Agent, port: u16) {
    let api: Api<Node> = Api::all(agent.client.clone());
    let name = &agent.config.node_name;
    let spec = NodeSpec {
        pod_cidr: agent.config.pod_cidr.clone(),
        pod_cidrs: agent.config.pod_cidr.clone().map(|c| vec![c]),
        taints: Some(agent.config.taints.clone()).filter(|t| !t.is_empty()),
        ..NodeSpec::default()
    };
    for attempt in 0u32.. {
        let status = observe(agent, port, None, Timestamp::now()).await;
        let metadata = ObjectMeta { name: Some(name.clone()), labels: Some(labels(agent)), ..ObjectMeta::default() };
        let node = Node { metadata, spec: Some(spec.clone()), status: Some(status) };
        let done = match api.create(&PostParams::default(), &node).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 409 => {
                let patch = json!({"metadata": {"labels": labels(agent)}});
                api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.map(|_| ())
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => {
                tracing::info!(node = name, "node was registered");
                return;
            }
            Err(error) => tracing::warn!(error = client::api_message(&error), "node was not registered"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(100 << attempt.min(6))) => {}
            () = agent.shutdown.cancelled() => return,
        }
    }
}

async fn observe(agent: &Agent, port: u16, old: Option<&NodeStatus>, now: Timestamp) -> NodeStatus {
    let quantities = |map: BTreeMap<String, String>| map.into_iter().map(|(k, v)| (k, Quantity(v))).collect();
    let machine = &agent.machine;
    let version = agent.cri.version(VersionRequest { version: "v1".into() }).await.unwrap_or_default();
    let address = |type_: &str, address: String| NodeAddress { type_: type_.into(), address };
    NodeStatus {
        addresses: Some(vec![address("InternalIP", agent.config.node_ip.to_string()), address("Hostname", agent.config.node_name.clone())]),
        capacity: Some(quantities(machine.capacity(agent.config.max_pods))),
        allocatable: Some(quantities(agent.allocatable_all())),
        conditions: Some(conditions(agent, old, now).await),
        daemon_endpoints: Some(NodeDaemonEndpoints { kubelet_endpoint: Some(DaemonEndpoint { port: i32::from(port) }) }),
        images: images(agent).await,
        node_info: Some(NodeSystemInfo {
            architecture: architecture().into(),
            boot_id: machine.boot_id.clone(),
            container_runtime_version: format!("{}://{}", version.runtime_name, version.runtime_version.trim_start_matches('v').split('~').next().unwrap_or_default()),
            kernel_version: machine.kernel.clone(),
            // Upstream leaves it empty since 1.33.
            kube_proxy_version: String::new(),
            kubelet_version: VERSION.into(),
            machine_id: machine.machine_id.clone(),
            operating_system: "linux".into(),
            os_image: machine.os_image.clone(),
            system_uuid: machine.system_uuid.clone(),
            ..NodeSystemInfo::default()
        }),
        ..NodeStatus::default()
    }
}

async fn images(agent: &Agent) -> Option<Vec<ContainerImage>> {
    let found = agent.cri.list_images(ListImagesRequest::default()).await.ok()?;
    let mut images: Vec<ContainerImage> = found
        .images
        .into_iter()
        .map(|i| ContainerImage { names: Some(i.repo_digests.into_iter().chain(i.repo_tags).take(5).collect()), size_bytes: i64::try_from(i.size).ok() })
        .filter(|i| i.names.as_ref().is_some_and(|n| !n.is_empty()))
        .collect();
    images.sort_by_key(|i| (std::cmp::Reverse(i.size_bytes), i.names.clone()));
    images.truncate(MAX_IMAGES);
    Some(images).filter(|i| !i.is_empty())
}

async fn conditions(agent: &Agent, old: Option<&NodeStatus>, now: Timestamp) -> Vec<NodeCondition> {
    let memory_low = meminfo("MemAvailable").is_some_and(|b| b < 100 << 20);
    let disk_low = nix::sys::statvfs::statvfs(&agent.config.root_dir).is_ok_and(|s| s.blocks_available().saturating_mul(10) < s.blocks());
    let verdict = |low: bool, bad: (&str, &str), good: (&str, &str)| {
        let (status, words) = if low { ("True", bad) } else { ("False", good) };
        (status, words.0.to_owned(), words.1.to_owned())
    };
    let (ready, reason, message) = match not_ready(agent).await {
        None => ("True", "KubeletReady".to_owned(), "kubelet is posting ready status".to_owned()),
        Some(why) => ("False", "KubeletNotReady".to_owned(), why),
    };
    let all = [
        ("MemoryPressure", verdict(memory_low, ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"), ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"))),
        ("DiskPressure", verdict(disk_low, ("KubeletHasDiskPressure", "kubelet has disk pressure"), ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"))),
        ("PIDPressure", verdict(false, ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"), ("KubeletHasSufficientPID", "kubelet has sufficient PID available"))),
        ("Ready", (ready, reason, message)),
    ];
    let seconds = Timestamp::from_second(now.as_second()).unwrap_or(now);
    all.into_iter()
        .map(|(type_, (status, reason, message))| {
            let before = old.and_then(|s| s.conditions.as_ref()).and_then(|c| c.iter().find(|c| c.type_ == type_)).filter(|c| c.status == status);
            NodeCondition {
                type_: type_.into(),
                status: status.into(),
                reason: Some(reason),
                message: Some(message),
                last_heartbeat_time: Some(Time(seconds)),
                last_transition_time: before.and_then(|c| c.last_transition_time.clone()).or(Some(Time(seconds))),
            }
        })
        .collect()
}

/// Why the node cannot run pods, in upstream's words.
async fn not_ready(agent: &Agent) -> Option<String> {
    let status = match agent.cri.status(StatusRequest { verbose: false }).await {
        Ok(answer) => answer.status.unwrap_or_default(),
        Err(error) => return Some(format!("container runtime is down: {error}")),
    };
    let failing = |name: &str| status.conditions.iter().find(|c| c.type_ == name && !c.status);
    if let Some(c) = failing("RuntimeReady") {
        return Some(format!("container runtime not ready: RuntimeReady=false reason:{} message:{}", c.reason, c.message));
    }
    failing("NetworkReady").map(|c| format!("container runtime network not ready: NetworkReady=false reason:{} message:{}", c.reason, c.message))
}

fn is_ready(status: &NodeStatus) -> bool {
    status.conditions.iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

/// Heartbeats alone are no change.
fn differs(old: &NodeStatus, new: &NodeStatus) -> bool {
    let still = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
        status
    };
    still(old) != still(new)
}

async fn write(agent: &Agent, status: &NodeStatus) -> Result<(), kube::Error> {
    let api: Api<Node> = Api::all(agent.client.clone());
    let mut body = json!({ "status": status });
    // A patch merges maps: what is allocatable no more must be said.
    let node = agent.node.get("", &agent.config.node_name);
    let stored = node.as_ref().and_then(|n| n.status.as_ref()).and_then(|s| s.allocatable.as_ref());
    let stays = |name: &String| !is_extended(name) || status.allocatable.as_ref().is_some_and(|a| a.contains_key(name));
    for gone in stored.into_iter().flatten().map(|(name, _)| name).filter(|name| !stays(name)) {
        body["status"]["allocatable"][gone] = serde_json::Value::Null;
    }
    // Addresses merge by type; the list is wholly ours.
    if let Some(list) = body.pointer_mut("/status/addresses").and_then(|a| a.as_array_mut()) {
        list.insert(0, json!({"$patch": "replace"}));
    }
    api.patch_status(&agent.config.node_name, &PatchParams::default(), &Patch::Strategic(body)).await.map(|_| ())
}

fn announce(agent: &Agent, old: Option<&NodeStatus>, new: &NodeStatus) {
    let is = |status: Option<&NodeStatus>, type_: &str| status.and_then(|s| s.conditions.as_ref()).and_then(|c| c.iter().find(|c| c.type_ == type_)).map(|c| c.status == "True");
    for (type_, yes, no) in [
        ("MemoryPressure", "NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
        ("DiskPressure", "NodeHasDiskPressure", "NodeHasNoDiskPressure"),
        ("PIDPressure", "NodeHasInsufficientPID", "NodeHasSufficientPID"),
        ("Ready", "NodeReady", "NodeNotReady"),
    ] {
        let now = is(Some(new), type_);
        if now != is(old, type_) {
            let reason = if now == Some(true) { yes } else { no };
            event(agent, reason, format!("Node {} status is now: {reason}", agent.config.node_name));
        }
    }
}

/// Upstream: the uid of a node in its own events is its name.
fn event(agent: &Agent, reason: &'static str, message: String) {
    let name = Some(agent.config.node_name.clone());
    let regarding = ObjectReference { api_version: Some("v1".into()), kind: Some("Node".into()), name: name.clone(), uid: name, ..ObjectReference::default() };
    agent.recorder.event(&regarding, EventType::Normal, reason, message);
}
