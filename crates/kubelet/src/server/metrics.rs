//! Usage and counts as Prometheus reads them. Upstream: pkg/kubelet/metrics/collectors/resource_metrics.go.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::answer::{Response, text};
use super::stats::{Usage, node_cpu_nanoseconds, node_working_set, usages};
use crate::agent::Agent;

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn seconds(nanoseconds: u64) -> f64 {
    std::time::Duration::from_nanos(nanoseconds).as_secs_f64()
}

pub async fn resource(agent: &Agent) -> Response {
    let found = usages(agent).await;
    let failed = u8::from(found.is_err());
    let usages = found.unwrap_or_default();
    let mut out = String::new();
    let now = jiff::Timestamp::now().as_millisecond();
    let labels = |u: &Usage| format!("container=\"{}\",namespace=\"{}\",pod=\"{}\"", u.container, u.namespace, u.pod);
    head(&mut out, "container_cpu_usage_seconds_total", "counter", "[STABLE] Cumulative cpu time consumed by the container in core-seconds");
    for u in &usages {
        let _ = writeln!(out, "container_cpu_usage_seconds_total{{{}}} {} {}", labels(u), seconds(u.cpu_nanoseconds), u.at.as_millisecond());
    }
    head(&mut out, "container_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the container in bytes");
    for u in &usages {
        let _ = writeln!(out, "container_memory_working_set_bytes{{{}}} {} {}", labels(u), u.working_set, u.at.as_millisecond());
    }
    head(&mut out, "container_start_time_seconds", "gauge", "[STABLE] Start time of the container since unix epoch in seconds");
    for handle in agent.registry.all() {
        let pod = handle.pod_with_status();
        for status in super::routes::statuses(&pod) {
            let Some(started) = status.state.as_ref().and_then(|s| s.running.as_ref()).and_then(|r| r.started_at.as_ref()) else { continue };
            let text = |t: &Option<String>| t.clone().unwrap_or_default();
            let _ = writeln!(out, "container_start_time_seconds{{container=\"{}\",namespace=\"{}\",pod=\"{}\"}} {}", status.name, text(&pod.metadata.namespace), text(&pod.metadata.name), started.0.as_second());
        }
    }
    head(&mut out, "node_cpu_usage_seconds_total", "counter", "[STABLE] Cumulative cpu time consumed by the node in core-seconds");
    let _ = writeln!(out, "node_cpu_usage_seconds_total {} {now}", seconds(node_cpu_nanoseconds()));
    head(&mut out, "node_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the node in bytes");
    let _ = writeln!(out, "node_memory_working_set_bytes {} {now}", node_working_set());
    let mut pods: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for u in &usages {
        let sum = pods.entry((&u.namespace, &u.pod)).or_default();
        *sum = (sum.0 + u.cpu_nanoseconds, sum.1 + u.working_set);
    }
    head(&mut out, "pod_cpu_usage_seconds_total", "counter", "[STABLE] Cumulative cpu time consumed by the pod in core-seconds");
    for ((namespace, pod), (cpu, _)) in &pods {
        let _ = writeln!(out, "pod_cpu_usage_seconds_total{{namespace=\"{namespace}\",pod=\"{pod}\"}} {} {now}", seconds(*cpu));
    }
    head(&mut out, "pod_memory_working_set_bytes", "gauge", "[STABLE] Current working set of the pod in bytes");
    for ((namespace, pod), (_, memory)) in &pods {
        let _ = writeln!(out, "pod_memory_working_set_bytes{{namespace=\"{namespace}\",pod=\"{pod}\"}} {memory} {now}");
    }
    head(&mut out, "scrape_error", "gauge", "[ALPHA] 1 if there was an error while getting container metrics, 0 otherwise");
    let _ = writeln!(out, "scrape_error {failed}");
    text(200, &out)
}

pub async fn cadvisor(agent: &Agent) -> Response {
    let usages = match usages(agent).await {
        Ok(usages) => usages,
        Err(error) => return text(500, &error.to_string()),
    };
    let mut out = String::new();
    let labels = |u: &Usage| format!("container=\"{}\",id=\"{}\",namespace=\"{}\",pod=\"{}\"", u.container, u.id, u.namespace, u.pod);
    head(&mut out, "container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.");
    for u in &usages {
        let _ = writeln!(out, "container_cpu_usage_seconds_total{{{}}} {} {}", labels(u), seconds(u.cpu_nanoseconds), u.at.as_millisecond());
    }
    for (name, help, value) in [
        ("container_memory_working_set_bytes", "Current working set in bytes.", (|u: &Usage| u.working_set) as fn(&Usage) -> u64),
        ("container_memory_usage_bytes", "Current memory usage in bytes, including all memory regardless of when it was accessed", |u| u.usage_bytes),
        ("container_memory_rss", "Size of RSS in bytes.", |u| u.rss),
        ("container_fs_usage_bytes", "Number of bytes that are consumed by the container on this filesystem.", |u| u.layer_bytes),
    ] {
        head(&mut out, name, "gauge", help);
        for u in &usages {
            let _ = writeln!(out, "{name}{{{}}} {} {}", labels(u), value(u), u.at.as_millisecond());
        }
    }
    text(200, &out)
}

/// The agent's own figures.
pub fn agent(agent: &Agent) -> Response {
    let mut out = String::new();
    let handles = agent.registry.all();
    head(&mut out, "kubelet_running_pods", "gauge", "[BETA] Number of pods that have a running pod sandbox");
    let _ = writeln!(out, "kubelet_running_pods {}", handles.iter().filter(|h| !h.running_containers().is_empty()).count());
    head(&mut out, "kubelet_running_containers", "gauge", "[BETA] Number of containers currently running");
    let _ = writeln!(out, "kubelet_running_containers{{container_state=\"running\"}} {}", handles.iter().map(|h| h.running_containers().len()).sum::<usize>());
    head(&mut out, "kubelet_desired_pods", "gauge", "[ALPHA] The number of pods the kubelet is being instructed to run");
    let _ = writeln!(out, "kubelet_desired_pods {}", handles.len());
    text(200, &out)
}
