//! Whether this node takes a pod that was given to it. Upstream: pkg/kubelet/lifecycle/predicate.go, pkg/kubelet/sysctl/allowlist.go.
//!
//! Never throws out a pod that was taken before. Keeps true: what is taken together never asks for more than the node has.

use std::collections::HashMap;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use parking_lot::Mutex;
use pod_lifecycle::Stop;
use scheduling::affinity::selector_matches;
use scheduling::pod::{HostPort, PodFacts};

use crate::agent::Agent;
use crate::make::apparmor;
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

/// What one pod asks of the node.
struct Wanted {
    totals: PodTotals,
    /// Resources that others declared in the node's capacity, by name.
    extended: Vec<(Arc<str>, i64)>,
    ports: Vec<HostPort>,
}

impl Wanted {
    fn of(pod: &Pod) -> Self {
        let facts = PodFacts::new(Arc::new(pod.clone()));
        let extended = facts.requests.others.into_iter().filter(|(name, _)| is_extended(name)).collect();
        Self { totals: pod_totals(pod), extended, ports: facts.ports }
    }

    fn extended(&self, name: &str) -> i64 {
        self.extended.iter().find(|(n, _)| &**n == name).map_or(0, |(_, amount)| *amount)
    }
}

/// Upstream: IsExtendedResourceName: a name with a domain that is not Kubernetes' own.
pub fn is_extended(name: &str) -> bool {
    name.split_once('/').is_some_and(|(domain, _)| domain != "kubernetes.io" && !domain.ends_with(".kubernetes.io") && !name.starts_with("requests."))
}

/// The pods taken, with what they ask for.
#[derive(Default)]
pub struct Taken(Mutex<HashMap<String, Wanted>>);

impl Taken {
    pub fn release(&self, uid: &str) {
        self.0.lock().remove(uid);
    }

    /// A pod that runs already is counted whatever it asks for.
    pub fn keep(&self, uid: &str, pod: &Pod) {
        self.0.lock().insert(uid.to_owned(), Wanted::of(pod));
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
    let asked = Wanted::of(pod);
    let mut taken = agent.taken.0.lock();
    if taken.contains_key(uid) {
        return Ok(());
    }
    let (count, capacity) = (taken.len(), agent.config.max_pods as usize);
    if count + 1 > capacity {
        return refuse("OutOfpods", format!("Node didn't have enough resource: pods, requested: 1, used: {count}, capacity: {capacity}"));
    }
    if let Some((name, asked, used, capacity)) = short_of(agent, &asked, &taken) {
        return refuse(&format!("OutOf{name}"), format!("Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}"));
    }
    if asked.ports.iter().any(|port| taken.values().any(|other| other.ports.iter().any(|p| p.collides(port)))) {
        return refuse("NodePorts", "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports".into());
    }
    if let Some(fault) = apparmor::fault(pod) {
        return refuse("AppArmor", format!("Cannot enforce AppArmor: {fault}"));
    }
    taken.insert(uid.to_owned(), asked);
    Ok(())
}

/// The first resource that there is not enough of: its name, what is asked, used and there.
fn short_of(agent: &Agent, asked: &Wanted, taken: &HashMap<String, Wanted>) -> Option<(String, i64, i64, i64)> {
    let used = |what: &dyn Fn(&Wanted) -> i64| taken.values().map(what).fold(0, i64::saturating_add);
    let machine = [
        ("cpu", asked.totals.cpu_request_milli, used(&|w| w.totals.cpu_request_milli), agent.allocatable("cpu").map_or(i64::MAX, |q| q.milli_value())),
        ("memory", asked.totals.memory_request, used(&|w| w.totals.memory_request), agent.allocatable("memory").map_or(i64::MAX, |q| q.value())),
    ];
    let machine = machine.into_iter().map(|(name, asked, used, capacity)| (name.to_owned(), asked, used, capacity));
    // Upstream: an extended resource that the node does not have is the scheduler's business, not the kubelet's.
    let declared = agent.extended_resources();
    let extended = asked.extended.iter().filter_map(|(name, amount)| {
        let capacity = declared.get(&**name)?.parse::<quantity::Quantity>().ok()?.value();
        Some((name.to_string(), *amount, used(&|w| w.extended(name)), capacity))
    });
    machine.chain(extended).find(|(_, asked, used, capacity)| *asked > 0 && used.saturating_add(*asked) > *capacity)
}
