//! Whether this node takes a pod that was given to it. Upstream: pkg/kubelet/lifecycle/predicate.go, pkg/kubelet/sysctl/allowlist.go.
//!
//! Never throws out a pod that was taken before. Keeps true: what is taken together never asks for more than the node has.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use parking_lot::Mutex;
use pod_lifecycle::Stop;
use scheduling::affinity::selector_matches;

use crate::agent::Agent;
use crate::make::resources::{PodTotals, pod_totals};
use crate::make::security::pod_context;

const SAFE_SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
];

/// The pods taken, with what they ask for.
#[derive(Default)]
pub struct Taken(Mutex<HashMap<String, PodTotals>>);

impl Taken {
    pub fn release(&self, uid: &str) {
        self.0.lock().remove(uid);
    }

    /// A pod that runs already is counted whatever it asks for.
    pub fn keep(&self, uid: &str, pod: &Pod) {
        self.0.lock().insert(uid.to_owned(), pod_totals(pod));
    }
}

/// Takes the pod, or says why it fails.
pub async fn admit(agent: &Agent, uid: &str, pod: &Pod) -> Result<(), Stop> {
    if !belongs_here(agent, pod).await {
        return Err(Stop::failed("NodeAffinity", "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"));
    }
    take(agent, uid, pod)
}

/// The node's labels fit. A cache that says no may be behind: the API itself has the last word.
async fn belongs_here(agent: &Agent, pod: &Pod) -> bool {
    let name = &agent.config.node_name;
    let asks = pod.spec.as_ref().is_some_and(|s| s.node_selector.as_ref().is_some_and(|m| !m.is_empty()) || s.affinity.as_ref().is_some_and(|a| a.node_affinity.is_some()));
    if !asks || agent.node.get("", name).is_some_and(|node| matches(pod, &node)) {
        return true;
    }
    let api: Api<Node> = Api::all(agent.client.clone());
    // Without an answer the scheduler's choice stands.
    api.get_opt(name).await.ok().flatten().is_none_or(|node| matches(pod, &node))
}

fn matches(pod: &Pod, node: &Node) -> bool {
    let Some(spec) = &pod.spec else { return true };
    let labels = node.metadata.labels.as_ref();
    let selector = spec.node_selector.iter().flatten().all(|(key, value)| labels.and_then(|l| l.get(key)) == Some(value));
    let required = spec.affinity.as_ref().and_then(|a| a.node_affinity.as_ref()).and_then(|a| a.required_during_scheduling_ignored_during_execution.as_ref());
    selector && required.is_none_or(|required| selector_matches(required, node))
}

fn take(agent: &Agent, uid: &str, pod: &Pod) -> Result<(), Stop> {
    let refuse = |reason: &str, message: String| Err(Stop::failed(reason, &format!("Pod was rejected: {message}")));
    if pod.spec.as_ref().and_then(|s| s.os.as_ref()).is_some_and(|os| os.name != "linux") {
        return refuse("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS".into());
    }
    let sysctls = pod_context(pod).and_then(|c| c.sysctls.as_deref()).unwrap_or_default();
    if let Some(unsafe_one) = sysctls.iter().find(|s| !SAFE_SYSCTLS.contains(&s.name.replace('/', ".").as_str())) {
        return refuse("SysctlForbidden", format!("forbidden sysctl: {:?} not allowlisted", unsafe_one.name));
    }
    let asked = pod_totals(pod);
    let mut taken = agent.taken.0.lock();
    if taken.contains_key(uid) {
        return Ok(());
    }
    let (count, capacity) = (taken.len(), agent.config.max_pods as usize);
    if count + 1 > capacity {
        return refuse("OutOfpods", format!("Node didn't have enough resource: pods, requested: 1, used: {count}, capacity: {capacity}"));
    }
    let milli = |q: quantity::Quantity| q.milli_value();
    let value = |q: quantity::Quantity| q.value();
    for (name, asked, used, capacity) in [
        ("cpu", asked.cpu_request_milli, taken.values().map(|t| t.cpu_request_milli).sum::<i64>(), agent.allocatable("cpu").map_or(i64::MAX, milli)),
        ("memory", asked.memory_request, taken.values().map(|t| t.memory_request).sum::<i64>(), agent.allocatable("memory").map_or(i64::MAX, value)),
    ] {
        if asked > 0 && used.saturating_add(asked) > capacity {
            return refuse(&format!("OutOf{name}"), format!("Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}"));
        }
    }
    taken.insert(uid.to_owned(), asked);
    Ok(())
}
