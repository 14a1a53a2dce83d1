//! Usage of the node, its pods and containers as one JSON summary. Upstream: staging/src/k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go.

use std::collections::{BTreeMap, HashMap};

use cri::{ContainerStats, ListContainerStatsRequest};
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::answer::{Response, json as answer_json, text};
use crate::agent::Agent;
use crate::make::sandbox::{CONTAINER_NAME, POD_NAME, POD_NAMESPACE, POD_UID};
use crate::node::capacity::meminfo;

/// A rate is taken over at least this long.
const WINDOW: SignedDuration = SignedDuration::from_secs(10);

/// One container's usage with its names.
pub struct Usage {
    pub id: String,
    pub container: String,
    pub pod: String,
    pub namespace: String,
    pub uid: String,
    pub at: Timestamp,
    pub cpu_nanoseconds: u64,
    pub working_set: u64,
    pub usage_bytes: u64,
    pub rss: u64,
    pub layer_bytes: u64,
}

pub async fn usages(agent: &Agent) -> Result<Vec<Usage>, cri::Error> {
    let found = agent.cri.list_container_stats(ListContainerStatsRequest::default()).await?;
    Ok(found.stats.into_iter().filter_map(usage).collect())
}

fn usage(stats: ContainerStats) -> Option<Usage> {
    let attributes = stats.attributes?;
    let label = |name: &str| attributes.labels.get(name).cloned().unwrap_or_default();
    let cpu = stats.cpu?;
    let memory = stats.memory.unwrap_or_default();
    let value = |v: &Option<cri::UInt64Value>| v.as_ref().map_or(0, |v| v.value);
    Some(Usage {
        container: label(CONTAINER_NAME),
        pod: label(POD_NAME),
        namespace: label(POD_NAMESPACE),
        uid: label(POD_UID),
        at: Timestamp::from_nanosecond(i128::from(cpu.timestamp)).ok()?,
        cpu_nanoseconds: value(&cpu.usage_core_nano_seconds),
        working_set: value(&memory.working_set_bytes),
        usage_bytes: value(&memory.usage_bytes),
        rss: value(&memory.rss_bytes),
        layer_bytes: stats.writable_layer.as_ref().map_or(0, |l| value(&l.used_bytes)),
        id: attributes.id,
    })
}

/// All processors' busy time since the boot.
pub fn node_cpu_nanoseconds() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<u64> = text.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
    // user, nice, system, irq, softirq, steal; idle and iowait are left out. A tick is 10 ms.
    [0, 1, 2, 5, 6, 7].iter().filter_map(|i| ticks.get(*i)).sum::<u64>() * 10_000_000
}

pub fn node_working_set() -> u64 {
    let bytes = meminfo("MemTotal").unwrap_or(0) - meminfo("MemAvailable").unwrap_or(0);
    u64::try_from(bytes).unwrap_or(0)
}

/// The sample that a rate is counted from, and the last rate.
#[derive(Clone, Copy)]
struct Sample {
    at: Timestamp,
    nanoseconds: u64,
    rate: Option<u64>,
}

fn rate(key: &str, at: Timestamp, nanoseconds: u64) -> Option<u64> {
    static SAMPLES: Mutex<Option<HashMap<String, Sample>>> = Mutex::new(None);
    let mut samples = SAMPLES.lock();
    let samples = samples.get_or_insert_default();
    samples.retain(|_, s| at.duration_since(s.at) < SignedDuration::from_mins(10));
    let old = samples.get(key).copied();
    let Some(old) = old.filter(|o| nanoseconds >= o.nanoseconds) else {
        samples.insert(key.to_owned(), Sample { at, nanoseconds, rate: None });
        return None;
    };
    let passed = at.duration_since(old.at);
    if passed < WINDOW && old.rate.is_some() || passed < SignedDuration::from_secs(1) {
        return old.rate;
    }
    let found = u64::try_from(u128::from(nanoseconds - old.nanoseconds) * 1_000_000_000 / u128::try_from(passed.as_nanos()).unwrap_or(1).max(1)).ok();
    samples.insert(key.to_owned(), Sample { at, nanoseconds, rate: found });
    found
}

fn cpu(key: &str, at: Timestamp, nanoseconds: u64) -> Value {
    let mut value = json!({"time": at.to_string(), "usageCoreNanoSeconds": nanoseconds});
    if let Some(rate) = rate(key, at, nanoseconds) {
        value["usageNanoCores"] = json!(rate);
    }
    value
}

pub async fn summary(agent: &Agent) -> Response {
    let usages = match usages(agent).await {
        Ok(usages) => usages,
        Err(error) => return text(500, &error.to_string()),
    };
    let now = Timestamp::now();
    let mut pods: BTreeMap<(String, String, String), Vec<&Usage>> = BTreeMap::new();
    for usage in &usages {
        pods.entry((usage.namespace.clone(), usage.pod.clone(), usage.uid.clone())).or_default().push(usage);
    }
    let pods: Vec<Value> = pods.into_iter().map(|((namespace, name, uid), of)| pod_summary(agent, &namespace, &name, &uid, &of, now)).collect();
    let disk = nix::sys::statvfs::statvfs(&agent.config.root_dir).ok();
    let fs = disk.map(|s| {
        let unit = s.fragment_size();
        json!({"time": now.to_string(), "availableBytes": s.blocks_available() * unit, "capacityBytes": s.blocks() * unit, "usedBytes": (s.blocks() - s.blocks_free()) * unit, "inodesFree": s.files_free(), "inodes": s.files()})
    });
    let available = u64::try_from(meminfo("MemAvailable").unwrap_or(0)).unwrap_or(0);
    answer_json(&json!({
        "node": {
            "nodeName": agent.config.node_name,
            "cpu": cpu("", now, node_cpu_nanoseconds()),
            "memory": {"time": now.to_string(), "availableBytes": available, "workingSetBytes": node_working_set(), "usageBytes": node_working_set()},
            "fs": fs,
        },
        "pods": pods,
    }))
}

fn pod_summary(agent: &Agent, namespace: &str, name: &str, uid: &str, of: &[&Usage], now: Timestamp) -> Value {
    let started = agent.registry.get(uid).and_then(|h| h.pod_with_status().status).and_then(|s| s.start_time);
    let containers: Vec<Value> = of
        .iter()
        .map(|u| {
            json!({
                "name": u.container,
                "cpu": cpu(&u.id, u.at, u.cpu_nanoseconds),
                "memory": {"time": u.at.to_string(), "workingSetBytes": u.working_set, "usageBytes": u.usage_bytes, "rssBytes": u.rss},
                "rootfs": {"time": u.at.to_string(), "usedBytes": u.layer_bytes},
            })
        })
        .collect();
    let sum = |what: fn(&Usage) -> u64| of.iter().map(|u| what(u)).sum::<u64>();
    json!({
        "podRef": {"name": name, "namespace": namespace, "uid": uid},
        "startTime": started,
        "containers": containers,
        "cpu": cpu(uid, now, sum(|u| u.cpu_nanoseconds)),
        "memory": {"time": now.to_string(), "workingSetBytes": sum(|u| u.working_set), "usageBytes": sum(|u| u.usage_bytes), "rssBytes": sum(|u| u.rss)},
    })
}
